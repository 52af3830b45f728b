#!/usr/bin/env python3
# property.py - whatever a dry run calls predicted is what a real run then reads
#
#   property.py RUNBOOK PORT FOLDER SEED CASES
#
# A case is a random sequence of remedies and probes over a few Redis keys, files
# and names of a .env, in a random state. Many cases are one script: each has its
# own keys, folder and system. The script runs dry, then for real, and is compared
# line by line: what was read, what each remedy returned, before, after and verdict.
import json, os, random, subprocess, sys

runbook, port, folder, seed, cases = sys.argv[1:4] + [int(a) for a in sys.argv[4:]]
BATCH, OPS = 20, 14
rnd = random.Random(seed)
pick, chance = rnd.choice, lambda p: rnd.random() < p
WORDS = ["a", "b", "xyz", "", "10", "-3", "007", "1.5", "ä ö", "two\nlines\n", "x" * 300, "true", "#c", "a,b,c",
         "9223372036854775807", "\x00\xff", " padded "]
LINES = [w for w in WORDS if w and not set(w) & set("\n\x00\xff")]


def lua(v):
    if isinstance(v, bool): return "true" if v else "false"
    if isinstance(v, (int, float)): return str(v)
    if isinstance(v, list): return "{ " + ", ".join(lua(x) for x in v) + " }"
    if isinstance(v, dict): return "{ " + ", ".join("[%s] = %s" % (lua(k), lua(x)) for k, x in v.items()) + " }"
    return '"' + "".join(c if c.isalnum() else "".join("\\%03d" % b for b in c.encode("latin-1" if c in "\x00\xff" else "utf-8"))
                         for c in v) + '"'


