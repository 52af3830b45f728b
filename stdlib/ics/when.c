/*
** when.c - times and their zones
**
** What a clock on the wall shows and the moment that it is are kept apart. libical says how
** far a zone is from UTC at a moment; which moment a wall time is follows from that alone,
** so that the hour that is skipped and the one that comes twice are seen as such.
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stdlib/ics/ics.h"

#define DAY 86400
#define FOREIGN "/freeassociation.sourceforge.net/"  /* libical's own prefix */

/* -- zones ----------------------------------------------------------------------- */

icaltimezone *rb_ics_zone (const char *name) {
  if (strncmp(name, FOREIGN, strlen(FOREIGN)) == 0) name += strlen(FOREIGN);
  size_t n = strlen(name);
  if (n == 0 || n > 64 || !isalpha((unsigned char)*name) || strstr(name,
      "..") != NULL) return NULL;
  if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") != n)
    return NULL;
  return icaltimezone_get_builtin_timezone(name);
}

int rb_ics_offset (icaltimezone *tz, long long at) {
  int summer;
  struct icaltimetype t = rb_ics_fromwall(at, 0);
  t.zone = icaltimezone_get_utc_timezone();
  return icaltimezone_get_utc_offset_of_utc_time(tz, &t, &summer);
}

int rb_ics_moments (icaltimezone *tz, long long wall, long long at[2]) {
  int n = 0, before = rb_ics_offset(tz, wall - DAY), after = rb_ics_offset(tz, wall + DAY);
  if (rb_ics_offset(tz, wall - before) == before) at[n++] = wall - before;
  if (after != before && rb_ics_offset(tz, wall - after) == after) at[n++] = wall - after;
  return n;
}

/* -- numbers and fields ---------------------------------------------------------- */

long long rb_ics_towall (struct icaltimetype t) {
  struct tm tm = {.tm_year = t.year - 1900, .tm_mon = t.month - 1, .tm_mday = t.day};
  if (!t.is_date) {
    tm.tm_hour = t.hour;
    tm.tm_min = t.minute;
    tm.tm_sec = t.second;
  }
  return timegm(&tm);
}

struct icaltimetype rb_ics_fromwall (long long wall, int isdate) {
  struct icaltimetype t = icaltime_null_time();
  struct tm tm = {0};
  time_t when = (time_t)wall;
  gmtime_r(&when, &tm);
  t.year = tm.tm_year + 1900;
  t.month = tm.tm_mon + 1;
  t.day = tm.tm_mday;
  t.is_date = isdate;
  if (isdate) return t;
  t.hour = tm.tm_hour;
  t.minute = tm.tm_min;
  t.second = tm.tm_sec;
  return t;
}

void rb_ics_iso (char out[32], long long wall, Kind kind) {
  struct icaltimetype t = rb_ics_fromwall(wall, kind == DATE);
  int n = snprintf(out, 32, "%04d-%02d-%02d", t.year % 10000, t.month % 100, t.day % 100);
  if (kind == DATE) return;
  snprintf(out + n, (size_t)(32 - n), "T%02d:%02d:%02d%s", t.hour % 100, t.minute % 100,
           t.second % 100, kind == UTC ? "Z" : "");
}

/* -- of a property --------------------------------------------------------------- */

When rb_ics_moved (const When *like, long long wall) {
  When w = *like;
  long long at[2];
  w.wall = wall;
  w.known = w.clocks = 0;
  if (w.kind == UTC) w.at = wall;
  w.known = w.kind == UTC;
  w.clocks = 1;
  if (w.kind != ZONED || w.tz == NULL) return w;
  w.clocks = rb_ics_moments(w.tz, wall, at);
  /* a time that is skipped counts by the clock before (RFC 5545, 3.3.5) */
  w.at = w.clocks > 0 ? at[0] : wall - rb_ics_offset(w.tz, wall - DAY);
  w.known = 1;
  return w;
}

When rb_ics_whenof (icalcomponent *root, icalproperty *p, struct icaltimetype t) {
  When w = {.kind = NONE};
  if (icaltime_is_null_time(t)) return w;
  icalparameter *tzid = icalproperty_get_first_parameter(p, ICAL_TZID_PARAMETER);
  const char *zone = tzid != NULL ? icalparameter_get_tzid(tzid) : NULL;
  w.kind = t.is_date ? DATE : icaltime_is_utc(t) ? UTC : zone != NULL ? ZONED : FLOATING;
  if (w.kind == ZONED) {
    snprintf(w.zone, sizeof w.zone, "%.*s", rb_ics_shown(zone, 120), zone);
    w.tz = icalcomponent_get_timezone(root, zone);
    if (w.tz == NULL) w.tz = rb_ics_zone(zone);
  }
  return rb_ics_moved(&w, rb_ics_towall(t));
}

When rb_ics_when (icalcomponent *root, icalproperty *p) {
  if (p == NULL) return (When){.kind = NONE};
  icalvalue *v = icalproperty_get_value(p);
  return rb_ics_whenof(root, p, v != NULL ? icalvalue_get_datetime(v) : icaltime_null_time());
}

/* -- for a script ---------------------------------------------------------------- */

void rb_ics_pushwhen (lua_State *L, const When *w) {
  static const char *const kinds[] = {"", "date", "floating", "utc", "zoned"};
  char text[32];
  lua_createtable(L, 0, 5);
  lua_pushstring(L, kinds[w->kind]);
  lua_setfield(L, -2, "kind");
  rb_ics_iso(text, w->wall, w->kind == DATE ? DATE : FLOATING);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "wall");
  if (w->zone[0] != '\0') {
    lua_pushstring(L, w->zone);
    lua_setfield(L, -2, "zone");
  }
  if (!w->known) return;
  rb_ics_iso(text, w->at, UTC);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "utc");
  long long offset = w->wall - w->at;
  unsigned minutes = (unsigned)(llabs(offset) / 60 % 1440);
  snprintf(text, sizeof text, "%c%02u:%02u", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "offset");
}
