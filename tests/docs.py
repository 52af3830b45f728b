#!/usr/bin/env python3
"""docs.py - runs what the documents show, and compares what they say comes of it

In an indented block, a line "$ COMMAND" is run in one shell per document, and the
lines below it are what it prints, both streams, as it is without a terminal; without
lines below it, it has to succeed; of make it is only asked whether there is such a
target. "..." stands for any lines. What differs from run
to run (times, names of runs, ports, paths, versions) is taken for the same.

An indented line "runbook ..." without "$" is a command, too, up to three spaces; it
must be well formed, and one with words in capitals must exist. A fenced block of
Lua is loaded: as a runbook, a configuration, or a piece of one.

<!-- test: COMMAND --> is run in that shell, unseen. <!-- file: NAME --> saves the
next fenced block as that file.

usage: docs.py TOP FOLDER RUNBOOK FILE...
"""
import os, re, subprocess, sys

top, folder, runbook = sys.argv[1:4]
home = os.environ["HOME"]
sandbox = os.environ["SANDBOX_DIR"]
user = subprocess.check_output(["id", "-un"], text=True).strip()
MARK = "\x01done "


class Shell:
    """bash that keeps its variables from command to command"""

    def __init__(self):
        self.p = subprocess.Popen(["bash", "--norc"], cwd=folder, text=True, bufsize=0,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, errors="replace")

    def run(self, command):
        self.p.stdin.write("{ %s\n} </dev/null; rc=$?; echo; echo '%s'$rc\n" % (command, MARK))
        lines = []
        for line in self.p.stdout:
            if line.startswith(MARK):
                if lines and lines[-1] == "":
                    lines.pop()
                return lines, int(line[len(MARK):])
            lines.append(line.rstrip("\n"))
        return lines + ["(the shell ended)"], 2

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def same(line):
    """a line without what differs from run to run"""
    for was, now in ((sandbox, "<sandbox>"), ("/home/kim/runbook/build/sandbox", "<sandbox>"),
                     (folder, "<clone>"), (top, "<clone>"), ("/home/kim/runbook", "<clone>"),
                     (home, "<home>"), ("/home/kim", "<home>")):
        line = line.replace(was, now)
    line = re.sub(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "<run>", line)
    line = re.sub(r"\b(resume|undo) [0-9A-HJKMNP-TV-Z]{8}\b", r"\1 <run>", line)
    line = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", line)
    line = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "<when>", line)
    line = re.sub(r"\b\d\d:\d\d:\d\d\b", "<when>", line)
    line = re.sub(r"\b(\d+m )?\d+(\.\d+)? m?s\b", "<time>", line)
    line = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:<port>", line)
    line = re.sub(r"\bpid \d+", "pid <n>", line)
    line = re.sub(r"\b\d+ events", "<n> events", line)
    line = re.sub(r"PostgreSQL \d[^,]*", "PostgreSQL <version>", line)
    line = re.sub(r"(redis version\s+)\S+", r"\1<version>", line)
    line = re.sub(r"\b(%s|kim)\b( on \S+)?" % re.escape(user), "<user>", line)
    line = re.sub(r" +", " ", line).strip()
    return re.sub(r" <time>$", "", line)


def matches(got, want):
    got = [same(l) for l in got]
    want = [same(l) for l in want]
    while got and got[-1] == "":
        got.pop()
    i = 0
    while want:
        if want[0] == "...":
            rest = want[1:]
            return not rest or any(matches(got[k:], rest) for k in range(i, len(got)))
        if i == len(got) or got[i] != want[0]:
            return False
        i, want = i + 1, want[1:]
    return i == len(got)


def blocks(text):
    """(kind, first line, lines): "shell" indented, "lua" fenced, "test", "file" """
    lines = text.split("\n")
    i = 0
    while i < len(lines):
        line, start = lines[i], i + 1
        comment = re.match(r"<!-- (test|file): (.*) -->$", line)
        fence = re.match(r"(```|~~~)(\w*)$", line)
        if comment:
            yield comment[1], start, [comment[2]]
        elif fence:
            i += 1
            begin = i
            while not lines[i].startswith(fence[1]):
                i += 1
            yield fence[2] or "text", start, lines[begin:i]
        elif line.startswith("    ") and (i == 0 or lines[i - 1] == ""):
            begin = i
            while i < len(lines) and (lines[i] == "" or lines[i].startswith("    ")):
                i += 1
            i -= 1
            block = [l[4:] for l in lines[begin:i + 1]]
            while block and block[-1] == "":
                block.pop()
            yield "shell", start, block
        i += 1


