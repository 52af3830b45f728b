/*
** check.c - is it an invitation that other programs understand?
**
** What RFC 5545 and 5546 ask for, and what shows a wrong time: a time without zone, a
** zone that is not described or described wrongly, an hour that is skipped or comes twice.
*/

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "stdlib/ics/ics.h"


typedef struct Check {
  lua_State *L;
  Job *j;
  icalcomponent *event;
  int line;                 /* of the event's first property */
  const char *method;       /* NULL: none */
} Check;

static icalproperty *get (icalcomponent *c, icalproperty_kind kind) {
  return icalcomponent_get_first_property(c, kind);
}

/* -- lines that libical could not read ------------------------------------------- */

static void see (Job *j, icalcomponent *c) {
  for (icalproperty *p = get(c, ICAL_ANY_PROPERTY); p != NULL;
       p = icalcomponent_get_next_property(c, ICAL_ANY_PROPERTY)) {
    int no = rb_ics_line(p);
    size_t low = 0, high = j->n;
    while (low < high) {  /* lines are in order */
      size_t mid = (low + high) / 2;
      if (j->line[mid].no < no) low = mid + 1;
      else high = mid;
    }
    if (low < j->n && j->line[low].no == no) j->line[low].seen = 1;
  }
  for (icalcomponent *sub = icalcomponent_get_first_component(c, ICAL_ANY_COMPONENT); sub != NULL;
       sub = icalcomponent_get_next_component(c, ICAL_ANY_COMPONENT))
    see(j, sub);
}

static void unread (Check *k) {
  see(k->j, k->j->root);
  for (size_t i = 0; i < k->j->n; i++) {
    const Line *l = &k->j->line[i];
    char name[40];
    if (!l->kept || l->seen || l->value == l->n) continue;
    snprintf(name, sizeof name, "%.*s", (int)(l->name < 39 ? l->name : 39), l->s);
    if (strcasecmp(name, "BEGIN") == 0 || strcasecmp(name, "END") == 0) continue;
    rb_ics_problem(k->L, l->no, "value", name, "'%.*s' is no value of it",
                   rb_ics_shown(l->s + l->value, 60), l->s + l->value);
  }
}

/* -- times ----------------------------------------------------------------------- */

/* what the zone's description says, against what this machine knows of a zone of that name */
static void zone (Check *k, icalproperty *p, const When *w) {
  const char *name = rb_ics_name(p);
  icaltimezone *here = rb_ics_zone(w->zone);
  int line = rb_ics_line(p);
  int described = icalcomponent_get_timezone(k->j->root, w->zone) != NULL;
  if (!described && here == NULL)
    rb_ics_problem(k->L, line, "zone", name, "there is no VTIMEZONE for '%s', and no zone of "
                   "that name", w->zone);
  else if (!described)
    rb_ics_problem(k->L, line, "zone", name, "there is no VTIMEZONE for '%s': a program that "
                   "does not know the name takes it for its own zone", w->zone);
  if (!described || here == NULL || w->clocks == 0) return;
  long long said = w->wall - w->at, is = rb_ics_offset(here, w->at);
  if (said != is)
    rb_ics_problem(k->L, line, "zone", name, "its VTIMEZONE is %+lld minutes from UTC, and %s "
                   "is %+lld then: daylight saving is wrong", said / 60, w->zone, is / 60);
}

static void when (Check *k, icalproperty *p) {
  When w = rb_ics_when(k->j->root, p);
  struct icaltimetype t = icalvalue_get_datetime(icalproperty_get_value(p));
  const char *name = rb_ics_name(p);
  int line = rb_ics_line(p);
  struct icaltimetype same = rb_ics_fromwall(w.wall, t.is_date);
  if (same.year != t.year || same.month != t.month || same.day != t.day || same.hour != t.hour
      || same.minute != t.minute || same.second != t.second)
    rb_ics_problem(k->L, line, "value", name, "there is no such day or time");
  else if (w.kind == FLOATING)
    rb_ics_problem(k->L, line, "floating", name, "the time has no zone: everybody sees it in "
                   "his own");
  if (w.kind != ZONED) return;
  zone(k, p, &w);
  if (w.tz != NULL && w.clocks == 0)
    rb_ics_problem(k->L, line, "daylight", name, "in %s the clocks skip this time: they go "
                   "forward", w.zone);
  if (w.clocks > 1)
    rb_ics_problem(k->L, line, "daylight", name, "in %s the clocks show this time twice: they "
                   "go back; the first is meant", w.zone);
}

static void span (Check *k) {
  When start, finish;
  icalproperty *end = get(k->event, ICAL_DTEND_PROPERTY),
               *duration = get(k->event, ICAL_DURATION_PROPERTY);
  rb_ics_span(k->j->root, k->event, &start, &finish);
  if (end != NULL && duration != NULL)
    rb_ics_problem(k->L, rb_ics_line(duration), "value", "DURATION", "DTEND is there, too: one "
                   "of them says when it ends");
  if (end == NULL || start.kind == NONE) return;
  int line = rb_ics_line(end);
  if ((start.kind == DATE) != (finish.kind == DATE))
    rb_ics_problem(k->L, line, "value", "DTEND", "a day, where DTSTART is a time, or the other "
                   "way round");
  else if (start.known && finish.known ? finish.at <= start.at : finish.wall <= start.wall)
    rb_ics_problem(k->L, line, "value", "DTEND", "it ends before it begins, or at once");
}

