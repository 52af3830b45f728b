/*
** ics.c - calendars: invitations to read, to check and to make
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/ics/ics.h"

#define LARGEST ((size_t)1 << 20)  /* an invitation has two thousand */
#define KEPT 100                   /* problems */

/* -- jobs ------------------------------------------------------------------------ */

static int job_close (lua_State *L) {
  Job *j = luaL_checkudata(L, 1, "ics.job");
  if (j->root != NULL) icalcomponent_free(j->root);
  free(j->line);
  free(j->text);
  *j = (Job){NULL, NULL, 0, NULL};
  return 0;
}

/* [-0, +1, m] */
static Job *pushjob (lua_State *L) {
  Job *j = lua_newuserdatauv(L, sizeof *j, 0);
  *j = (Job){NULL, NULL, 0, NULL};
  if (luaL_newmetatable(L, "ics.job")) {
    lua_pushcfunction(L, job_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  icalerror_set_errors_are_fatal(0);  /* what a text says wrongly must not abort the process */
  return j;
}

Job *rb_ics_read (lua_State *L, const char *who) {
  size_t n;
  const char *s = luaL_checklstring(L, ARGS, &n);
  if (n > LARGEST)
    rb_fail(L, "limit", RB_NOTDONE, "%s: a calendar of %d bytes: at most 1 MB is read", who,
            (int)n);
  lua_settop(L, 2);
  lua_newtable(L);
  Job *j = pushjob(L);
  rb_ics_scan(L, j, s, n);
  return j;
}

/* [-0, +0, v]  raises the problem at that place of the list */
static void raise_ (lua_State *L, const char *who, lua_Integer i) {
  lua_geti(L, PROBLEMS, i);
  lua_getfield(L, -1, "message");
  rb_fail(L, "data", RB_NOTDONE, "%s: %s", who, lua_tostring(L, -1));
}

Job *rb_ics_need (lua_State *L, const char *who) {
  Job *j = rb_ics_read(L, who);
  if (j->root == NULL) raise_(L, who, (lua_Integer)lua_rawlen(L, PROBLEMS));
  rb_ics_check(L, j);
  for (lua_Integer i = 1; lua_geti(L, PROBLEMS, i) == LUA_TTABLE; i++) {
    lua_getfield(L, -1, "kind");
    if (strcmp(lua_tostring(L, -1), "value") == 0) raise_(L, who, i);
    lua_pop(L, 2);
  }
  lua_settop(L, JOB);
  return j;
}

/* -- problems -------------------------------------------------------------------- */

void rb_ics_problem (lua_State *L, int line, const char *kind, const char *what,
                     const char *fmt, ...) {
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  lua_Integer n = (lua_Integer)lua_rawlen(L, PROBLEMS);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, line);
  lua_setfield(L, -2, "line");
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  if (what != NULL) {
    lua_pushstring(L, what);
    lua_setfield(L, -2, "property");
  }
  lua_pushfstring(L, what != NULL ? "line %d, %s: %s" : "line %d: %s%s", line,
                  what != NULL ? what : text, what != NULL ? text : "");
  lua_setfield(L, -2, "message");
  lua_rawseti(L, PROBLEMS, n < KEPT ? n + 1 : KEPT);  /* the last of them may be why it stopped */
}

int rb_ics_line (icalproperty *p) {
  for (icalparameter *a = icalproperty_get_first_parameter(p, ICAL_X_PARAMETER); a != NULL;
       a = icalproperty_get_next_parameter(p, ICAL_X_PARAMETER)) {
    const char *name = icalparameter_get_xname(a), *value = icalparameter_get_xvalue(a);
    if (name != NULL && value != NULL && strcmp(name, MARK) == 0) return atoi(value);
  }
  return 0;
}

const char *rb_ics_name (icalproperty *p) { return icalproperty_get_property_name(p); }

void rb_ics_known (lua_State *L, int idx, const char *who, const char *const *fields) {
  for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L,
        -2);
    const char *const *f = fields;
    while (*f != NULL && strcmp(*f, name) != 0) f++;
    if (*f != NULL) continue;
    const char *near = rb_nearest(name, fields);
    luaL_error(L, "%s: there is no field '%s'%s%s%s", who, name, near != NULL ? ": did you mean "
               "'" : "",
               near != NULL ? near : "", near != NULL ? "'?" : "");
  }
}