def report(ok, name, *detail):
    print(("ok - " if ok else "not ok - ") + name)
    if not ok:
        for d in detail:
            print("#   " + d)
    sys.stdout.flush()


def session(shell, where, start, block):
    at = [i for i, l in enumerate(block) if l.startswith("$ ")]
    for k, i in enumerate(at):
        want = block[i + 1:at[k + 1] if k + 1 < len(at) else len(block)]
        while want and want[0].startswith("> "):   # the command goes on
            block[i] += "\n" + want.pop(0)[2:]
        while want and want[-1] == "":
            want = want[:-1]
        command = block[i][2:]
        if command.startswith("make "):   # it would build, or start servers: is it there?
            command, want = "make -n -C '%s' %s" % (top, command[5:]), []
        got, code = shell.run(command)
        ok = matches(got, want) if want else code == 0
        report(ok, "%s:%d: %s" % (where, start + i, block[i].split("\n")[0]), "exit %d" % code,
               *(["shown: " + same(l) for l in want] + ["seen:  " + same(l) for l in got]))


def commands(shell, where, start, block):
    for i, line in enumerate(block):
        line = re.split(r" {3,}#?|  # ", line)[0]
        if line.startswith("make "):
            got, code = shell.run("make -n -C '%s' %s" % (top, line[5:]))
            report(code == 0, "%s:%d: %s" % (where, start + i, line), *got[:5])
        if not line.startswith("runbook "):
            continue
        if re.search(r"\b[A-Z]{3,}\b", line):   # a form: all its commands must exist
            for word in re.findall(r"(?:^runbook|\|) ([a-z]+)", line):
                got, code = shell.run("'%s' help %s" % (runbook, word))
                report(code == 0, "%s:%d: runbook %s" % (where, start + i, word), *got[:5])
        else:
            got, code = shell.run(line)
            report(code != 2, "%s:%d: %s" % (where, start + i, line), *got[:10])


def loads(text, command):
    path = os.path.join(folder, "snippet.lua")
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)
    p = subprocess.run([runbook] + command + [path], cwd=folder, text=True,
                       capture_output=True, env=dict(os.environ, **later(text)))
    os.unlink(path)
    return p.returncode == 0, (p.stdout + p.stderr).split("\n")[:6]


def later(text):
    """what a configuration takes from the environment"""
    return {name: "postgresql://u@127.0.0.1/d" for name in
            re.findall(r'(?:env|secret) "([A-Z_]+)"', text)}


PIECES = (  # of which the first that loads is what it is
    "%s",
    'return runbook { title = "t", %s }',
    'return runbook { title = "t", %s step "s" { probe = function () end } }',
    'local erp = system "school_erp"\nreturn runbook { title = "t", step "s" { %s } }',
    'local erp = system "school_erp"\nreturn runbook { title = "t", '
    'step "s" { probe = function (run)\n%s\nend } }',
)


def lua(where, start, block):
    text = "\n".join(block) + "\n"
    name = "%s:%d: Lua loads" % (where, start)
    if "return tests" in text:   # a session below runs it
        return
    if "targets" in text and "return runbook" not in text:
        ok, why = loads(text, ["list", "--config"])
        return report(ok, name + " (a configuration)", *why)
    tried = []
    for piece in PIECES:
        if (piece == "%s") != ("return runbook" in text):
            continue
        ok, why = loads(piece % text, ["show"])
        if ok:
            return report(True, name)
        tried += why[:1]
    report(False, name, *tried)


def document(path):
    where = os.path.relpath(path, top)
    shell = Shell()
    save = None
    with open(path) as f:
        text = f.read()
    for kind, start, block in blocks(text):
        if kind == "test":
            got, code = shell.run(block[0])
            report(code == 0, "%s:%d: (unseen) %s" % (where, start, block[0]), *got[-8:])
        elif kind == "file":
            save = block[0]
        elif kind == "shell" and any(l.startswith("$ ") for l in block):
            session(shell, where, start, block)
        elif kind == "shell":
            commands(shell, where, start, block)
        elif kind == "lua":
            lua(where, start, block)
        if save and kind not in ("file", "test", "shell"):
            with open(os.path.join(folder, save), "w") as f:
                f.write("\n".join(block) + "\n")
            save = None
    shell.close()


for each in sys.argv[4:]:
    document(each)