class Case:
    def __init__(self, n, sleeps):
        self.s, self.sleeps = "s[%d]" % n, sleeps
        self.keys = ["p%d:k%d" % (n, i) for i in range(4)]
        self.dir = "%s/w/%d" % (folder, n)
        self.files = ["%s/f%d" % (self.dir, i) for i in range(4)]
        self.names = ["A", "B_C", "LIST"]

    # -- the state before -----------------------------------------------------------
    def redis(self):
        for k in self.keys:
            kind = pick(["none", "string", "number", "list", "set", "hash", "zset"])
            if kind == "none": continue
            yield {"string": ["SET", k, pick(WORDS[:8])], "number": ["SET", k, str(rnd.randint(-5, 99))],
                   "list": ["RPUSH", k, "a", "b", "a"], "set": ["SADD", k, "a", "b"],
                   "hash": ["HSET", k, "f", "1", "g", "x"], "zset": ["ZADD", k, "1", "a", "2.5", "b"]}[kind]
            if chance(.3): yield ["EXPIRE", k, str(rnd.randint(500, 5000))]

    def write(self):
        os.makedirs(self.dir)
        for f in self.files:
            if chance(.5):
                with open(f, "wb") as out: out.write(pick(WORDS).encode("latin-1", "replace"))
                os.chmod(f, pick([0o600, 0o644, 0o755]))
        a, b = self.files[1], self.files[3]
        self.linked = chance(.3) and os.path.exists(a) and not os.path.exists(b) and pick(["symlink", "link"])
        if self.linked: getattr(os, self.linked)(a, b)
        with open(self.dir + "/.env", "w") as out:
            for n in self.names:
                if chance(.6): out.write("%s%s=%s\n" % (pick(["", "", "export "]), n, pick(["", "1", '"q r"', "a,b", "'single'", "x # note"])))
            if chance(.2): out.write("# a comment\nLAST=1")

    # -- operations -----------------------------------------------------------------
    def call(self, resource, name, *args):  # one Redis for all
        return "%s.%s:%s(%s)" % ("s[0]" if resource == "redis" else self.s, resource, name, ", ".join(map(lua, args)))

    def look(self):
        k, f, n = pick(self.keys), pick(self.files), pick(self.names)
        r = lambda *a: self.call("redis", *a)
        return pick([
            lambda: r("get", k), lambda: r("ttl", k), lambda: r("exists", k), lambda: r("type", k),
            lambda: r("strlen", k), lambda: r("mget", *rnd.sample(self.keys, 2)), lambda: r("llen", k),
            lambda: r("lrange", k, rnd.randint(-3, 2), rnd.randint(-3, 3)), lambda: r("hget", k, pick("fgh")),
            lambda: r("hgetall", k), lambda: r("hlen", k), lambda: r("smembers", k), lambda: r("sismember", k, pick("abc")),
            lambda: r("scard", k), lambda: r("zrange", k), lambda: r("zcard", k), lambda: r("zscore", k, pick("abc")),
            lambda: "file.read(%s)" % lua(f), lambda: "file.lines(%s)" % lua(f), lambda: "file.hash(%s)" % lua(f),
            lambda: "stat(%s)" % lua(f), lambda: "file.list(%s)" % lua(self.dir),
            lambda: self.call("dotenv", "get", n), lambda: self.call("dotenv", "all"), lambda: self.call("dotenv", "has", n),
            lambda: self.call("dotenv", "has", n, pick("abc"))])()

    def change(self):
        k, k2, f, g, n = pick(self.keys), pick(self.keys), pick(self.files), pick(self.files), pick(self.names)
        r = lambda *a: self.call("redis", *a)
        def setting():
            o = {}
            if chance(.35): o["ex"] = pick(["90s", "10m", "2h"] + (["1s"] * 3 if self.sleeps else []))
            elif chance(.2): o["keepttl"] = True
            if chance(.3): o[pick(["nx", "xx"])] = True
            return r("set", k, pick(WORDS), *([o] if o else []))
        def expire(): return r("expire", k, pick(["3m", "1h"] + (["1s"] * 2 if self.sleeps else [])))
        return pick([
            setting, setting, setting, lambda: r("del", k), lambda: r("del", k, k2), expire, expire, lambda: r("persist", k),
            lambda: r("rename", k, k2), lambda: r("incr", k), lambda: r("incrby", k, rnd.randint(-9, 99)), lambda: r("decr", k),
            lambda: r("decrby", k, 3), lambda: r("append", k, pick(WORDS)), lambda: r("lpush", k, "l", "m"),
            lambda: r("rpush", k, pick(WORDS)), lambda: r("lrem", k, pick([0, 1, -1]), pick("ab")),
            lambda: r("hset", k, pick("fgh"), pick(WORDS)), lambda: r("hdel", k, pick("fg"), "h"),
            lambda: r("sadd", k, pick("abc"), "d"), lambda: r("srem", k, pick("abc")),
            lambda: r("zadd", k, rnd.randint(0, 9), pick("abc")), lambda: r("zrem", k, pick("abc")),
            lambda: r("command", *pick([["GETSET", k, "g"], ["SETNX", k, "n"], ["GETDEL", k], ["SETEX", k, "70", "e"],
                                        ["SETRANGE", k, "1", "zz"], ["INCRBYFLOAT", k, "1.5"], ["COPY", k, k2], ["LPOP", k],
                                        ["RENAMENX", k, k2], ["PEXPIRE", k, "70000"], ["MSET", k, "1", k2, "2"], ["UNLINK", k]])),
            lambda: "file.write(%s, %s%s)" % (lua(f), lua(pick(WORDS)), pick(["", "", ', { mode = "0600" }'])),
            lambda: "file.write(%s, %s)" % (lua(f), lua(pick(WORDS))),
            lambda: "file.copy(%s, %s)" % (lua(f), lua(g)), lambda: "file.move(%s, %s)" % (lua(f), lua(g)),
            lambda: "file.remove(%s)" % lua(f),
            # a mode that is changed under another name is seen by probes, not in a remedy's `before`
            lambda: self.change() if self.linked == "link" else "file.chmod(%s, %s)" % (lua(f), lua(pick(["0600", "0640", "0755"]))),
            lambda: self.call("dotenv", "set", n, pick(LINES)), lambda: self.call("dotenv", "set", n, pick(["1", "a,b"])),
            lambda: self.call("dotenv", "unset", n), lambda: self.call("dotenv", "add", n, pick("abc")),
            lambda: self.call("dotenv", "remove", n, pick("abc"))])()


HEAD = '''local s = {}
for i = 0, %d do s[i] = system("e" .. i) end
local function stat (p)
  local t = file.stat(p)
  if t then t.modified = nil end
  return t
end
local function show (v)
  if type(v) == "table" then
    local out = {}
    for k, x in pairs(v) do out[#out + 1] = show(k) .. "=" .. show(x) end
    return "{" .. table.concat(out, ",") .. "}"
  end
  if type(v) == "string" then return string.format("%%q", v) end
  return tostring(v)
end
local function look (run, id, fn)
  local v, err = run:try(fn)
  run:finding(id, err and "error" or show(v))
end
'''


def script(batch, sleeps, results):
    """the text, and for each finding what it is"""
    out, names = [HEAD % (len(batch) - 1), 'return runbook { title = "Property", limits = { redis_keys = 100000, files = 100000 },\n'], {}
    for _ in range(OPS):
        for c in batch:
            i = "r%d" % len(names)
            if sleeps and c is batch[0] and chance(.15):
                out.append('step "%s" { probe = function (run) run:sleep("1100ms") end },\n' % i); names[i] = "sleep"
                continue
            if chance(.5):
                names[i] = c.look()
                out.append('step "%s" { on_failure = "continue", probe = function (run) look(run, "%s", function () return %s end) end },\n'
                           % (i, i, names[i]))
            else:
                names[i] = c.change()
                wanted = results and chance(.2)  # one that cannot be known ends all knowledge
                out.append('step "%s" { on_failure = "continue", remedy = function (run) %s end },\n' % (
                    i, 'run:finding("%s", show(%s))' % (i, names[i]) if wanted else names[i]))
    return "".join(out) + "}\n", names


