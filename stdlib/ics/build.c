/*
** build.c - an invitation, from a table
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/ics/ics.h"

static const char *const fields[] = {
  "uid", "sequence", "method", "summary", "location", "description", "url", "status", "organizer",
  "attendees", "start", "finish", "duration", "zone", "rrule", "except", "stamp", "floating", NULL
};

enum { OWNER = 2 };  /* of what libical made */

typedef struct Owner { icalcomponent *calendar, *event; char *text; } Owner;

typedef struct Build {
  lua_State *L;
  Owner *o;
  const char *method, *zone;
  icaltimezone *tz;
  int floating;
  When start, finish;
} Build;

static int owner_close (lua_State *L) {
  Owner *o = lua_touserdata(L, 1);
  if (o->calendar != NULL) icalcomponent_free(o->calendar);
  free(o->text);
  *o = (Owner){NULL, NULL, NULL};
  return 0;
}

/* [-0, +1, m] */
static Owner *pushowner (lua_State *L) {
  Owner *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (Owner){NULL, NULL, NULL};
  if (luaL_newmetatable(L, "ics.owner")) {
    lua_pushcfunction(L, owner_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  icalerror_set_errors_are_fatal(0);
  o->calendar = icalcomponent_new_vcalendar();
  o->event = icalcomponent_new_vevent();
  if (o->calendar == NULL || o->event == NULL) luaL_error(L, "not enough memory");
  icalcomponent_add_component(o->calendar, o->event);
  return o;
}

static const char *need (lua_State *L, const char *field) {
  const char *s = rb_ics_text(L, field);
  if (s == NULL || *s == '\0') luaL_error(L, "ics.build: %s is missing", field);
  return s;
}

/* -- texts ----------------------------------------------------------------------- */

static const char *oneof (lua_State *L, const char *field, const char *const *words) {
  const char *s = rb_ics_text(L, field);
  for (const char *const *w = words; s != NULL && *w != NULL; w++)
    if (strcmp(s, *w) == 0) return s;
  if (s == NULL) return NULL;
  const char *near = rb_nearest(s, words);
  luaL_error(L, "ics.build: %s: '%s' is none (%s)", field, s, near != NULL ? near : words[0]);
  return NULL;
}

static void methodof (Build *b) {
  static const char *const methods[] = {"REQUEST", "CANCEL", "PUBLISH", NULL};
  b->method = oneof(b->L, "method", methods);
  if (b->method == NULL)
    b->method = lua_getfield(b->L, ARGS, "attendees") == LUA_TNIL ? "PUBLISH" : "REQUEST";
}

static void texts (Build *b) {
  static const char *const statuses[] = {"CONFIRMED", "TENTATIVE", "CANCELLED", NULL};
  lua_State *L = b->L;
  icalcomponent *e = b->o->event;
  int isnum = 1;
  const char *s;
  icalcomponent_add_property(e, icalproperty_new_uid(need(L, "uid")));
  lua_Integer sequence = lua_getfield(L, ARGS, "sequence") == LUA_TNIL ? 0 : lua_tointegerx(L,
      -1, &isnum);
  if (!isnum || sequence < 0 || sequence > 1000000000)
    luaL_error(L, "ics.build: sequence: a number from 0 on is expected");
  icalcomponent_add_property(e, icalproperty_new_sequence((int)sequence));
  icalcomponent_add_property(e, icalproperty_new_summary(need(L, "summary")));
  if ((s = rb_ics_text(L, "location")) != NULL && *s != '\0')
    icalcomponent_add_property(e, icalproperty_new_location(s));
  if ((s = rb_ics_text(L, "description")) != NULL && *s != '\0')
    icalcomponent_add_property(e, icalproperty_new_description(s));
  if ((s = rb_ics_text(L, "url")) != NULL && *s != '\0')
    icalcomponent_add_property(e, icalproperty_new_url(s));
  s = oneof(L, "status", statuses);
  if (s == NULL) s = strcmp(b->method, "CANCEL") == 0 ? "CANCELLED" : "CONFIRMED";
  icalcomponent_add_property(e, icalproperty_new_status(icalproperty_string_to_status(s)));
}

/* -- times ----------------------------------------------------------------------- */

static void zoneof (Build *b) {
  lua_State *L = b->L;
  b->floating = (lua_getfield(L, ARGS, "floating"), lua_toboolean(L, -1));
  b->zone = rb_ics_text(L, "zone");
  if (b->zone == NULL) b->zone = "";
  if (*b->zone == '\0' || strcmp(b->zone, "UTC") == 0) return;
  if (b->floating) luaL_error(L, "ics.build: zone and floating: a floating time has no zone");
  b->tz = rb_ics_zone(b->zone);
  if (b->tz == NULL)
    luaL_error(L, "ics.build: '%s' is no time zone known here (such as \"America/Chicago\")",
               b->zone);
}

static When given (Build *b, int idx, const char *field) {
  return rb_ics_given(b->L, idx, field, b->tz, b->zone, b->floating);
}

static void addtime (Build *b, icalproperty *p, const When *w) {
  struct icaltimetype t = rb_ics_fromwall(w->wall, w->kind == DATE);
  if (w->kind == UTC) t.zone = icaltimezone_get_utc_timezone();
  icalproperty_set_value(p, w->kind == DATE ? icalvalue_new_date(t) : icalvalue_new_datetime(t));
  if (w->kind == ZONED) icalproperty_add_parameter(p, icalparameter_new_tzid(w->zone));
  if (w->kind == DATE) icalproperty_add_parameter(p, icalparameter_new_value(ICAL_VALUE_DATE));
  icalcomponent_add_property(b->o->event, p);
}

static When finishof (Build *b, const When *start) {
  lua_State *L = b->L;
  double seconds = 0;
  int has = lua_getfield(L, ARGS, "finish") != LUA_TNIL, idx = lua_gettop(L);
  const char *duration = rb_ics_text(L, "duration");
  if (has == (duration != NULL))
    luaL_error(L, "ics.build: finish or duration is expected%s", has ? ", not both" : "");
  if (has) return given(b, idx, "finish");
  if (!rb_duration(duration, &seconds) || seconds < 1)
    luaL_error(L, "ics.build: duration: '%s' is none such as \"1h30m\"", duration);
  if (!start->known) {
    When w = *start;
    w.wall += (long long)seconds;
    return w;
  }
  lua_pushnumber(L, (lua_Number)(start->at + (long long)seconds));
  return given(b, -1, "duration");
}

static void exceptions (Build *b) {
  lua_State *L = b->L;
  if (lua_getfield(L, ARGS, "except") == LUA_TNIL) return;
  luaL_argexpected(L, lua_istable(L, -1), ARGS, "except, a list of times");
  for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) {
    When w = given(b, -1, "except");
    addtime(b, icalproperty_new(ICAL_EXDATE_PROPERTY), &w);
    lua_pop(L, 1);
  }
}

static void rule (Build *b) {
  const char *s = rb_ics_text(b->L, "rrule");
  if (s == NULL) return;
  if (b->tz != NULL && b->start.kind == UTC)
    luaL_error(b->L, "ics.build: start: in %s that time is the second of two alike, when the "
               "clocks go back: an event that is repeated cannot begin there", b->zone);
  struct icalrecurrencetype r = icalrecurrencetype_from_string(s);
  if (r.freq == ICAL_NO_RECURRENCE || strpbrk(s, "\n:") != NULL)
    luaL_error(b->L, "ics.build: rrule: '%s' is no rule such as FREQ=WEEKLY;COUNT=6", s);
  icalcomponent_add_property(b->o->event, icalproperty_new_rrule(r));
}

static void times (Build *b) {
  lua_State *L = b->L;
  if (lua_getfield(L, ARGS, "start") == LUA_TNIL) luaL_error(L, "ics.build: start is missing");
  When start = given(b, -1, "start"), finish = finishof(b, &start);
  if ((start.kind == DATE) != (finish.kind == DATE))
    luaL_error(L, "ics.build: start and finish are both times, or both days");
  if (start.known && finish.known ? finish.at <= start.at : finish.wall <= start.wall)
    luaL_error(L, "ics.build: finish is not after start");
  b->start = start;
  b->finish = finish;
  addtime(b, icalproperty_new(ICAL_DTSTART_PROPERTY), &start);
  addtime(b, icalproperty_new(ICAL_DTEND_PROPERTY), &finish);
  rule(b);
  exceptions(b);
}

/* the zone's own name, and nothing that only libical reads */
static void plainly (icalcomponent *z, const char *name) {
  icalproperty *p = icalcomponent_get_first_property(z, ICAL_TZID_PROPERTY);
  if (p != NULL) icalproperty_set_tzid(p, name);
  while ((p = icalcomponent_get_first_property(z, ICAL_X_PROPERTY)) != NULL) {
    icalcomponent_remove_property(z, p);
    icalproperty_free(p);
  }
}

/* the zone as it is from the year before the event on: readers ask for nothing earlier */
static void describe (Build *b) {
  Owner *o = b->o;
  if (b->tz == NULL || b->start.kind == DATE) return;
  icalcomponent *z = icalcomponent_new_clone(icaltimezone_get_component(b->tz));
  if (z == NULL) luaL_error(b->L, "not enough memory");
  icalcomponent_add_component(o->calendar, z);
  struct icaltimetype from = rb_ics_fromwall(b->start.at, 0);
  from.year -= 1;
  from.month = from.day = 1;
  from.hour = 12;
  from.zone = icaltimezone_get_utc_timezone();
  icaltimezone_truncate_vtimezone(z, from, icaltime_null_time(), 0);
  plainly(z, b->zone);
}

/* -- the whole ------------------------------------------------------------------- */

static void people (Build *b) {
  lua_State *L = b->L;
  int invites = strcmp(b->method, "PUBLISH") != 0;
  lua_settop(L, OWNER);
  if (lua_getfield(L, ARGS, "organizer") != LUA_TNIL)
    rb_ics_person(L, b->o->event, ICAL_ORGANIZER_PROPERTY);
  else if (invites) luaL_error(L, "ics.build: organizer is missing: who invites");
  lua_settop(L, OWNER);
  int type = lua_getfield(L, ARGS, "attendees");
  if (type != LUA_TTABLE && (type != LUA_TNIL || invites))
    luaL_error(L, "ics.build: attendees: a list of addresses is expected, not a %s",
               lua_typename(L, type));
  for (lua_Integer i = 1; type == LUA_TTABLE && lua_geti(L, OWNER + 1, i) != LUA_TNIL; i++) {
    rb_ics_person(L, b->o->event, ICAL_ATTENDEE_PROPERTY);
    lua_settop(L, OWNER + 1);
  }
  if (invites && icalcomponent_get_first_property(b->o->event, ICAL_ATTENDEE_PROPERTY) == NULL)
    luaL_error(L, "ics.build: attendees: the list is empty");
}

static void head (Build *b) {
  icalcomponent *c = b->o->calendar;
  icalcomponent_add_property(c, icalproperty_new_version("2.0"));
  icalcomponent_add_property(c, icalproperty_new_prodid("-//runbook//ics//EN"));
  icalcomponent_add_property(c,
                             icalproperty_new_method(icalproperty_string_to_method(b->method)));
}

/* when it was made: the time of the run, where the script does not say; 1: it does not */
static int stamp (Build *b) {
  lua_State *L = b->L;
  int own = lua_getfield(L, ARGS, "stamp") == LUA_TNIL;
  if (own) {
    if (rb_time(L) <= 0)
      luaL_error(L, "ics.build: the time is not known while the file is being loaded: give "
                 "stamp");
    lua_pushinteger(L, (lua_Integer)rb_time(L));
  }
  When w = rb_ics_given(L, -1, "stamp", NULL, "", 0);
  if (!w.known) luaL_error(L, "ics.build: stamp: a time is expected, not a day");
  addtime(b, icalproperty_new(ICAL_DTSTAMP_PROPERTY), &w);
  return own;
}

int rb_ics_build (lua_State *L) {
  Build b = {.L = L, .zone = ""};
  luaL_checktype(L, ARGS, LUA_TTABLE);
  lua_settop(L, ARGS);
  rb_ics_known(L, ARGS, "ics.build", fields);
  luaL_checkstack(L, 80, "ics.build");
  b.o = pushowner(L);
  methodof(&b);
  head(&b);
  zoneof(&b);
  texts(&b);
  int own = stamp(&b);
  times(&b);
  describe(&b);
  people(&b);
  b.o->text = rb_ics_fold(b.o->calendar);
  if (b.o->text == NULL) return luaL_error(L, "not enough memory");
  lua_pushstring(L, b.o->text);
  if (own) rb_passing(L, "<calendar>", -1);
  return 1;
}
