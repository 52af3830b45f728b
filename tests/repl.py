# repl.py RUNBOOK - types into `runbook repl` on a terminal of its own, and reads the screen.
# A test is a line "ok - ..." or "not ok - ...", as tests/lib.sh has them.
import os, pty, re, select, signal, subprocess, sys, termios, time

passed = failed = 0
signal.alarm(120)

class Terminal:
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ["LC_ALL"] = "C.UTF-8"
            os.execv(sys.argv[1], [sys.argv[1], "repl", *args])
        self.raw = self.seen = ""

    # one piece more, without what moves the cursor; False: it has ended
    def more(self):
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += got.decode(errors="replace").replace("\r", "")
        cut = self.raw.rfind("\x1b") if re.search("\x1b[^A-Za-z]*$", self.raw) else len(self.raw)
        self.seen += re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", self.raw[:cut])
        self.raw = self.raw[cut:]
        return bool(got)

    # what has come since the last call, up to that text
    def until(self, text, seconds=20):
        end = time.time() + seconds
        while text not in self.seen and time.time() < end:
            if select.select([self.fd], [], [], 0.1)[0] and not self.more():
                break
        at = self.seen.find(text)
        got = self.seen[:at + len(text)] if at >= 0 else self.seen
        self.seen = self.seen[len(got):]
        return got, at >= 0

    # is a line being edited? Only then the terminal leaves the keys alone
    def editing(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    # keys, once a line is read (busy: once none is), and all has come that was said before
    def type(self, keys, text=")> ", seconds=20, busy=False):
        end = time.time() + seconds
        while self.editing() == busy and time.time() < end:
            time.sleep(0.002)
        while select.select([self.fd], [], [], 0.02)[0] and self.more():
            pass
        self.seen = ""
        os.write(self.fd, keys.encode())
        return self.until(text, seconds)

    def end(self):
        self.until("no such text", 60)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

def check(what, right, got=""):
    global passed, failed
    if right:
        passed += 1
        print("ok - " + what)
    else:
        failed += 1
        print("not ok - " + what)
        for line in str(got).splitlines():
            print("#   " + line)

t = Terminal()
banner, _ = t.until("(read-only)> ")
check("the banner names target and systems", "on local (sandbox)" in banner and "school_erp" in banner, banner)
got, _ = t.type("1 + 1\n")
check("an expression is shown", "\n2\n" in got, got)

got, _ = t.type('erp = system "sch\t', 'ool_erp"')
check("Tab completes a system", got.endswith('ool_erp"'), got)
t.type("\n")
got, _ = t.type("erp.re\t", "dis")
check("Tab completes a resource", got.endswith("dis"), got)
got, _ = t.type(":ge\t", "get")
check("Tab completes a primitive", "get" in got, got)
got, _ = t.type("\x15erp.redis:s\t\t", "sismember(")
check("two Tabs list what there is", "set(" in got and "scan(" in got, got)
got, _ = t.type("\x03")
check("Ctrl-C drops the line, not the session", "(read-only)> " in got, got)
got, _ = t.type('"k\t\x03')
check("Tab in a text changes nothing", "(read-only)> " in got, got)
got, _ = t.type('erp.redis:ttl "repl:wh\t', 'repl:what is it?')
check("Tab completes a key", got.endswith("repl:what is it?"), got)
t.type("\x03")
subprocess.run(["redis-cli", "-u", os.environ["ADMIN"], "--no-auth-warning", "EVAL",
                "for i = 1, 100000 do redis.call('SET', 'hay:' .. i, 1) end "
                "redis.call('SET', 'needle:in the hay', 1)", "0"], capture_output=True, check=True)
got, found = t.type('erp.redis:ttl "needle:\t', "the hay", 0.2)
for _ in range(80):  # a Tab looks for a moment, and the next goes on from there
    if not found:
        got, found = t.type("\t", "the hay", 0.2)
check("Tab again looks further", found, got)
t.type("\x03")
got, _ = t.type('erp.pg:query "SELECT * FROM greenwood_high.user_se\t', "greenwood_high.user_sessions")
check("Tab completes a table", got.endswith("user_sessions"), got)
got, _ = t.type(' WHERE revoke_r\t', "revoke_reason")
check("Tab completes a column", got.endswith("revoke_reason"), got)
t.type("\x03")

got, _ = t.type("for i = 1, 2 do\n", "...> ")
check("a statement goes on in the next line", "...> " in got, got)
t.type("run:note(\"n\" .. i)\n", "...> ")
got, _ = t.type("end\n")
check("and runs when it is whole", "n1" in got and "n2" in got, got)
t.type("for i = 1, 2 do\n", "...> ")
got, _ = t.type("\x03")
check("Ctrl-C drops a statement that goes on", "(read-only)> " in got, got)

t.type("while true do end\n", "\n")
got, _ = t.type("\x03", busy=True)
check("Ctrl-C ends a loop, not the session", "interrupted" in got, got)
t.type("exec.probe { \"sleep\", \"60\" }\n", "\n")
got, _ = t.type("\x03", busy=True)
check("Ctrl-C ends a call, not the session", "interrupted" in got and "(read-only)> " in got, got)

got, _ = t.type("erp.redis:set(\"repl:t\", \"1\")\n")
check("a remedy is previewed", "not done: read-only" in got and "before" in got, got)
got, _ = t.type(":live 4s a look\n")
check("armed: the prompt says so, and for how long", "(LIVE " in got, got)
t.type("erp.redis:set(\"repl:t\", \"1\")\n")
got, _ = t.type("erp.redis:get \"repl:t\"\n")
check("armed: it is done", '"1"' in got, got)
time.sleep(4)
got, _ = t.type("\n")
check("the time over: read-only again", "read-only again" in got and "(read-only)> " in got, got)
got, _ = t.type("erp.redis:set(\"repl:t\", \"2\")\n")
check("and previewed again", "not done: read-only" in got, got)
t.type(":live\n")
t.type(":undo\n")
got, _ = t.type("erp.redis:get \"repl:t\"\n")
check(":undo takes it back", "nil" in got, got)
got, _ = t.type(":dry\n")
check(":dry disarms", "(read-only)> " in got, got)

got, _ = t.type("\x1b[A\x1b[A\n")
check("the arrow brings an earlier line", '"repl:t"' in got, got)
got, _ = t.type("\x121 +", "1 + 1")
check("Ctrl-R finds one", "1 + 1" in got, got)
got, _ = t.type("\n", "\n2\n")
check("and Enter runs it", "\n2\n" in got, got)
t.type("\x12zz", "bck")
got, _ = t.type("\x03")
check("Ctrl-C in a search leaves the session alone", "(read-only)> " in got, got)
got, _ = t.type(":lve\n")
check("a misspelt word: the nearest", "did you mean :live?" in got, got)
got, _ = t.type("erp.redis:gte \"k\"\n")
check("a misspelt primitive: the nearest", "did you mean 'get'?" in got, got)
t.type("\x04", "\n")
check("Ctrl-D leaves, with 0", t.end() == 0)

t = Terminal()
t.until(")> ")
got, _ = t.type("\x1b[A\x1b[A", ":lve")
check("the next session has the history", ":lve" in got, got)
t.type("\x03")
t.type(":quit\n", "\n")
check(":quit leaves, with 0", t.end() == 0)

t = Terminal("--target", "prod")
got, _ = t.until(")> ")
check("another target: its name in the prompt", "prod (read-only)> " in got, got)
got, _ = t.type(":live\n", "[y/N]")
check("production asks before it is armed", "prod is production" in got, got)
got, _ = t.type("n\n", busy=True)
check("no: read-only as before", "prod (read-only)> " in got, got)
t.type("\x04", "\n")
t.end()
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
