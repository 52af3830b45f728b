/*
** write.c - what build has from a script: times, texts, people
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/common/utf8.h"
#include "stdlib/ics/ics.h"

#define LONGEST 16384  /* bytes of a text */

/* -- texts ----------------------------------------------------------------------- */

/* no control characters (lines: but line breaks), and UTF-8 */
static const char *clean (lua_State *L, const char *field, int idx, int lines) {
  size_t n;
  const char *s = lua_tolstring(L, idx, &n);
  if (n > LONGEST) luaL_error(L, "ics.build: %s: longer than %d bytes", field, LONGEST);
  if (rb_utf8(s, n) < n) luaL_error(L, "ics.build: %s: it is not UTF-8", field);
  for (size_t i = 0; i < n; i++) {
    int is = (unsigned char)s[i] < ' ' || s[i] == 0x7f;
    if (is && !(lines && (s[i] == '\n' || s[i] == '\t' || (s[i] == '\r' && s[i + 1] == '\n'))))
      luaL_error(L, "ics.build: %s: a line break or another control character has no place in "
                 "it", field);
  }
  return s;
}

const char *rb_ics_text (lua_State *L, const char *field) {
  int type = lua_getfield(L, ARGS, field);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING)
    luaL_error(L, "ics.build: %s: a text is expected, not a %s", field, lua_typename(L, type));
  int lines = strcmp(field, "location") == 0 || strcmp(field, "summary") == 0
              || strcmp(field, "description") == 0;
  clean(L, field, -1, lines);
  const char *s = luaL_gsub(L, lua_tostring(L, -1), "\r\n", "\n");
  lua_remove(L, -2);
  return s;
}

/* -- times ----------------------------------------------------------------------- */

static int wrong (lua_State *L, const char *field, const char *s, const char *why) {
  return luaL_error(L, "ics: %s: '%s' %s", field, s, why);
}

/* "Z", "+01:00": *has and the seconds; NULL: something else stands there */
static const char *readoffset (const char *s, int *has, int *offset) {
  int hours, minutes, at = 0;
  char sign;
  *has = *s != '\0';
  if (*s == 'Z') return s + 1;
  if (*s == '\0' || sscanf(s, "%c%2d:%2d%n", &sign, &hours, &minutes, &at) < 3
      || at != 6) return s;
  if ((sign != '+' && sign != '-') || hours > 15 || minutes > 59) return s;
  *offset = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
  return s + at;
}

/* a fraction is left out: calendars have none */
static const char *skipfraction (const char *s) {
  return *s == '.' && s[1] != '\0' ? s + 1 + strspn(s + 1, "0123456789") : s;
}

static When moment (long long at, icaltimezone *tz, const char *zone) {
  When w = {.kind = tz != NULL ? ZONED : UTC, .at = at, .known = 1, .clocks = 1, .tz = tz};
  long long first[2];
  w.wall = tz != NULL ? at + rb_ics_offset(tz, at) : at;
  snprintf(w.zone, sizeof w.zone, "%s", tz != NULL ? zone : "");
  if (tz == NULL || rb_ics_moments(tz, w.wall, first) < 2 || first[0] == at) return w;
  return moment(at, NULL, "");  /* the second of an hour that comes twice: only UTC can say it */
}

static When clocktime (lua_State *L, const char *field, const char *s, long long wall,
                       icaltimezone *tz,
                       const char *zone, int floating) {
  When w = {.kind = tz != NULL ? ZONED : FLOATING, .tz = tz};
  if (tz == NULL && !floating)
    wrong(L, field, s, "has no time zone: say zone = \"America/Chicago\", or give it with Z or "
          "an offset");
  snprintf(w.zone, sizeof w.zone, "%s", zone);
  w = rb_ics_moved(&w, wall);
  if (tz != NULL && w.clocks != 1)
    wrong(L, field, s, w.clocks == 0
          ? "is skipped there: the clocks go forward; give it with an offset"
          : "comes twice there: the clocks go back; give it with an offset");
  return w;
}

static When fromtext (lua_State *L, const char *s, const char *field, icaltimezone *tz,
                      const char *zone,
                      int floating) {
  struct icaltimetype t = icaltime_null_time();
  int at = 0, has = 0, offset = 0;
  int n = sscanf(s, "%4d-%2d-%2d%n", &t.year, &t.month, &t.day, &at);
  t.is_date = s[at] == '\0';
  const char *rest = s + at;
  if (n == 3 && at == 10 && !t.is_date) {
    n = sscanf(rest, "%*1[T ]%2d:%2d:%2d%n", &t.hour, &t.minute, &t.second, &at) == 3 ? 3 : 0;
    if (n == 3) rest = readoffset(skipfraction(rest + at), &has, &offset);
  }
  long long wall = rb_ics_towall(t);
  struct icaltimetype same = rb_ics_fromwall(wall, t.is_date);
  if (n != 3 || *rest != '\0' || same.month != t.month || same.day != t.day || same.hour != t.hour
      || same.minute != t.minute || same.second != t.second)
    wrong(L, field, s, "is no time such as 2026-03-08T09:00:00, with Z or an offset or in a "
          "zone");
  if (t.is_date) return (When){.kind = DATE, .wall = wall, .clocks = 1};
  if (has) return moment(wall - offset, tz, zone);
  return clocktime(L, field, s, wall, tz, zone, floating);
}

