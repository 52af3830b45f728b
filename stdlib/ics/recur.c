/*
** recur.c - on which days an event that is repeated takes place
**
** A rule is followed by the clock on the wall, and each of its times is then a moment of its
** own: nine o'clock stays nine o'clock when the clocks change.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/ics/ics.h"

#define MOST 1000        /* of them, in one answer */
#define TRIED 100000     /* of one rule, those before `from` included */
#define RULES 20         /* that are followed: each may search for long in vain */
#define EVER 253402300799LL

enum { WISH = ARGS + 1 };

typedef struct Found {
  When start;
  long long length;      /* by the wall */
  Kind finish;           /* NONE: there is no end */
  const char *uid;
  int changed;
} Found;

typedef struct Walk {    /* what is freed when the call ends */
  icalrecur_iterator *it;
  Found *found;
  size_t n, room;
} Walk;

typedef struct Series {
  lua_State *L;
  Job *j;
  Walk *walk;
  icalcomponent *event;
  const char *uid;       /* NULL: it has none */
  When start, finish;
  long long from, to;    /* moments; of a time without zone as if it were UTC */
  size_t limit;
  int rules;             /* followed so far */
} Series;

static int walk_close (lua_State *L) {
  Walk *w = lua_touserdata(L, 1);
  if (w->it != NULL) icalrecur_iterator_free(w->it);
  free(w->found);
  *w = (Walk){NULL, NULL, 0, 0};
  return 0;
}