def run(path, config, *mode):
    p = subprocess.run([runbook, "run", path, "--config", config, "--json", *mode], capture_output=True, stdin=subprocess.DEVNULL)
    try: d = json.loads(p.stdout.decode("utf-8", "replace"))
    except ValueError: sys.exit("not ok - no JSON (exit %d)\n%s" % (p.returncode, p.stderr.decode("utf-8", "replace")))
    if d["error"] and d["error"]["kind"] in ("script", "usage", "config"): sys.exit("not ok - %s" % d["error"])
    return {s["title"]: s for s in d["steps"]}, {f["name"]: f["value"] for f in d["findings"]}


def near(a, b):
    """an expiry may have gone on by a moment"""
    try: return abs(int(a) - int(b)) <= 4
    except (TypeError, ValueError): return False


def shown(v):
    """before and after, without how long it still lasts"""
    return {k: shown(x) for k, x in v.items() if k != "ttl"} if isinstance(v, dict) else v


def batch(number, size, sleeps):
    global wrong, reads, deeds, results
    cs = [Case(i, sleeps) for i in range(size)]
    subprocess.run(["rm", "-rf", folder + "/w"]); os.makedirs(folder + "/w")
    config, path = folder + "/config.lua", folder + "/t.lua"
    r = subprocess.Popen(["redis-cli", "-p", port], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    text = ["FLUSHALL"]
    for c in cs:
        text += [" ".join('"%s"' % "".join("\\x%02x" % b for b in w.encode("utf-8", "replace")) for w in cmd) for cmd in c.redis()]
        c.write()
    r.communicate("\n".join(text).encode() + b"\n")
    if os.path.exists(config): os.remove(config)
    with open(config, "w") as f:
        f.write('return { target = "t", targets = { t = { kind = "sandbox", allow = { files = { "%s/w" } }, systems = { %s } } } }\n' % (
            folder, ", ".join('e%d = { %sdotenv = "%s/.env" }' % (i, "" if i else 'redis = "redis://127.0.0.1:%s/0", ' % port, c.dir)
                              for i, c in enumerate(cs))))
    os.chmod(config, 0o600)
    body, names = script(cs, sleeps, number % 3 == 0)
    with open(path, "w") as f: f.write(body)
    (dry, said), (real, read) = run(path, config, "--dry-run"), run(path, config, "--yes")

    def bad(i, what, a, b):
        global wrong
        wrong += 1
        print("not ok - batch %d, %s: %s\n#   dry:  %s\n#   real: %s" % (number, i, names[i], what + " " + str(a), b))
        keep = folder + "/failed-%d.lua" % number
        if not os.path.exists(keep):
            with open(keep, "w") as f: f.write(body)

    for i, what in names.items():
        d, r = dry[i], real[i]
        for e, f in zip(d["effects"], r["effects"]):
            if e["kind"] == "probe" and e.get("read") in ("predicted", "real", None) and i in said:
                reads += 1
                if said[i] != read.get(i) and not (".redis:ttl" in what and near(said[i], read.get(i))):
                    bad(i, "%s (%s)" % (said[i], e.get("read")), "", read.get(i))
            # what rests on a deed that nobody can foresee says so
            if e["kind"] != "remedy" or e["verdict"] == "cannot predict" or e.get("assumes"): continue
            if "unknown" in ((e["before"] or {}).get("type"), (e["after"] or {}).get("type")): continue
            deeds += 1
            outcome = "failed" if e["verdict"] == "would refuse" else "done"
            if f["outcome"] != outcome: bad(i, e["verdict"], e["reason"], (f["outcome"], f["reason"]))
            elif outcome == "failed": continue
            elif (e["verdict"] == "nothing to do") != (r["status"] == "unchanged"): bad(i, e["verdict"], e["reason"], r["status"])
            elif shown(e["before"]) != shown(f["before"]) or shown(e["after"]) != shown(f["after"]):
                bad(i, "%s -> %s" % (e["before"], e["after"]), "", "%s -> %s" % (f["before"], f["after"]))
            if i in said:
                results += 1
                if said[i] != read.get(i): bad(i, "result", said[i], read.get(i))


wrong = reads = deeds = results = done = 0
number = 0
while done < cases:
    number += 1
    batch(number, min(BATCH, cases - done), number % 4 == 0)
    done += BATCH
print("# seed %d: %d cases, %d reads that were called predicted or real, %d deeds with a verdict, %d results: %d differ"
      % (seed, cases, reads, deeds, results, wrong))
if reads < cases or deeds < cases: print("not ok - too little was compared"); wrong += 1
sys.exit(1 if wrong else 0)
