#!/usr/bin/env python3
"""killed.py - runs that are killed while their tape is written: is all of it there?

    killed.py RUNBOOK PRELOAD FOLDER KILLS SEED

Each run writes files, one remedy for each, so that what was done is counted by what lies
in its folder. Two of them at a time use one tape. Half are killed from outside, after a
random time; half kill themselves in the middle of a write to the tape, or before or after
a sync of it (storage.c). After each: its chain fits, each file has its intent, and there is
at most one intent more than files. At the end all of the tape fits.
"""
import os, random, signal, sqlite3, subprocess, sys, time

runbook, preload, folder, kills, seed = sys.argv[1:4] + [int(s) for s in sys.argv[4:6]]
random.seed(seed)
tape = os.path.join(os.environ["XDG_STATE_HOME"], "runbook", "tape.db")
script = os.path.join(folder, "t.lua")
with open(script, "w") as f:
    f.write('''return runbook { title = "Files", params = { dir = { "string" } },
  step "Write them" { remedy = function (run)
    for i = 1, 40 do
      file.stat(run.dir)
      file.write(run.dir .. "/" .. i, "x")
    end
  end } }''')


def begin(n, environment):
    work = os.path.join(folder, "work", str(n))
    os.makedirs(work)
    run = subprocess.Popen([runbook, "run", script, "dir=" + work], env={**os.environ, **environment},
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    run.work = work
    return run


def fits(*run):
    done = subprocess.run([runbook, "verify", *run], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("verify: " + done.stderr)


def check(run):
    """of a run that is over: 0, or the numbers that do not fit"""
    db = sqlite3.connect("file:%s?mode=ro" % tape, uri=True, timeout=10)
    files = [f for f in os.listdir(run.work) if f[0] != "."]  # those that are whole
    row = db.execute("SELECT id FROM run WHERE params LIKE ?", ('%%"%s"%%' % run.work,)).fetchone()
    if row is None:
        if files:
            sys.exit("%d files, and the run is not on the tape" % len(files))
        return None
    intents = [os.path.basename(text.split(run.work + "/")[1].split('"')[0].split(" ")[0]) for (text,) in db.execute(
        "SELECT text FROM event WHERE run = ? AND kind = 'intent' ORDER BY seq", row)]
    outcomes = db.execute("SELECT count(*) FROM event WHERE run = ? AND kind = 'outcome' AND verb = 'file.write'",
                          row).fetchone()[0]
    db.close()
    lost = [f for f in files if f not in intents]
    if lost or not outcomes <= len(files) <= len(intents) <= outcomes + 1:
        sys.exit("%d files, %d intents, %d outcomes; without an intent: %s" % (
            len(files), len(intents), outcomes, lost))
    fits(row[0])
    return len(files)


whole = begin("whole", {})
began = time.monotonic()
if whole.wait() != 0 or check(whole) != 40:
    sys.exit("the undisturbed run failed")
length = time.monotonic() - began

killed = inside = deeds = n = 0
while killed < kills:
    pair = []
    for half in range(2):
        n += 1
        run = begin(n, {} if half == 0 else {
            "LD_PRELOAD": preload, "STORAGE_FILE": "tape.db", "STORAGE_KILL": str(random.randint(1, 260)),
            "STORAGE_PART": str(random.randint(0, 99))})
        pair.append(run)
    time.sleep(random.uniform(0, length * 1.2))
    pair[0].send_signal(signal.SIGKILL)
    for run in pair:
        died = run.wait() == -signal.SIGKILL
        done = check(run)
        killed += died
        inside += died and done is not None and 0 < done < 40
        deeds += done or 0
fits()
print("%d kills, %d of them between the first and the last of 40 changes; %d changes counted, each with its intent"
      % (killed, inside, deeds))
