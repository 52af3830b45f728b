# skip.py RUNBOOK BOOK KEYS... - runs BOOK on a terminal, and answers each "[q]uit?" with the next
# of KEYS; "!" kills the run in its third step. What was seen and the exit code are printed.
import os, signal, sys
import prompt

book, keys = sys.argv[2], sys.argv[3:]
t = prompt.Terminal(command=book.split())
seen = ""
for key in keys:
    got, asked = t.until("[q]uit? ")
    seen += got
    if not asked:
        break
    os.write(t.fd, (key.rstrip("!") + "\n").encode())
    if key.endswith("!"):
        seen += t.until("Three ...")[0]
        t.until("no such text", 1)  # what is said is on the tape by then
        os.kill(t.pid, signal.SIGKILL)
    elif key == "u":
        seen += t.until("[y/N] ")[0]
        os.write(t.fd, b"y\n")
while t.more():
    pass
print(seen + t.seen)
print("exit", os.waitstatus_to_exitcode(os.waitpid(t.pid, 0)[1]))
