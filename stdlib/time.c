/*
** time.c - dates, durations, and the time that a run may know
**
** A time is a number: seconds since 1970 in UTC. time.now() is the time of the
** last event of the run, so that a resumed or replayed run sees the same.
**
** Zones come from the C library, which knows one zone per process, named by
** the environment. For the moment of one conversion 'environ' is a list with
** nothing but that name in it: nothing is allocated, nothing stays, and another
** thread that looks into its environment meanwhile finds a whole one.
*/

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/module.h"

#define ZONES "/usr/share/zoneinfo/"
#define ISO "%Y-%m-%dT%H:%M:%S"
#define FORMATS "aAbBdDeFgGHIjmMnpRStTuUVwWyYZz%"  /* of strftime */
#define LATEST 253402300799.0  /* 9999-12-31T23:59:59Z */

typedef struct Zone {
  char name[64];  /* "" is UTC */
} Zone;

/* -- zones ------------------------------------------------------------------- */

/* is there a file of the kind that the C library reads? */
static int iszonefile (const char *path) {
  char magic[4] = "";
  FILE *f = fopen(path, "re");
  if (f == NULL) return 0;
  size_t n = fread(magic, 1, sizeof magic, f);
  fclose(f);
  return n == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

/* The C library takes an unknown name for UTC: so the name is checked here. */
static void checkzone (lua_State *L, int idx, Zone *z) {
  char path[sizeof ZONES + sizeof z->name];
  const char *name = luaL_optstring(L, idx, "UTC");
  *z = (Zone){""};
  if (strcmp(name, "UTC") == 0 || strcmp(name, "Z") == 0) return;
  size_t n = strlen(name);
  int plain = n < sizeof z->name && isalpha((unsigned char)*name)
              && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_+-/") == n;
  snprintf(path, sizeof path, "%s%s", ZONES, name);
  if (!plain || !iszonefile(path))
    luaL_error(L, "time: '%s' is no time zone known here (such as "
               "\"America/Chicago\")", name);
  memcpy(z->name, name, n + 1);
}

static char **enter (const Zone *z, char **list, char *variable, size_t size) {
  char **before = environ;
  snprintf(variable, size, "TZ=:%s", z->name);
  list[0] = variable;
  list[1] = NULL;
  environ = list;
  tzset();
  return before;
}

static void leave (char **before) {
  environ = before;
  tzset();
}

/* the wall clock of the zone at that time; the offset in seconds */
static int breakdown (const Zone *z, time_t t, struct tm *tm, char *abbr, size_t size) {
  char *list[2], variable[80];
  int fine;
  snprintf(abbr, size, "UTC");
  if (z->name[0] == '\0') {
    fine = gmtime_r(&t, tm) != NULL;
  } else {
    char **before = enter(z, list, variable, sizeof variable);
    fine = localtime_r(&t, tm) != NULL;
    if (fine) snprintf(abbr, size, "%s", tm->tm_zone);
    leave(before);
  }
  tm->tm_zone = abbr;  /* the library's own text may be gone now */
  return fine;
}

/* the time at which the zone's wall clock shows 'tm' */
static time_t compose (const Zone *z, struct tm *tm) {
  char *list[2], variable[80];
  if (z->name[0] == '\0') return timegm(tm);
  char **before = enter(z, list, variable, sizeof variable);
  tm->tm_isdst = -1;
  time_t t = mktime(tm);
  leave(before);
  return t;
}

/* -- reading --------------------------------------------------------------------- */

static const char *digits (const char *s, int n, int *value) {
  *value = 0;
  for (; n > 0; n--, s++) {
    if (s == NULL || !isdigit((unsigned char)*s)) return NULL;
    *value = *value * 10 + *s - '0';
  }
  return s;
}

/* the character, or NULL */
static const char *skip (const char *s, const char *one) {
  return s != NULL && *s != '\0' && strchr(one, *s) != NULL ? s + 1 : NULL;
}

static const char *readdate (const char *s, struct tm *tm) {
  s = digits(s, 4, &tm->tm_year);
  s = digits(skip(s, "-"), 2, &tm->tm_mon);
  s = digits(skip(s, "-"), 2, &tm->tm_mday);
  tm->tm_year -= 1900;
  tm->tm_mon -= 1;
  return s;
}

/* "HH:MM[:SS[.fraction]]" */
static const char *readclock (const char *s, struct tm *tm, double *fraction) {
  s = digits(s, 2, &tm->tm_hour);
  s = digits(skip(s, ":"), 2, &tm->tm_min);
  if (s == NULL || *s != ':') return s;
  s = digits(s + 1, 2, &tm->tm_sec);
  if (s != NULL && (*s == '.' || *s == ',') && isdigit((unsigned char)s[1])) {
    double unit = 0.1;
    for (s++; isdigit((unsigned char)*s); s++, unit /= 10)
      *fraction += unit * (*s - '0');
  }
  return s;
}

/* "Z", "+01", "+0100" or "+01:00": *known is set, and *offset */
static const char *readoffset (const char *s, int *known, int *offset) {
  int hours, minutes = 0;
  const char *rest;
  if (s == NULL) return NULL;
  if (*s == ' ' && s[1] != '\0') s++;
  *known = *s != '\0';
  if (*s == 'Z' || *s == 'z') return s + 1;
  if (strcmp(s, "UTC") == 0 || strcmp(s, "GMT") == 0) return s + 3;
  if (*s != '+' && *s != '-') return s;
  rest = digits(s + 1, 2, &hours);
  if (rest != NULL && *rest == ':') rest++;
  if (rest != NULL && *rest != '\0') rest = digits(rest, 2, &minutes);
  if (rest == NULL || hours > 15 || minutes > 59) return NULL;
  *offset = (hours * 3600 + minutes * 60) * (*s == '-' ? -1 : 1);
  return rest;
}

/* "Sat, 21 Nov 2026 02:16:28 GMT", as HTTP and mail have it */
static const char *readmail (const char *s, struct tm *tm, int *known, int *offset) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  char month[4] = "";
  int at = 0;
  double fraction = 0;
  const char *comma = strchr(s, ',');
  if (comma != NULL) s = comma + 1;
  if (sscanf(s, " %2d %3[A-Za-z] %4d %n", &tm->tm_mday, month, &tm->tm_year, &at) != 3
      || at == 0 || strlen(month) != 3) return NULL;
  const char *found = strstr(months, month);
  if (found == NULL || (found - months) % 3 != 0) return NULL;
  tm->tm_mon = (int)(found - months) / 3;
  tm->tm_year -= 1900;
  return readoffset(readclock(s + at, tm, &fraction), known, offset);
}

