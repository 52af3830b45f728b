#!/usr/bin/env python3
"""csvfiles.py - CSV files of every kind for csv_test.sh, and what Python's csv reads in them

make FOLDER SEED N   writes N random files
check FOLDER         compares FOLDER/N.out (JSON, or "failed") with Python's reading
"""
import csv, glob, io, json, os, random, sys

LETTERS = ["a", "b", "é", "漢", "😀", " ", "1", "x" * 40, "'", "\\", "\t"]


def written(r):
    """A file as a program writes it: every value may hold anything."""
    out, end = io.StringIO(), r.choice(["\n", "\r\n"])
    w = csv.writer(out, lineterminator=end, quoting=r.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    width, rows = r.randint(1, 30), r.choice([3, 20, 20, 600])
    for _ in range(rows):
        w.writerow(["".join(r.choice(LETTERS + [",", '"', "\n", "\r\n", '""'])
                            for _ in range(r.randint(0, 6))) for _ in range(width)])
    text = out.getvalue()
    return text if r.random() < 0.7 else text[:-len(end)]


def anyhow(r):
    """A file as nobody should write it: quotes and delimiters wherever they fall."""
    return "".join(r.choice(['"', '"', ",", ",", "\n", "\r\n", "a", "bc", "é", " "])
                   for _ in range(r.randint(1, 60)))


def long_(r):
    """Rows and quotes that lie across every border of what is read at once."""
    return "".join('%s,"%s",%d\n' % ("k" * r.randint(1, 900), ("v\n" + '""') * r.randint(1, 400), i)
                   for i in range(600))


def make(folder, seed, n):
    r = random.Random(seed)
    for i in range(n):
        text = (long_ if i % 40 == 7 else written if i % 2 else anyhow)(r)
        with open("%s/%d.csv" % (folder, i), "w", newline="", encoding="utf-8") as f:
            f.write(text)


def check(folder):
    same = failed = 0
    for name in glob.glob(folder + "/*.csv"):
        got = open(name[:-3] + "out", newline="", encoding="utf-8").read()
        with open(name, newline="", encoding="utf-8") as f:
            expected = [row for row in csv.reader(f) if row]
        if got == "failed":
            failed += 1
            if int(os.path.basename(name)[:-4]) % 2:
                sys.exit(name + ": it is well formed, and was refused")
            continue
        if (json.loads(got) or []) != expected:
            sys.exit("%s: read differently" % name)
        same += 1
    print(same, failed)


csv.field_size_limit(1 << 30)
if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    check(sys.argv[2])
