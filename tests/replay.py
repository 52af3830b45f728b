#!/usr/bin/env python3
# replay.py - random concurrent scripts replay exactly, and survive kill -9
#
#   replay.py RUNBOOK PORT FOLDER SEED CASES
#
# A script has random run:each in one another, latencies, failures that are caught, looks
# that are repeated, and one table in which all branches write what they saw, in the order
# in which they saw it. At its end it writes that table to a file, so that a replay
# which saw anything else asks for another effect and exits 4. Every script is run and
# replayed. Then half of them are killed at a random time, resumed (and often killed
# then, too) and replayed; the others fail in their middle, are resumed when the cause is
# mended, and replayed; of every third an export replays, too. Each of its deeds counts itself, on Redis or in a file.
import json, os, random, re, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor

runbook, port, folder, seed, cases = sys.argv[1:4] + [int(a) for a in sys.argv[4:]]


class Script:
    def __init__(self, rnd, dir, db):
        self.rnd, self.dir, self.db = rnd, dir, db
        self.keys, self.commands, self.added, self.names = [], [], [], 0
        self.text = ""

    def key(self, inside):
        """a name of its own for each turn of the loops around it: Lua, and all of them"""
        self.names += 1
        all = ["%s%d" % (self.db, self.names)]
        for var, n in inside: all = ["%s.%d" % (k, i) for k in all for i in range(1, n + 1)]
        return '"%s%d"' % (self.db, self.names) + "".join(' .. "." .. %s' % v for v, _ in inside), all

    def line(self, inside, text): self.text += "    " + "  " * len(inside) + text + "\n"

    def saw(self, inside, value):
        at = " .. ".join(['"%d"' % self.names] + ['"." .. %s' % v for v, _ in inside])
        self.line(inside, "see(%s, %s)" % (at, value))

    def deed(self, inside):
        name, all = self.key(inside)
        kind = self.rnd.choice(["incr", "incr", "write"] if inside else ["incr", "add", "write", "run"])
        if kind == "run":   # nobody can tell by looking: the test knows
            self.commands += all
            self.line(inside, 'exec.run { "sh", "-c", "echo %s >> %s/log" }' % (all[0], self.dir))
        elif kind == "write":
            self.saw(inside, 'file.write("%s/" .. %s, token.hex(8))' % (self.dir, name))
        elif kind == "add":   # not in branches: they would refuse one another's file
            self.added += all
            self.saw(inside, 'app.dotenv:add("LIST", %s)' % name)
        else:
            self.keys += all
            self.saw(inside, "app.redis:incr(%s)" % name)

    def look(self, inside):
        self.names += 1
        ms, pick = self.rnd.randint(0, 12), self.rnd.randint(0, 8)
        if pick <= 1: self.saw(inside, 'exec.probe({ "sh", "-c", "sleep 0.%03d; echo $$" }).stdout' % ms)
        elif pick == 2: self.line(inside, 'run:sleep("%dms")' % ms)
        elif pick == 3: self.saw(inside, "time.now()")
        elif pick == 4: self.saw(inside, 'file.stat("%s/log")' % self.dir + " ~= nil")
        elif pick == 5: self.saw(inside, 'app.dotenv:get("LIST")')
        elif pick == 6: self.saw(inside, "#seen .. random.integer(1, 1000)")
        elif pick == 7: self.saw(inside, "app.redis:dbsize()")
        else:
            self.saw(inside, 'run:wait_until("it", { every = "3ms", within = "20s" }, function () '
                     'return app.redis:ping() and count() %% %d == 0 end)' % self.rnd.randint(1, 4))

    def caught(self, inside):
        self.names += 1
        how = self.rnd.choice(["pcall", "run:try", "shared"])
        bad = self.rnd.choice(['run:fail("no")', 'file.read("%s/none")' % self.dir, 'app.redis:llen("a string")', 'error({})'])
        if how == "shared": bad = 'if #seen % 2 == 0 then run:fail("even") end'
        call = "run:try(function ()" if how == "run:try" else "pcall(function ()"
        self.line(inside, "local ok, err = %s" % call)
        self.block(inside, 1)
        self.line(inside, "  %s" % bad)
        self.line(inside, "end)")
        self.saw(inside, "tostring(ok) .. (type(err) == 'table' and err.message or '')")

    def each(self, inside):
        n, var = self.rnd.randint(2, 5), "i%d" % len(inside)
        items = "{ %s }" % ", ".join(str(i) for i in range(1, n + 1))
        fails = self.rnd.random() < .3
        self.line(inside, "local ok, err = pcall(function () run:each(%s, { limit = %d }, function (%s)"
                  % (items, self.rnd.randint(1, n), var))
        self.block(inside + [(var, n)], self.rnd.randint(1, 3))
        if fails: self.line(inside, '  if %s %% 2 == 0 then run:fail("item") end' % var)
        self.line(inside, "end) end)")
        self.saw(inside, "tostring(ok) .. (err and err.message or '')")

    def block(self, inside, n):
        for _ in range(n):
            p = self.rnd.random()
            if p < .25 and len(inside) < 2 and n > 1: self.each(inside)
            elif p < .35 and n > 1: self.line(inside, "do"); self.caught(inside); self.line(inside, "end")
            elif p < .6: self.deed(inside)
            else: self.look(inside)

    def make(self):
        self.block([], 3)
        first, self.text = self.text, ""
        self.block([], 4)
        self.line([], 'if not file.stat("%s/go") then run:fail("not yet") end' % self.dir)
        self.block([], 2)
        return """local app = system "app"
local seen, turns = {}, 0
local function see(at, v) seen[#seen + 1] = at .. " " .. tostring(v) end
local function count() turns = turns + 1 return turns end
return runbook { title = "Random", limits = { redis_keys = 10000, files = 10000 },
  step "A" { remedy = function (run)
%s  end },
  step "B" { remedy = function (run)
%s    file.write("%s/seen", table.concat(seen, "\\n"))
  end } }
""" % (first, self.text, self.dir)


