#!/usr/bin/env python3
"""icsfiles.py - invitations of every kind for ics_test.sh, and what python3-icalendar makes of them

make FOLDER SEED N   events to build (build.json), calendars to parse (parse.json), broken ones (broken.json)
check FOLDER         compares built.json and parsed.json, which ics.build and ics.parse made, with the second opinion
"""
import io, json, os, random, sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import icalendar
from dateutil.rrule import rrulestr
from dateutil.tz import tzical

ZONES = ["America/Chicago", "America/New_York", "Europe/Berlin", "Australia/Sydney", "Asia/Kolkata",
         "America/Sao_Paulo", "Pacific/Auckland", "Asia/Tokyo", "Europe/London", "America/Phoenix"]
WORDS = ["Room 141", ";", ",", "\n", "🎓", "é", "second floor", ":", '"', " ", "x" * 70, "日本語", "'"]
# no backslash: icalendar 4 takes it twice for a mark; ics_test.sh has what is expected of one
RULES = ["FREQ=WEEKLY;COUNT=30", "FREQ=DAILY;INTERVAL=9;COUNT=30", "FREQ=MONTHLY;BYDAY=1SU;COUNT=14",
         "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=14", "FREQ=WEEKLY;BYDAY=MO,SU;COUNT=40", "FREQ=YEARLY;COUNT=5"]


def text(r):
    return "".join(r.choice(WORDS) for _ in range(r.randint(1, 12))).strip() or "x"


def moment(r):
    """A whole minute of twelve years; half of them near a change of the clocks."""
    t = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=r.randint(0, 12 * 525600))
    if r.random() < 0.5:
        t = t.replace(month=r.choice([3, 4, 10, 11]), day=r.randint(1, 30), hour=r.randint(0, 23))
    return t


def iso(t):
    return t.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def event(r, i):
    start = moment(r)
    e = {"uid": "e%d@example.org" % i, "summary": text(r), "location": text(r), "start": iso(start),
         "finish": iso(start + timedelta(minutes=r.choice([30, 60, 1440, 95]))), "stamp": "2026-01-01T00:00:00Z",
         "organizer": "Events <events@example.org>", "sequence": r.randint(0, 9),
         "attendees": ["%s <a%d@example.org>" % (r.choice(["Kim", "O'Hara, Jr.", "Zoë; X"]), k)
                       for k in range(r.randint(1, 4))]}
    if r.random() < 0.8:
        e["zone"] = r.choice(ZONES)
    return e


def series(r, i):
    """As another program writes it: a zone with its description, and a rule."""
    zone = ZoneInfo(r.choice(ZONES))
    start = moment(r).astimezone(zone).replace(tzinfo=None)
    start = start.replace(hour=r.choice([0, 2, 9, 23]))
    cal = icalendar.Calendar()
    cal.add("version", "2.0")
    cal.add("prodid", "-//test//EN")
    e = icalendar.Event()
    e.add("uid", "s%d" % i)
    e.add("summary", text(r))
    e.add("location", text(r))
    e.add("dtstamp", datetime(2026, 1, 1, tzinfo=timezone.utc))
    rule = r.choice(RULES)
    e.add("rrule", icalendar.vRecur.from_ical(rule))
    cal.add_component(e)
    ics = cal.to_ical().decode()
    ics = ics.replace("BEGIN:VEVENT\r\n", "BEGIN:VEVENT\r\nDTSTART;TZID=%s:%s\r\n" % (zone.key, start.strftime("%Y%m%dT%H%M%S")))
    walls = list(rrulestr(rule, dtstart=start))
    # a rule has to begin with its first day, which dateutil leaves out and the RFC does not
    if start not in walls:
        walls = [start] + walls
    return {"text": ics, "summary": str(e["summary"]), "location": str(e["location"]),
            "walls": [w.strftime("%Y-%m-%dT%H:%M:%S") for w in walls],
            "utcs": [iso(skip(w, zone)) for w in walls]}


