# lost.py RUNBOOK - connections are lost behind the back of `runbook repl` on a terminal
import os, signal, subprocess, time
from prompt import Terminal, check, finish

def run(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout
def psql(sql):
    return run("psql", "-qAtX", os.environ["ADMIN"], "-c", sql).strip()
def redis(*words):
    return run("redis-cli", "-u", os.environ["SANDBOX_REDIS_ADMIN_URL"], "--no-auth-warning", *words).strip()
def kill():
    psql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'runbook'")

pg = "school_erp.pg: the connection was lost (terminating connection due to administrator command)"
again = ", and has been made anew"
t = Terminal()
t.until("(read-only)> ")
t.type('erp = system "school_erp"\n')
one = 'erp.pg:value "SELECT 40 + 2"\n'
t.type(one)
kill()
got, _ = t.type(one)
check("PostgreSQL: the next call says that it was lost, and answers", pg + again in got and "\n42\n" in got, got)
got, _ = t.type(one)
check("once", "\n42\n" in got and "lost" not in got, got)
t.type('erp.pg:value "SELECT count(*) FROM generate_series(1, 1000000000)"\n', "Ctrl-C ends it")
kill()
got, _ = t.until(")> ")
check("in the middle of a query: it fails, with what comes next", "the next call opens a new connection" in " ".join(got.split()), got)
check("which is said once", got.count("terminating connection") == 1 and "stack" not in got, got)
got, _ = t.type(one)
check("and the next call answers", "\n42\n" in got, got)

look = 'erp.redis:get "lost:a"\n'
t.type(look)
redis("CLIENT", "KILL", "USER", "school_erp_probe")
got, _ = t.type(look)
check("Redis: the same", "school_erp.redis: the connection was lost (the server closed the connection)" + again in got
      and "\nnil\n" in got, got)
redis("SHUTDOWN", "NOSAVE")
got, _ = t.type(look)
check("a server that is gone: said, with what to look at", "check that the server runs" in " ".join(got.split()), got)
server = subprocess.Popen(["redis-server", os.environ["SANDBOX_DIR"] + "/redis/redis.conf"],
                          stdout=subprocess.DEVNULL, start_new_session=True)
for _ in range(100):
    if redis("PING") == "PONG":
        break
    time.sleep(0.05)
got, _ = t.type(look)
check("once it is back: said, and answered", again in got and "\nnil\n" in got, got)

t.type(":live\n")
t.type('erp.redis:set("lost:a", "1")\n')
redis("CLIENT", "KILL", "USER", "school_erp")
redis("CLIENT", "KILL", "USER", "school_erp_probe")
got, _ = t.type('erp.redis:incr "lost:a"\n')
check("a change on a connection that was lost before it: done, once", again in got and redis("GET", "lost:a") == "2", got)
deed = 'erp.pg:exec "INSERT INTO public.late VALUES (1)"\n'
t.type(deed, "Ctrl-C ends it")
kill()
got, _ = t.until(")> ")
check("lost in the middle of a change: in doubt", "it is not known whether the change was made" in " ".join(got.split()), got)
check("with what to do", "look before you do it again" in got, got)
time.sleep(1)
check("and not done again by itself", psql("SELECT count(*) FROM public.late") == "0")
got, _ = t.type('erp.pg:value "SELECT count(*) FROM public.late"\n')
check("the session goes on", "\n0\n" in got, got)
t.type("\x04", "\n")
check("and leaves with 0", t.end() == 0)
server.terminate()
server.wait()
finish()
