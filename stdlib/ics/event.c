/*
** event.c - a calendar as tables
*/

#include <string.h>
#include <strings.h>

#include "stdlib/ics/ics.h"

/* [-0, +0, m]  field = text, in the table at the top; nothing where there is none */
static void set (lua_State *L, const char *field, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

static const char *textof (icalcomponent *c, icalproperty_kind kind) {
  icalproperty *p = icalcomponent_get_first_property(c, kind);
  icalvalue *v = p != NULL ? icalproperty_get_value(p) : NULL;
  return v == NULL ? NULL : icalvalue_isa(v) == ICAL_TEXT_VALUE
         ? icalvalue_get_text(v) : icalproperty_get_value_as_string(p);
}

const char *rb_ics_uid (icalcomponent *event) { return textof(event, ICAL_UID_PROPERTY); }

/* -- times ----------------------------------------------------------------------- */

static void settime (lua_State *L, const char *field, const When *w) {
  if (w->kind == NONE) return;
  rb_ics_pushwhen(L, w);
  lua_setfield(L, -2, field);
}

static When first (icalcomponent *root, icalcomponent *c, icalproperty_kind kind) {
  return rb_ics_when(root, icalcomponent_get_first_property(c, kind));
}

void rb_ics_span (icalcomponent *root, icalcomponent *event, When *start, When *finish) {
  *start = first(root, event, ICAL_DTSTART_PROPERTY);
  *finish = first(root, event, ICAL_DTEND_PROPERTY);
  icalproperty *p = icalcomponent_get_first_property(event, ICAL_DURATION_PROPERTY);
  if (finish->kind != NONE || start->kind == NONE) return;
  if (p == NULL) {  /* a day lasts one, a moment is one */
    if (start->kind == DATE) *finish = rb_ics_moved(start, start->wall + 86400);
    return;
  }
  struct icaldurationtype d = icalproperty_get_duration(p);
  int days = (int)(d.weeks * 7 + d.days) * (d.is_neg ? -1 : 1);
  long long rest = (d.hours * 3600LL + d.minutes * 60LL + d.seconds) * (d.is_neg ? -1 : 1);
  *finish = rb_ics_moved(start, start->wall + days * 86400LL);  /* days are days of the wall */
  if (rest == 0) return;
  if (!finish->known || finish->tz == NULL) *finish = rb_ics_moved(finish, finish->wall + rest);
  else {  /* and hours are hours */
    finish->at += rest;
    finish->wall = finish->at + rb_ics_offset(finish->tz, finish->at);
  }
}

/* -- people ---------------------------------------------------------------------- */

static const char *address (const char *uri) {
  return uri != NULL && strncasecmp(uri, "mailto:", 7) == 0 ? uri + 7 : uri;
}

static const char *parameter (icalproperty *p, const char *name) {
  for (icalparameter *a = icalproperty_get_first_parameter(p, ICAL_ANY_PARAMETER); a != NULL;
       a = icalproperty_get_next_parameter(p, ICAL_ANY_PARAMETER)) {
    const char *s = icalparameter_as_ical_string(a), *value = s != NULL ? strchr(s, '=') : NULL;
    if (value != NULL && strlen(name) == (size_t)(value - s) && strncasecmp(s, name,
        strlen(name)) == 0)
      return value + 1;
  }
  return NULL;
}

static void setparameter (lua_State *L, icalproperty *p, const char *field, const char *name) {
  const char *s = parameter(p, name);
  size_t n = s != NULL ? strlen(s) : 0;
  if (s == NULL) return;
  if (n >= 2 && s[0] == '"' && s[n - 1] == '"') lua_pushlstring(L, s + 1, n - 2);
  else lua_pushlstring(L, s, n);
  lua_setfield(L, -2, field);
}

/* [-0, +1, m] */
static void pushperson (lua_State *L, icalproperty *p) {
  lua_createtable(L, 0, 5);
  set(L, "email", address(icalproperty_get_value_as_string(p)));
  setparameter(L, p, "name", "CN");
  setparameter(L, p, "status", "PARTSTAT");
  setparameter(L, p, "role", "ROLE");
  const char *rsvp = parameter(p, "RSVP");
  lua_pushboolean(L, rsvp != NULL && strcasecmp(rsvp, "TRUE") == 0);
  lua_setfield(L, -2, "rsvp");
}

static void setpeople (lua_State *L, icalcomponent *c) {
  icalproperty *p = icalcomponent_get_first_property(c, ICAL_ORGANIZER_PROPERTY);
  if (p != NULL) {
    pushperson(L, p);
    lua_setfield(L, -2, "organizer");
  }
  lua_newtable(L);
  p = icalcomponent_get_first_property(c, ICAL_ATTENDEE_PROPERTY);
  for (lua_Integer i = 1; p != NULL; i++) {
    pushperson(L, p);
    lua_rawseti(L, -2, i);
    p = icalcomponent_get_next_property(c, ICAL_ATTENDEE_PROPERTY);
  }
  lua_setfield(L, -2, "attendees");
}

/* -- events ---------------------------------------------------------------------- */

static const struct { const char *field; icalproperty_kind kind; } texts[] = {
  {"uid", ICAL_UID_PROPERTY}, {"summary", ICAL_SUMMARY_PROPERTY}, {"status",
      ICAL_STATUS_PROPERTY},
  {"location", ICAL_LOCATION_PROPERTY}, {"description", ICAL_DESCRIPTION_PROPERTY},
  {"url", ICAL_URL_PROPERTY}, {"rrule", ICAL_RRULE_PROPERTY}
};

/* [-0, +1, m] */
static void pushevent (lua_State *L, icalcomponent *root, icalcomponent *c) {
  When start, finish, stamp = first(root, c, ICAL_DTSTAMP_PROPERTY),
       instance = first(root, c, ICAL_RECURRENCEID_PROPERTY);
  char text[32];
  lua_createtable(L, 0, 16);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    set(L, texts[i].field, textof(c, texts[i].kind));
  icalproperty *p = icalcomponent_get_first_property(c, ICAL_SEQUENCE_PROPERTY);
  lua_pushinteger(L, p != NULL ? icalproperty_get_sequence(p) : 0);
  lua_setfield(L, -2, "sequence");
  p = icalcomponent_get_first_property(c, ICAL_ANY_PROPERTY);
  lua_pushinteger(L, p != NULL ? rb_ics_line(p) : 0);
  lua_setfield(L, -2, "line");
  rb_ics_span(root, c, &start, &finish);
  settime(L, "start", &start);
  settime(L, "finish", &finish);
  settime(L, "instance", &instance);
  if (stamp.known) {
    rb_ics_iso(text, stamp.at, UTC);
    set(L, "stamp", text);
  }
  setpeople(L, c);
}

static void setzones (lua_State *L, icalcomponent *root) {
  lua_newtable(L);
  icalcomponent *z = icalcomponent_get_first_component(root, ICAL_VTIMEZONE_COMPONENT);
  for (lua_Integer i = 1; z != NULL; z = icalcomponent_get_next_component(root,
       ICAL_VTIMEZONE_COMPONENT)) {
    const char *id = textof(z, ICAL_TZID_PROPERTY);
    if (id == NULL) continue;
    lua_pushstring(L, id);
    lua_rawseti(L, -2, i++);
  }
  lua_setfield(L, -2, "zones");
}

void rb_ics_pushcalendar (lua_State *L, Job *j) {
  lua_createtable(L, 0, 5);
  set(L, "method", textof(j->root, ICAL_METHOD_PROPERTY));
  set(L, "version", textof(j->root, ICAL_VERSION_PROPERTY));
  set(L, "prodid", textof(j->root, ICAL_PRODID_PROPERTY));
  setzones(L, j->root);
  lua_newtable(L);
  icalcomponent *c = icalcomponent_get_first_component(j->root, ICAL_VEVENT_COMPONENT);
  for (lua_Integer i = 1; c != NULL; i++) {
    pushevent(L, j->root, c);
    lua_rawseti(L, -2, i);
    c = icalcomponent_get_next_component(j->root, ICAL_VEVENT_COMPONENT);
  }
  lua_setfield(L, -2, "events");
}