/* is every part of the date one that exists? (timegm takes the 31st of June) */
static int exists (const struct tm *tm) {
  struct tm same = *tm;
  if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60) return 0;
  if (tm->tm_mon < 0 || tm->tm_mon > 11 || tm->tm_mday < 1) return 0;
  same.tm_hour = same.tm_min = same.tm_sec = 0;
  timegm(&same);
  return same.tm_mon == tm->tm_mon && same.tm_mday == tm->tm_mday;
}

/* 1 and the time, or 0 */
static int readtime (const char *s, const Zone *z, double *out) {
  struct tm tm = {0};
  double fraction = 0;
  int known = 0, offset = 0;
  const char *rest = readdate(s, &tm);
  if (rest == NULL) {
    tm = (struct tm){0};
    rest = readmail(s, &tm, &known, &offset);
  } else if (*rest != '\0') {
    rest = readclock(skip(rest, "Tt "), &tm, &fraction);
    rest = readoffset(rest, &known, &offset);
  }
  if (rest == NULL || *rest != '\0' || !exists(&tm)) return 0;
  double whole = (double)(known ? timegm(&tm) : compose(z, &tm)) - offset;
  *out = whole + fraction;
  return 1;
}

/* -- check -------------------------------------------------------------------------- */

/* a time: a number, or a text that says one */
static double checktime (lua_State *L, int idx) {
  const Zone utc = {""};
  double t = 0;
  if (lua_type(L, idx) == LUA_TNUMBER) t = lua_tonumber(L, idx);
  else if (lua_type(L, idx) != LUA_TSTRING)
    luaL_error(L, "time: a time is expected (time.now(), time.parse(...)), not a %s",
               luaL_typename(L, idx));
  else if (!readtime(lua_tostring(L, idx), &utc, &t))
    luaL_error(L, "time: '%s' is no time such as 2026-11-21T02:16:28Z",
               lua_tostring(L, idx));
  if (!(t >= -LATEST && t <= LATEST)) luaL_error(L, "time: that is no time");
  return t;
}

/* a duration: "1h30m", "-5m", or seconds */
static double checkduration (lua_State *L, int idx) {
  double seconds = 0;
  if (lua_type(L, idx) == LUA_TNUMBER) return lua_tonumber(L, idx);
  const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
  int minus = *s == '-';
  if (!rb_duration(s + minus, &seconds))
    luaL_error(L, "time: '%s' is no duration such as \"90s\", \"10m\" or \"1h30m\"",
               *s != '\0' ? s : luaL_typename(L, idx));
  return minus ? -seconds : seconds;
}

/* [-0, +1]  a whole number of seconds as an integer */
static void pushseconds (lua_State *L, double t) {
  if (t == floor(t) && fabs(t) < 9e15) lua_pushinteger(L, (lua_Integer)t);
  else lua_pushnumber(L, t);
}

/* -- functions ------------------------------------------------------------------------- */

/* whole milliseconds: more than a clock of ours is worth */
static double runtime (lua_State *L) {
  double t = floor(rb_time(L) * 1000) / 1000;
  if (t <= 0) luaL_error(L, "the time is not known while the file is being loaded");
  return t;
}

static int now (lua_State *L) {
  pushseconds(L, runtime(L));
  rb_passing(L, "<time>", -1);
  return 1;
}