def skip(wall, zone):
    """Of an hour that comes twice the first; one that is skipped counts by the clock before."""
    t = wall.replace(tzinfo=zone, fold=0)
    return t.astimezone(timezone.utc)


def broken(r, good):
    b = bytearray(good.encode())
    for _ in range(r.randint(1, 4)):
        at = r.randrange(len(b))
        what = r.randint(0, 4)
        if what == 0:
            del b[at:]
        elif what == 1:
            b[at:at] = r.choice([b"\n", b":", b";", b'"', b"\r\n", b"BEGIN:VEVENT\r\n", b"END:VEVENT\r\n", b"\\", b" "])
        elif what == 2:
            b[at] = r.randrange(32, 127)
        elif what == 3:
            del b[at:at + r.randint(1, 30)]
        else:
            b[at:at] = b[max(0, at - 50):at]
        if not b:
            b = bytearray(b"x")
    return b.decode("utf-8", "replace")


def make(folder, seed, n):
    r = random.Random(int(seed))
    events = [event(r, i) for i in range(n)]
    calendars = [series(r, i) for i in range(n)]
    for name, what in (("build", events), ("parse", calendars),
                       ("broken", [broken(r, r.choice(calendars)["text"]) for _ in range(n * 4)])):
        with open(os.path.join(folder, name + ".json"), "w") as f:
            json.dump(what, f)


def same(what, got, expected):
    if got != expected:
        sys.exit("%s: %r, not %r" % (what, got, expected))


def utc(prop):
    t = prop.dt
    return iso(t)


def check(folder):
    def load(name):
        with open(os.path.join(folder, name + ".json")) as f:
            return json.load(f)
    for e, built in zip(load("build"), load("built")):
        raw = built.encode()
        same(e["uid"] + " longest line", max(len(line) for line in raw.split(b"\r\n")) <= 75, True)
        same(e["uid"] + " line ends", raw.count(b"\n"), raw.count(b"\r\n"))
        cal = icalendar.Calendar.from_ical(raw)
        got = cal.walk("VEVENT")[0]
        same(e["uid"] + " summary", str(got["summary"]), e["summary"])
        same(e["uid"] + " location", str(got["location"]), e["location"])
        same(e["uid"] + " method", str(cal["method"]), "REQUEST")
        same(e["uid"] + " sequence", int(got["sequence"]), e["sequence"])
        people = got["attendee"]
        same(e["uid"] + " attendees", len(people) if isinstance(people, list) else 1, len(e["attendees"]))
        same(e["uid"] + " first name", (people[0] if isinstance(people, list) else people).params["CN"],
             e["attendees"][0].split(" <")[0])
        for mine, theirs in (("start", "dtstart"), ("finish", "dtend")):
            prop = got[theirs]
            raw_wall = prop.dt.replace(tzinfo=None)
            if "TZID" not in prop.params:
                same(e["uid"] + " " + mine, iso(prop.dt), e[mine])
                continue
            zone = ZoneInfo(prop.params["TZID"])
            same(e["uid"] + " " + mine, iso(raw_wall.replace(tzinfo=zone)), e[mine])
            same(e["uid"] + " zone", zone.key, e["zone"])
            described = tzical(io.StringIO(built.replace("\r\n", "\n"))).get()  # the zone as the invitation has it
            same(e["uid"] + " " + mine + " by VTIMEZONE", iso(raw_wall.replace(tzinfo=described)), e[mine])
    count = 0
    for c, parsed in zip(load("parse"), load("parsed")):
        same("summary", parsed["summary"], c["summary"])
        same("location", parsed["location"], c["location"])
        same("wall of " + c["text"], parsed["walls"], c["walls"][:1000])
        same("utc of " + c["text"], parsed["utcs"], c["utcs"][:1000])
        count += len(c["walls"])
    print(count)


if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    check(sys.argv[2])
