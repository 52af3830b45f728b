# values.py RUNBOOK - what `runbook repl` shows on a terminal: colour, sizes and times, wide rows
import os, re, select, time
from prompt import Terminal, check, finish

class Colored(Terminal):
    # what a statement shows, with its escape sequences
    def shows(self, text):
        end = time.time() + 20
        while not self.editing() and time.time() < end:
            time.sleep(0.002)
        while select.select([self.fd], [], [], 0.05)[0] and self.more():
            pass
        os.write(self.fd, (text + "\n").encode())
        got = ""
        while ")> " not in got.split("\n", 1)[-1] and time.time() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                got += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
        return got.split("\n", 1)[-1]

GREEN, CYAN, YELLOW, BOLD, DIM, END = "\33[32m", "\33[36m", "\33[33m", "\33[1m", "\33[2m", "\33[0m"
value = '{ name = "x", n = 1, yes = true }'
os.environ.pop("NO_COLOR", None)
t = Colored()
t.until("(read-only)> ")
t.shows('erp = system "school_erp"')
got = t.shows(value)
check("keys, numbers, strings and booleans have their colours", all(part in got for part in (
    BOLD + "name", GREEN + '"x"', CYAN + "1", YELLOW + "true")), repr(got))
got = t.shows('json.decode [[{"deep": {"a": [1, null]}}]]')
check("what was JSON, too, with its null", BOLD + "deep" in got and CYAN + "1" in got and DIM + "null" in got, repr(got))
got = t.shows('erp.http:get("/health"):json()')
check("an answer's JSON", BOLD + "status" in got and GREEN + '"ok"' in got and CYAN in got, repr(got))
got = t.shows('erp.pg:query "SELECT 7 AS n, true AS yes, NULL AS none"')
check("rows", all(part in got for part in (BOLD + "n" + END, CYAN + "7", YELLOW + "true", DIM + "nil")), repr(got))
got = t.shows('erp.pg:query "SELECT repeat(\'x\', 60) AS long, 5 AS n"')
check("what is cut does not run on in its colour", "..." in got and CYAN + "5" in got, repr(got))
check("a long text in rows is cut to its column", "x" * 49 not in got, repr(got))

plain = lambda s: re.sub("\33\\[[0-9;]*[A-Za-z]", "", s)
for text, shown in (
    ('erp.backup:list()', "MB)"),
    ('erp.backup:list()[1]', "MB)"),
    ('host.disk "/"', "GB),"),
    ('erp.redis:ttl "values:t"', "(1h "),
):
    got = plain(t.shows(text))
    check("human beside the exact value: " + text, shown in got and re.search("[0-9]{4} ?\\(|[0-9]{5,} \\(", got), got)
got = plain(t.shows('erp.redis:ttl "values:t" * 2'))
got = plain(t.shows('(erp.redis:ttl "values:t") * 2'))
check("a number that was computed stays a number", "(" not in got.split("\n")[0], got)
got = plain(t.shows("3600"))
check("and one of which nobody knows what it means", got.startswith("3600\n"), got)
got = plain(t.shows('erp.pg:query "SELECT 123456789 AS bytes"'))
check("a column is not a size for its name alone", "MB" not in got, got)
got = plain(t.shows('erp.log:tail(1)'))
check("JSON in a text is not escaped", '[[{"at":"' in got, got)

columns = ", ".join("'%d' AS column_%d" % (i, i) for i in range(1, 21))
got = plain(t.shows('erp.pg:query "SELECT z, a FROM (VALUES (1, 2)) v (z, a)"'))
check("columns are in the order of the statement", re.search("z +a", got), got)
got = plain(t.shows('erp.pg:query "SELECT 1 AS one WHERE false"'))
check("no rows: said, with their columns", "one\n(0 rows)" in got, got)
got = plain(t.shows('erp.pg:query "SELECT %s"' % columns))
check("wider than the terminal: one field a line", "-- 1 --\ncolumn_1   1\n" in got and "column_20  20\n(1 row)" in got, got)
got = plain(t.shows('erp.pg:query "SELECT %s"' % ", ".join("%d AS c%d" % (i, i) for i in range(1, 201))))
check("200 columns: so, and paged", "paged 202 lines" in got, got)
got = plain(t.shows('erp.pg:value "SELECT repeat(\'long \', 4000)"'))
check("one line that fills the screen is paged, too", "paged 1 lines" in got, got)
got = plain(t.shows('erp.pg:query "SELECT \'Zoë 日本語\' AS name, E\'a\\\\nb\' AS text"'))
check("a line break in a row is shown, not made", "Zoë 日本語  a\\nb\n" in got, got)

for text, said in (("select * from schools", "SQL goes to a resource"), ("erp", 'system "school_erp"'),
                   ("erp.pg:query()", "bad argument #1 to 'query'"),
                   ("erp.pg:query(\"SELECT 1\", 2)", "bad argument #2 to 'query'"), ("help", ":live")):
    got = plain(t.shows(text))
    check("typed: " + text, said in got, got)
t.type('erp.pg:value "SELECT count(*) FROM generate_series(1, 1000000000)"\n', "Ctrl-C ends it")
got, _ = t.type("\x03", busy=True)
check("Ctrl-C in a long query: back at once", "interrupted" in got and ")> " in got, got)
got = plain(t.shows('erp.pg:value "SELECT 5"'))
check("and the next call answers", got.startswith("5\n"), got)
t.type(':watch 200ms erp.pg:value "SELECT 6"\n', "\n6\n")
got, again = t.until("6\n")
check(":watch shows it again", again, got)
os.write(t.fd, b"\x03")
got, _ = t.until(")> ")
check("until Ctrl-C", ")> " in got, got)
t.shows("exit = 1")
got = plain(t.shows("exit"))
check("a name of the session is not a word", got.startswith("1\n"), got)
t.shows("exit = nil")
t.type("exit\n", "\n")
check("exit leaves, as elsewhere", t.end() == 0)

for name, is_ in (("NO_COLOR", "1"), ("TERM", "dumb")):
    t = Colored(env={name: is_})
    t.until(")> ")
    got = t.shows(value)
    check("no colour: %s=%s" % (name, is_), 'name = "x"' in got and not re.search("\33\\[[0-9;]*m", got), repr(got))
    t.type("\x04", "\n")
    t.end()
finish()