/* [-0, +1, m] */
static Walk *pushwalk (lua_State *L) {
  Walk *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (Walk){NULL, NULL, 0, 0};
  if (luaL_newmetatable(L, "ics.walk")) {
    lua_pushcfunction(L, walk_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return w;
}

/* -- which are left out, which are changed --------------------------------------- */

static long long momentof (const When *w) { return w->known ? w->at : w->wall; }

static int excepted (Series *s, long long at) {
  for (icalproperty *p = icalcomponent_get_first_property(s->event,
       ICAL_EXDATE_PROPERTY); p != NULL;
       p = icalcomponent_get_next_property(s->event, ICAL_EXDATE_PROPERTY)) {
    When w = rb_ics_when(s->j->root, p);
    if (w.kind != NONE && momentof(&w) == at) return 1;
  }
  return 0;
}

/* does another event of the same UID stand for this one? */
static int replaced (Series *s, long long at) {
  icalcompiter it = icalcomponent_begin_component(s->j->root, ICAL_VEVENT_COMPONENT);
  for (icalcomponent *c; s->uid != NULL
       && (c = icalcompiter_deref(&it)) != NULL; icalcompiter_next(&it)) {
    icalproperty *p = icalcomponent_get_first_property(c, ICAL_RECURRENCEID_PROPERTY);
    const char *other = p != NULL ? rb_ics_uid(c) : NULL;
    When w = rb_ics_when(s->j->root, p);
    if (other != NULL && strcmp(other, s->uid) == 0 && momentof(&w) == at) return 1;
  }
  return 0;
}

/* -- one of them ----------------------------------------------------------------- */

static void add (Series *s, const When *start, int changed) {
  Walk *w = s->walk;
  if (w->n == w->room) {
    size_t room = w->room == 0 ? 64 : 2 * w->room;
    Found *more = realloc(w->found, room * sizeof *more);
    if (more == NULL) luaL_error(s->L, "not enough memory");
    w->found = more;
    w->room = room;
  }
  w->found[w->n++] = (Found){*start, s->finish.wall - s->start.wall, s->finish.kind,
                             s->uid != NULL ? s->uid : "", changed};
}

/* 0: it is after the last that was asked for */
static int take (Series *s, const When *w, int changed) {
  long long at = momentof(w);
  if (at >= s->to) return 0;
  if (at >= s->from && (changed || (!excepted(s, at) && !replaced(s, at)))) add(s, w, changed);
  return 1;
}

/* -- a rule, and days that are named --------------------------------------------- */

static void begin (Series *s, icalproperty *p) {
  struct icalrecurrencetype r = icalproperty_get_rrule(p);
  if (r.freq == ICAL_SECONDLY_RECURRENCE || r.freq == ICAL_MINUTELY_RECURRENCE
      || r.freq == ICAL_HOURLY_RECURRENCE || ++s->rules > RULES)
    rb_fail(s->L, "limit", RB_NOTDONE, "ics.occurrences: line %d, RRULE: rules that repeat more "
            "than once a day, and more than %d of them, are not followed", rb_ics_line(p), RULES);
  if (icaltime_is_utc(r.until) && s->start.tz != NULL) {  /* as the wall shows it */
    long long until = rb_ics_towall(r.until);
    r.until = rb_ics_fromwall(until + rb_ics_offset(s->start.tz, until), 0);
  }
  r.until.zone = NULL;
  s->walk->it = icalrecur_iterator_new(r, rb_ics_fromwall(s->start.wall, s->start.kind == DATE));
}

static void follow (Series *s, icalproperty *p) {
  size_t before = s->walk->n;
  begin(s, p);
  for (int tried = 0; s->walk->it != NULL && s->walk->n - before <= s->limit; tried++) {
    struct icaltimetype t = icalrecur_iterator_next(s->walk->it);
    if (icaltime_is_null_time(t)) break;
    if (tried == TRIED)
      rb_fail(s->L, "limit", RB_NOTDONE, "ics.occurrences: line %d, RRULE: more than %d times "
              "before what was asked for", rb_ics_line(p), TRIED);
    When one = rb_ics_moved(&s->start, rb_ics_towall(t));
    if (!take(s, &one, 0)) break;
  }
  if (s->walk->it != NULL) icalrecur_iterator_free(s->walk->it);
  s->walk->it = NULL;
}

/* while properties are gone through, nothing else may be asked of the component: it has one
** place for that */
static void named (Series *s) {
  Walk *w = s->walk;
  size_t before = w->n;
  for (icalproperty *p = icalcomponent_get_first_property(s->event,
       ICAL_RDATE_PROPERTY); p != NULL;
       p = icalcomponent_get_next_property(s->event, ICAL_RDATE_PROPERTY)) {
    struct icaldatetimeperiodtype d = icalproperty_get_rdate(p);
    When one = rb_ics_whenof(s->j->root, p, icaltime_is_null_time(d.time) ? d.period.start :
        d.time);
    long long at = momentof(&one);
    if (one.kind != NONE && at >= s->from && at < s->to) add(s, &one, 0);
  }
  size_t kept = before;
  for (size_t i = before; i < w->n; i++) {
    long long at = momentof(&w->found[i].start);
    if (!excepted(s, at) && !replaced(s, at)) w->found[kept++] = w->found[i];
  }
  w->n = kept;
}

static void series (Series *s) {
  icalcomponent *e = s->event;
  rb_ics_span(s->j->root, e, &s->start, &s->finish);
  if (s->start.kind == NONE) return;
  if (s->finish.known && s->start.known)  /* an end in another zone, by the clock of the start */
    s->finish.wall = s->finish.at + (s->start.tz != NULL ? rb_ics_offset(s->start.tz,
        s->finish.at) : 0);
  if (icalcomponent_get_first_property(e, ICAL_RECURRENCEID_PROPERTY) != NULL) {
    icalproperty *status = icalcomponent_get_first_property(e, ICAL_STATUS_PROPERTY);
    if (status == NULL || icalproperty_get_status(status) != ICAL_STATUS_CANCELLED) take(s,
        &s->start, 1);
    return;
  }
  take(s, &s->start, 0);
  icalproperty *p = icalcomponent_get_first_property(e, ICAL_RRULE_PROPERTY);
  if (p != NULL) follow(s, p);
  named(s);
}

/* -- the answer ------------------------------------------------------------------ */

static int earlier (const void *a, const void *b) {
  const Found *x = a, *y = b;
  long long l = momentof(&x->start), r = momentof(&y->start);
  return l != r ? (l > r) - (l < r) : strcmp(x->uid, y->uid);
}

/* [-0, +1, m] */
static void pushfound (lua_State *L, const Found *f) {
  lua_createtable(L, 0, 4);
  rb_ics_pushwhen(L, &f->start);
  lua_setfield(L, -2, "start");
  if (f->finish != NONE) {
    When finish = rb_ics_moved(&f->start, f->start.wall + f->length);
    rb_ics_pushwhen(L, &finish);
    lua_setfield(L, -2, "finish");
  }
  lua_pushstring(L, f->uid);
  lua_setfield(L, -2, "uid");
  lua_pushboolean(L, f->changed);
  lua_setfield(L, -2, "changed");
}

/* [-0, +1, m]  each of them once, the earliest first */
static void pushall (lua_State *L, Walk *w, size_t limit) {
  lua_Integer n = 0;
  if (w->n > 0) qsort(w->found, w->n, sizeof *w->found, earlier);
  lua_newtable(L);
  for (size_t i = 0; i < w->n && (size_t)n < limit; i++) {
    if (i > 0 && earlier(&w->found[i - 1], &w->found[i]) == 0) continue;
    pushfound(L, &w->found[i]);
    lua_rawseti(L, -2, ++n);
  }
}

static long long bound (lua_State *L, const char *field, long long otherwise) {
  if (lua_getfield(L, WISH, field) == LUA_TNIL) return otherwise;
  When w = rb_ics_given(L, -1, field, NULL, "", 1);
  return momentof(&w);
}

static size_t limitof (lua_State *L) {
  int isnum = 1, type = lua_getfield(L, WISH, "limit");
  lua_Integer n = type == LUA_TNIL ? 100 : lua_tointegerx(L, -1, &isnum);
  if (!isnum || n < 1 || n > MOST)
    luaL_error(L, "ics.occurrences: limit: a number from 1 to %d is expected", MOST);
  return (size_t)n;
}

int rb_ics_occurrences (lua_State *L) {
  static const char *const fields[] = {"uid", "from", "to", "limit", NULL};
  Series s = {.L = L};
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) { lua_newtable(L); lua_replace(L, 2); }
  luaL_checktype(L, 2, LUA_TTABLE);
  rb_ics_known(L, 2, "ics.occurrences", fields);
  s.j = rb_ics_need(L, "ics.occurrences");
  s.walk = pushwalk(L);
  s.from = bound(L, "from", -EVER);
  s.to = bound(L, "to", EVER);
  s.limit = limitof(L);
  const char *uid = lua_getfield(L, WISH, "uid") == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  icalcompiter it = icalcomponent_begin_component(s.j->root, ICAL_VEVENT_COMPONENT);
  for (; (s.event = icalcompiter_deref(&it)) != NULL; icalcompiter_next(&it)) {
    s.uid = rb_ics_uid(s.event);
    if (uid == NULL || (s.uid != NULL && strcmp(s.uid, uid) == 0)) series(&s);
  }
  pushall(L, s.walk, s.limit);
  return 1;
}
