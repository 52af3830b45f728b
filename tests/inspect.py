# inspect.py RUNBOOK - a run fails on a terminal, and a person looks around inside of it
import os, time
from prompt import Terminal, check, finish

t = Terminal(command=["run", "bad.lua"])
got, asked = t.until("[i]nspect or [q]uit?")
check("a run that failed asks, and offers to look", asked, got)
got, _ = t.type("i\n", busy=True)
check("inside of the field that failed, and why", "Inside in two/probe, which failed: row 2 is riverside" in got, got)
for text, shown in (("i", "\n2\n"), ("row.slug", '"riverside"'), ("longest", "\n9\n"), ("rows", "(3 rows)"),
                    ("run.tenant", '"riverside"'), ("key(run)", '"bad:riverside"'),
                    ("erp.redis:get(key(run))", '\n"1"\n'), ("hidden", "\n2\n")):
    got, _ = t.type(text + "\n")
    check("there is " + text, shown in got, got)
got, _ = t.type('erp.redis:set("bad:x", "1")\n')
check("a change is previewed", "not done: read-only" in got, got)
got, _ = t.type(":live\n")
check("and cannot be made real", "nothing is changed" in got, got)
got, _ = t.type("\x04", "[q]uit?")
check("Ctrl-D leads back to the question", "[q]uit?" in got, got)
got, _ = t.type("r\n", "[q]uit?", busy=True)
check("the run goes on as if nobody had looked", "row 2 is riverside" in got, got)
got, _ = t.type("q\n", "no such text", 20, busy=True)
check("and ends as it had", t.end() == 1)

t = Terminal("book.lua", "--at", "two", "tenant=riverside")
got, _ = t.until(")> ")
check("--at: before that step", "Inside before step 2, two" in got, got)
got, _ = t.type("run.found\n")
check("what the steps before it have found is there", "\n3\n" in got, got)
got, _ = t.type("erp.redis:get(key(run))\n")
check("and what they would have set, as a dry run knows it", '"planned"' in got, got)
got, _ = t.type("1 + 1\n")
got, _ = t.type("erp.redis:get(key(run))\n")
check("also for the next statement", '"planned"' in got, got)
t.type("\x04", "\n")
check("Ctrl-D leaves, with 0", t.end() == 0)
finish()
