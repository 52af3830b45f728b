# prompt.py - `runbook repl` on a terminal of its own: keys are typed, the screen is read.
# A test is a line "ok - ..." or "not ok - ...", as tests/lib.sh has them.
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

passed = failed = 0
signal.alarm(120)

class Terminal:
    def __init__(self, *args, command=None, env={}):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ["LC_ALL"] = "C.UTF-8"
            os.environ["PAGER"] = "echo paged $(wc -l) lines"
            os.environ.update(env)
            os.execv(sys.argv[1], [sys.argv[1], *(command or ["repl", *args])])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
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

def finish():
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)