static int parse (lua_State *L) {
  Zone z;
  double t = 0;
  checkzone(L, 2, &z);
  if (lua_type(L, 1) != LUA_TSTRING)
    return luaL_error(L, "time.parse: a text is expected, not a %s", luaL_typename(L, 1));
  if (!readtime(lua_tostring(L, 1), &z, &t))
    return rb_fail(L, "data", RB_NOTDONE, "time.parse: '%s' is no time such as "
                   "2026-11-21T02:16:28Z", lua_tostring(L, 1));
  pushseconds(L, t);
  if (rb_ispassing(L, 1)) rb_passing(L, "<time>", -1);
  return 1;
}

static void checkformat (lua_State *L, const char *s) {
  for (; *s != '\0'; s++) {
    if (*s != '%') continue;
    s++;
    if (*s == '\0' || strchr(FORMATS, *s) == NULL)
      luaL_error(L, "time.format: '%%%c' is not known (there are %s)",
                 *s == '\0' ? ' ' : *s, FORMATS);
  }
}

/* the offset of ISO 8601: "Z", "-06:00" */
static void addoffset (char *s, size_t size, const Zone *z, long offset) {
  unsigned minutes = (unsigned)labs(offset) / 60 % 1440;
  if (z->name[0] == '\0') snprintf(s, size, "Z");
  else snprintf(s, size, "%c%02u:%02u", offset < 0 ? '-' : '+', minutes / 60,
                minutes % 60);
}

/* [-0, +1, m]  fmt is the script's, and checked */
static void pushtime (lua_State *L, const char *fmt, const struct tm *tm) {
  char out[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  size_t n = strftime(out, sizeof out, fmt, tm);
#pragma GCC diagnostic pop
  if (n == 0 && *fmt != '\0') luaL_error(L, "time.format: that is a long format");
  lua_pushlstring(L, out, n);
}

static int format (lua_State *L) {
  struct tm tm = {0};
  char abbr[16], offset[16] = "";
  Zone z;
  double t = checktime(L, 1);
  const char *fmt = luaL_optstring(L, 2, "");
  checkzone(L, 3, &z);
  checkformat(L, fmt);
  if (!breakdown(&z, (time_t)floor(t), &tm, abbr, sizeof abbr))
    return luaL_error(L, "time.format: that is no time");
  if (*fmt == '\0') addoffset(offset, sizeof offset, &z, tm.tm_gmtoff);
  pushtime(L, *fmt != '\0' ? fmt : ISO, &tm);
  lua_pushstring(L, offset);
  lua_concat(L, 2);
  if (rb_ispassing(L, 1)) rb_passing(L, "<time>", -1);
  return 1;
}

static int add (lua_State *L) {
  pushseconds(L, checktime(L, 1) + checkduration(L, 2));
  if (rb_ispassing(L, 1)) rb_passing(L, "<time>", -1);
  return 1;
}

static int since (lua_State *L) {
  pushseconds(L, round((runtime(L) - checktime(L, 1)) * 1000) / 1000);
  return 1;
}

static int seconds (lua_State *L) {
  pushseconds(L, checkduration(L, 1));
  return 1;
}

static const rb_Reg functions[] = {
  {"now", RB_PURE, now, NULL,
   "now() -> seconds since 1970 : the time of the run's last event, with "
   "milliseconds; the same again on resume and replay. An error while the file is "
   "being loaded.", NULL, NULL},
  {"parse", RB_PURE, parse, NULL,
   "parse(s [, zone]) -> time : reads 2026-11-21, 2026-11-21T02:16:28Z (a space "
   "for the T, a fraction and an offset such as -06:00 too) and dates of mail and "
   "HTTP; without an offset it is UTC, or of `zone` (\"America/Chicago\"). "
   "Seconds since 1970. Fails with \"data\" where it is no time; a zone that is "
   "not known here is an error.", NULL, NULL},
  {"format", RB_PURE, format, NULL,
   "format(t [, fmt [, zone]]) -> string : a time (seconds, or a text that "
   "time.parse reads) as ISO 8601 in UTC, 2026-11-21T02:16:28Z, or as strftime "
   "says: \"%d.%m.%Y %H:%M\" (a letter that is not known is an error), in UTC or "
   "a zone such as \"America/Chicago\". Fractions of a second are left out.", NULL, NULL},
  {"add", RB_PURE, add, NULL,
   "add(t, \"1h30m\") -> time : later by a duration, or earlier (\"-5m\"); a "
   "number is seconds. t is seconds since 1970, or a text that time.parse reads; "
   "the result is seconds.",
   NULL, NULL},
  {"since", RB_PURE, since, NULL,
   "since(t) -> seconds : from t (seconds since 1970, or a text) until "
   "time.now(), to the millisecond; negative where t is still to come.", NULL, NULL},
  {"seconds", RB_PURE, seconds, NULL,
   "seconds(\"1h30m\") -> number : a duration in seconds (units: ms, s, m, h, d); "
   "\"-5m\" is -300, a number is itself. An error where it is no duration.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "time",
  .doc = "times, durations, and the time that a run may know",
  .functions = functions
};