class Case:
    def __init__(self, n):
        self.n, self.rnd = n, random.Random("%d %d" % (seed, n))
        self.dir = "%s/%d" % (folder, n)
        self.work = self.dir + "/work"
        os.makedirs(self.work)
        self.script = Script(self.rnd, self.work, "c%d:" % n)
        with open(self.dir + "/t.lua", "w") as out: out.write(self.script.make())
        with open(self.dir + "/runbook.config.lua", "w") as out:
            out.write('return { target = "local", targets = { ["local"] = { kind = "sandbox",\n'
                      '  allow = { files = { "%s" }, programs = { "sh" } }, systems = { app = {\n'
                      '  redis = "redis://127.0.0.1:%s/0", dotenv = "%s/.env" } } } } }\n' % (self.work, port, self.work))
        self.env = dict(os.environ, XDG_STATE_HOME=self.dir + "/state", RUNBOOK_CONFIG=self.dir + "/runbook.config.lua")
        self.said, self.kills = "", 0
        self.fresh()

    def fresh(self, go=True):
        for f in os.listdir(self.work): os.remove(self.work + "/" + f)
        with open(self.work + "/.env", "w") as out: out.write("LIST=\n")
        if go: open(self.work + "/go", "w").close()
        if self.script.keys:
            subprocess.run(["redis-cli", "-p", port, "del"] + self.script.keys, stdout=subprocess.DEVNULL)

    def say(self, *args, after=None):
        """the exit code; after so many seconds it is killed"""
        p = subprocess.Popen([runbook, *args], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        if after is not None:
            try: p.wait(after)
            except subprocess.TimeoutExpired: p.kill()
        self.said = p.communicate()[0]
        if p.returncode == -signal.SIGKILL: time.sleep(.03)   # a command that it began comes to its end
        return p.returncode

    def want(self, what, got, expected):
        if got != expected: raise AssertionError("%s: %r, not %r\n%s" % (what, got, expected, self.said[-1500:]))

    def log(self):
        if not os.path.exists(self.work + "/log"): return []
        with open(self.work + "/log") as f: return f.read().split()

    def once(self):
        keys = self.script.keys
        got = subprocess.run(["redis-cli", "-p", port, "mget"] + keys, stdout=subprocess.PIPE, text=True).stdout.split() if keys else []
        self.want("each key is counted once", got, ["1"] * len(keys))
        with open(self.work + "/.env") as f: added = [w for w in f.read()[5:].strip().split(",") if w]
        self.want("each word is added once", added, self.script.added)
        self.want("each command ran once", self.log(), self.script.commands)

    def resume(self, after=None):
        code = self.say("resume", after=after)
        if code != 6: return code
        doubt = re.findall("echo (\\S+) >> \\S+ \\(\\S+\\) may or may not", self.said)
        if not doubt: return code
        return self.say("resume", "--in-doubt=" + ("done" if doubt[0] in self.log() else "retry"))

    def run(self):
        began = time.time()
        self.want("run", self.say("run", self.dir + "/t.lua"), 0)
        took = time.time() - began
        self.once()
        self.want("replay", self.say("replay"), 0)
        if self.n % 2: self.failed()
        else: self.killed(took)
        self.once()
        self.want("replay of what was resumed", self.say("replay"), 0)
        if self.n % 3 == 0:   # so does an export of it, without the tape and its keys
            file = self.dir + "/x.tape"
            self.want("export", self.say("tape", "export", "-o", file), 0)
            os.rename(self.dir + "/state", self.dir + "/away")
            self.want("replay of the export", self.say("replay", file), 0)
            os.rename(self.dir + "/away", self.dir + "/state")
        self.want("verify", self.say("verify"), 0)

    def failed(self):
        self.fresh(go=False)
        self.want("it fails", self.say("run", self.dir + "/t.lua"), 1)
        if self.n % 4 == 1: self.want("resumed, it fails again", self.say("resume"), 1)
        open(self.work + "/go", "w").close()
        self.want("resume of what failed", self.say("resume"), 0)

    def killed(self, took):
        self.fresh()
        code = self.say("run", self.dir + "/t.lua", after=self.rnd.uniform(.01, took))
        for i in range(4):
            if code != -signal.SIGKILL: break
            self.kills += 1
            code = self.resume(self.rnd.uniform(.02, took) if i < 2 and self.rnd.random() < .5 else None)
            if code == 2:   # it was at its end, or not on the tape yet
                self.say("history", "--json")
                code = 0 if len(json.loads(self.said)) == 2 else self.say("run", self.dir + "/t.lua")
        self.want("resume", code, 0)


def one(n):
    c = Case(n)
    try: c.run()
    except AssertionError as e: return n, c.kills, "%s: %s" % (c.dir, e)
    return n, c.kills, None


began = time.time()
with ThreadPoolExecutor(2) as pool: done = list(pool.map(one, range(cases)))
bad = [(n, why) for n, _, why in done if why]
for n, why in bad[:5]: print("case %d of seed %d: %s" % (n, seed, why))
print("# %d scripts, %d kills, %d differ, %.0f s" % (cases, sum(k for _, k, _ in done), len(bad), time.time() - began))
sys.exit(bool(bad))