When rb_ics_given (lua_State *L, int idx, const char *field, icaltimezone *tz, const char *zone,
                   int floating) {
  int type = lua_type(L, idx);
  if (type == LUA_TNUMBER) return moment((long long)lua_tonumber(L, idx), tz, zone);
  if (type != LUA_TSTRING)
    luaL_error(L, "ics: %s: a time is expected, not a %s", field, lua_typename(L, type));
  return fromtext(L, lua_tostring(L, idx), field, tz, zone, floating);
}

/* -- people ---------------------------------------------------------------------- */

/* [-0, +1, v]  a text of the table at the top, that may stand in a parameter; NULL: none */
static const char *fieldof (lua_State *L, const char *who, const char *field) {
  int type = lua_getfield(L, -1, field);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING) luaL_error(L, "ics.build: %s: %s is a text", who, field);
  return clean(L, who, -1, 0);
}

static void checkaddress (lua_State *L, const char *who, const char *s) {
  const char *at = strchr(s, '@');
  if (at == NULL || at == s || at[1] == '\0' || strchr(at + 1, '@') != NULL
      || strpbrk(s, " \t<>\"\\(),;:") != NULL)
    luaL_error(L, "ics.build: %s: '%s' is no address such as kim@example.org", who, s);
}

/* [-1, +1, v]  "Kim <kim@example.org>" as {name =, email =} */
static void asperson (lua_State *L, const char *who) {
  const char *s = clean(L, who, -1, 0), *open = strchr(s, '<');
  size_t n = open != NULL ? (size_t)(open - s) : 0;
  while (n > 0 && s[n - 1] == ' ') n--;
  lua_createtable(L, 0, 2);
  if (open != NULL && s[strlen(s) - 1] == '>') {
    lua_pushlstring(L, open + 1, strlen(open) - 2);
    lua_setfield(L, -2, "email");
    lua_pushlstring(L, s, n);
    lua_setfield(L, -2, "name");
  } else {
    lua_pushstring(L, s);
    lua_setfield(L, -2, "email");
  }
  lua_remove(L, -2);
}

/* a parameter cannot hold quotes (RFC 5545, 3.1) */
static void addname (lua_State *L, icalproperty *p, const char *name) {
  if (name == NULL || *name == '\0') return;
  icalproperty_add_parameter(p, icalparameter_new_cn(luaL_gsub(L, name, "\"", "'")));
  lua_pop(L, 1);
}

static void addattendee (lua_State *L, icalproperty *p, int person) {
  lua_getfield(L, person, "rsvp");
  int rsvp = lua_isnil(L, -1) || lua_toboolean(L, -1);
  lua_pushvalue(L, person);
  const char *role = fieldof(L, "attendees", "role");
  lua_pushvalue(L, person);
  const char *status = fieldof(L, "attendees", "status");
  icalparameter *r = icalparameter_new_from_string(
    lua_pushfstring(L, "ROLE=%s", role != NULL ? role : "REQ-PARTICIPANT"));
  if (r != NULL) icalproperty_add_parameter(p, r);
  r = icalparameter_new_from_string(
    lua_pushfstring(L, "PARTSTAT=%s", status != NULL ? status : "NEEDS-ACTION"));
  if (r != NULL) icalproperty_add_parameter(p, r);
  icalproperty_add_parameter(p, icalparameter_new_rsvp(rsvp ? ICAL_RSVP_TRUE : ICAL_RSVP_FALSE));
}

void rb_ics_person (lua_State *L, icalcomponent *e, icalproperty_kind kind) {
  static const char *const fields[] = {"email", "name", "role", "status", "rsvp", NULL};
  const char *who = kind == ICAL_ORGANIZER_PROPERTY ? "organizer" : "attendees";
  int top = lua_gettop(L);
  if (lua_type(L, -1) == LUA_TSTRING) asperson(L, who);
  if (!lua_istable(L, -1))
    luaL_error(L, "ics.build: %s: an address or {email =, name =} is expected, not a %s", who,
               luaL_typename(L, -1));
  rb_ics_known(L, top, "ics.build", fields);
  const char *email = fieldof(L, who, "email");
  if (email == NULL) luaL_error(L, "ics.build: %s: an address is expected", who);
  checkaddress(L, who, email);
  const char *uri = lua_pushfstring(L, "mailto:%s", email);
  icalproperty *p = kind == ICAL_ORGANIZER_PROPERTY ? icalproperty_new_organizer(uri)
                                                    : icalproperty_new_attendee(uri);
  icalcomponent_add_property(e, p);
  lua_pushvalue(L, top);
  addname(L, p, fieldof(L, who, "name"));
  if (kind == ICAL_ATTENDEE_PROPERTY) addattendee(L, p, top);
  lua_settop(L, top);
}