/* -- calls ----------------------------------------------------------------------- */

static int parse (lua_State *L) {
  lua_settop(L, 1);
  rb_ics_pushcalendar(L, rb_ics_need(L, "ics.parse"));
  return 1;
}

static int earlier (lua_State *L, int a, int b) {
  lua_geti(L, PROBLEMS, a);
  lua_geti(L, PROBLEMS, b);
  lua_getfield(L, -2, "line");
  lua_getfield(L, -2, "line");
  int less = lua_tointeger(L, -2) < lua_tointeger(L, -1);
  lua_pop(L, 4);
  return less;
}

/* by lines, those of one line as they were found */
static void sort (lua_State *L) {
  int n = (int)lua_rawlen(L, PROBLEMS);
  for (int i = 2; i <= n; i++)
    for (int k = i; k > 1 && earlier(L, k, k - 1); k--) {
      lua_geti(L, PROBLEMS, k);
      lua_geti(L, PROBLEMS, k - 1);
      lua_rawseti(L, PROBLEMS, k);
      lua_rawseti(L, PROBLEMS, k - 1);
    }
}

static int check (lua_State *L) {
  lua_settop(L, 1);
  Job *j = rb_ics_read(L, "ics.check");
  if (j->root != NULL) rb_ics_check(L, j);
  sort(L);
  lua_settop(L, PROBLEMS);
  return 1;
}

static const rb_Reg functions[] = {
  {"parse", RB_PURE, parse, NULL,
   "parse(text) -> {method, version, prodid, zones, events} : what a calendar (RFC 5545) of at "
   "most 1 MB says. An event is {uid, sequence, summary, location, description, url, status, "
   "rrule, start, finish, instance, stamp, organizer, attendees, line}; a person is {email, "
   "name, status, role, rsvp}; a time is {kind, wall, zone, utc, offset}: `kind` is \"utc\", "
   "\"zoned\", \"date\", or \"floating\" where it has no zone, `wall` what a clock there shows "
   "(2026-03-08T09:00:00), `utc` the moment (2026-03-08T14:00:00Z), absent where it cannot be "
   "told. Fails with \"data\" and the line where it is no calendar, is cut off, or has a value "
   "that cannot be read", NULL, NULL},
  {"check", RB_PURE, check, NULL,
   "check(text) -> list of problems : is it an invitation that all programs understand? Each is "
   "{line, kind, property, message}; an empty list: yes. Kinds: calendar, structure, truncated, "
   "encoding, line, fold (over 75 bytes), escape (; , \\ and line breaks), missing, value, "
   "floating (no time zone), zone (not described, or otherwise than it is), daylight (a time "
   "that is skipped or comes twice when the clocks change), limit. The first hundred", NULL,
   NULL},
  {"build", RB_PURE, rb_ics_build, NULL,
   "build(event) -> text : an invitation. Required are uid, summary, start, and finish or "
   "duration (\"1h30m\"); times are seconds since 1970, ISO 8601 with Z or an offset, or clock "
   "times of `zone` (\"America/Chicago\"; without it the invitation is in UTC), or days. Also "
   "sequence (0; each later one needs a higher), method (\"REQUEST\" where there are attendees, "
   "\"CANCEL\", else \"PUBLISH\"), location, description, url, status, organizer and attendees "
   "(\"Kim <kim@example.org>\" or {email, name, role, status, rsvp}), rrule, except (a list of "
   "times), stamp, floating = true (clock times without any zone). The zone is described in it "
   "(VTIMEZONE). An error for a clock time that is skipped or comes twice when the clocks "
   "change: give it with an offset", NULL, NULL},
  {"occurrences", RB_PURE, rb_ics_occurrences, NULL,
   "occurrences(text [, { uid = , from =, to =, limit = n }]) -> list of {start, finish, uid, "
   "changed} : on which days the events of a calendar take place, RRULE, RDATE, EXDATE and "
   "RECURRENCE-ID followed; the earliest first, 100 of them (at most 1000). `from` (included) "
   "and `to` (excluded) are times. Nine o'clock in a zone stays nine o'clock when the clocks "
   "change. Fails with \"limit\" for rules that repeat more than once a day", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "ics",
  .doc = "calendars: invitations to read, to check and to make",
  .functions = functions
};