/* -- what has to be there -------------------------------------------------------- */

static void need (Check *k, icalproperty_kind kind, const char *name, const char *why) {
  if (get(k->event, kind) == NULL)
    rb_ics_problem(k->L, k->line, "missing", name, "the event has none%s%s", *why ? ": " : "",
                   why);
}

static void rule (Check *k, icalproperty *p) {
  struct icalrecurrencetype r = icalproperty_get_rrule(p);
  int line = rb_ics_line(p);
  if (r.freq == ICAL_SECONDLY_RECURRENCE || r.freq == ICAL_MINUTELY_RECURRENCE
      || r.freq == ICAL_HOURLY_RECURRENCE)
    rb_ics_problem(k->L, line, "limit", "RRULE", "it repeats more than once a day: that is not "
                   "followed");
  if (r.count > 0 && !icaltime_is_null_time(r.until))
    rb_ics_problem(k->L, line, "value", "RRULE", "COUNT and UNTIL: one of them says how often");
}

static void people (Check *k) {
  int request = k->method != NULL && strcasecmp(k->method, "REQUEST") == 0,
      cancel = k->method != NULL && strcasecmp(k->method, "CANCEL") == 0;
  if (request || cancel) need(k, ICAL_ORGANIZER_PROPERTY, "ORGANIZER", "who invites");
  if (request) need(k, ICAL_ATTENDEE_PROPERTY, "ATTENDEE", "who is invited");
  if (cancel) need(k, ICAL_SEQUENCE_PROPERTY, "SEQUENCE", "a cancellation counts only with a "
      "higher one");
  static const icalproperty_kind kinds[] = {ICAL_ORGANIZER_PROPERTY, ICAL_ATTENDEE_PROPERTY};
  for (size_t i = 0; i < 2; i++)
    for (icalproperty *p = get(k->event, kinds[i]); p != NULL;
         p = icalcomponent_get_next_property(k->event, kinds[i])) {
      const char *uri = icalproperty_get_value_as_string(p), *at = uri != NULL ? strchr(uri,
          '@') : NULL;
      if (uri == NULL || strncasecmp(uri, "mailto:", 7) != 0 || at == NULL || at == uri + 7
          || at[1] == '\0')
        rb_ics_problem(k->L, rb_ics_line(p), "value", rb_ics_name(p), "'%.*s' is no "
                       "mailto:address",
                       uri != NULL ? rb_ics_shown(uri, 60) : 0, uri != NULL ? uri : "");
    }
}

static void event (Check *k) {
  icalproperty *p = get(k->event, ICAL_ANY_PROPERTY);
  k->line = p != NULL ? rb_ics_line(p) : 0;
  need(k, ICAL_UID_PROPERTY, "UID", "without it a later invitation is another event");
  need(k, ICAL_DTSTAMP_PROPERTY, "DTSTAMP", "");
  need(k, ICAL_DTSTART_PROPERTY, "DTSTART", "when it begins");
  need(k, ICAL_SUMMARY_PROPERTY, "SUMMARY", "what it is");
  static const icalproperty_kind times[] = {ICAL_DTSTART_PROPERTY, ICAL_DTEND_PROPERTY,
                                            ICAL_RECURRENCEID_PROPERTY};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    if ((p = get(k->event, times[i])) != NULL) when(k, p);
  p = get(k->event, ICAL_DTSTAMP_PROPERTY);
  if (p != NULL && rb_ics_when(k->j->root, p).kind != UTC)
    rb_ics_problem(k->L, rb_ics_line(p), "value", "DTSTAMP", "it is in UTC, with a Z");
  span(k);
  for (p = get(k->event, ICAL_RRULE_PROPERTY); p != NULL;
       p = icalcomponent_get_next_property(k->event, ICAL_RRULE_PROPERTY)) rule(k, p);
  people(k);
}

/* -- the calendar ---------------------------------------------------------------- */

static void calendar (Check *k) {
  icalproperty *version = get(k->j->root, ICAL_VERSION_PROPERTY),
               *method = get(k->j->root, ICAL_METHOD_PROPERTY);
  if (version == NULL) rb_ics_problem(k->L, 1, "missing", "VERSION", "the calendar has none");
  else if (strcmp(icalproperty_get_version(version), "2.0") != 0)
    rb_ics_problem(k->L, rb_ics_line(version), "value", "VERSION", "'%s': only 2.0 is read here",
                   icalproperty_get_version(version));
  if (get(k->j->root, ICAL_PRODID_PROPERTY) == NULL)
    rb_ics_problem(k->L, 1, "missing", "PRODID", "the calendar has none");
  k->method = method != NULL ? icalproperty_get_value_as_string(method) : NULL;
}

void rb_ics_check (lua_State *L, Job *j) {
  Check k = {.L = L, .j = j};
  int n = 0;
  unread(&k);
  calendar(&k);
  for (k.event = icalcomponent_get_first_component(j->root,
       ICAL_VEVENT_COMPONENT); k.event != NULL;
       k.event = icalcomponent_get_next_component(j->root, ICAL_VEVENT_COMPONENT), n++) event(&k);
  if (n == 0) rb_ics_problem(L, 1, "missing", NULL, "there is no event in it");
}
