/*
** faults.c - a drill's faults: each run meets one, fails with words, and is taken back
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/cli/cli.h"
#include "vm/cli/session.h"
#include "vm/config/config.h"

/* -- which ones --------------------------------------------------------------------- */

static const char *const words[] = {
  [RB_FAULT_REFUSED] = "refused", [RB_FAULT_SILENT] = "timed out",
  [RB_FAULT_HALF] = "half-answered", [RB_FAULT_ERROR] = "500",
  [RB_FAULT_FULL] = "disk full", [RB_FAULT_TAPE] = "tape full before",
  [RB_FAULT_LATE] = "tape full after", [RB_FAULT_NOFILES] = "no descriptors"
};

#define OFSERVER {RB_FAULT_REFUSED, RB_FAULT_SILENT, RB_FAULT_HALF}

/* by the beginning of a verb; the first that fits */
static const struct { const char *verb; rb_Fault faults[5]; } suited[] = {
  {"http.", {RB_FAULT_REFUSED, RB_FAULT_SILENT, RB_FAULT_HALF, RB_FAULT_ERROR}},
  {"pg.", OFSERVER}, {"redis.", OFSERVER},
  {"file.write", {RB_FAULT_FULL}}, {"file.copy", {RB_FAULT_FULL}},
  {"dotenv.", {RB_FAULT_FULL}},
  {"backup.", {RB_FAULT_NOFILES, RB_FAULT_FULL}},
  {"exec.", {RB_FAULT_NOFILES}}, {"service.", {RB_FAULT_NOFILES}}
};

static const rb_Fault *suit (const char *verb) {
  static const rb_Fault none[] = {RB_FAULT_NONE};
  for (size_t i = 0; i < sizeof suited / sizeof *suited; i++)
    if (strncmp(suited[i].verb, verb, strlen(suited[i].verb)) == 0)
      return suited[i].faults;
  return none;
}

/* -- the servers behind ports of our own ------------------------------------------------ */

static void pushtext (lua_State *L, const char *name, const char *text, size_t n) {
  (void)name;
  lua_pushlstring(L, text, n);
}

/* "redis://user:pw@host:6379/0": where the host begins, and how long host and port are;
** 0: not a URL with one host */
static int authority (const char *url, const char **host, size_t *hostlen, char port[8]) {
  static const char *const usual[][2] = {
    {"http://", "80"}, {"redis://", "6379"}, {"postgres://", "5432"},
    {"postgresql://", "5432"}
  };
  const char *s = NULL;
  for (size_t i = 0; i < sizeof usual / sizeof *usual && s == NULL; i++)
    if (strncmp(url, usual[i][0], strlen(usual[i][0])) == 0) {
      s = url + strlen(usual[i][0]);
      strcpy(port, usual[i][1]);
    }
  if (s == NULL || strstr(s, "host=") != NULL) return 0;
  size_t n = strcspn(s, "/?#");
  const char *at = memrchr(s, '@', n);
  if (at != NULL) { n -= (size_t)(at + 1 - s); s = at + 1; }
  const char *colon = memrchr(s, ':', n);
  if (n == 0 || *s == '[' || memchr(s, ',', n) != NULL) return 0;
  *host = s;
  *hostlen = n;
  if (colon != NULL) snprintf(port, 8, "%.*s", (int)(s + n - colon - 1), colon + 1);
  return 1;
}

static int addroute (rb_DrillRun *d, const char *system, const char *kind,
                     const char *key, const char *url, rb_Problem *p) {
  char port[8], name[256], target[96];
  const char *host;
  size_t n;
  if (!authority(url, &host, &n, port) || d->nroutes == RB_MAXROUTES) return 0;
  const char *colon = memrchr(host, ':', n);
  snprintf(name, sizeof name, "%.*s", (int)(colon != NULL ? (size_t)(colon - host) : n),
           host);
  snprintf(target, sizeof target, "%s.%s", system, kind);
  int mine = rb_proxy_add(&d->proxy, target, name, port);
  if (mine < 0) return rb_problem(p, RB_USAGE, "drill", "no port for %s", target);
  rb_Route *r = &d->routes[d->nroutes++];
  snprintf(r->system, sizeof r->system, "%s", system);
  snprintf(r->kind, sizeof r->kind, "%s", kind);
  snprintf(r->key, sizeof r->key, "%s", key);
  snprintf(r->url, sizeof r->url, "%.*s127.0.0.1:%d%s", (int)(host - url), url, mine,
           host + n);
  return 0;
}

static int ofsystem (rb_DrillRun *d, const rb_Target *t, lua_State *L, const char *system,
                     rb_Problem *p) {
  static const char *const kinds[] = {"http", "pg", "redis", NULL};
  static const char *const keys[] = {"url", "probe", NULL};
  for (const char *const *k = kinds; *k != NULL; k++)
    for (const char *const *key = keys; *key != NULL; key++) {
      rb_target_resource(t, L, system, *k, *key, pushtext);
      const char *url = lua_tostring(L, -1);
      int status = url != NULL ? addroute(d, system, *k, *key, url, p) : 0;
      lua_pop(L, 1);
      if (status != 0) return status;
    }
  return 0;
}

int rb_drill_routes (rb_DrillRun *d, rb_Problem *p) {
  lua_State *L = luaL_newstate();
  rb_Config *c = L != NULL ? rb_config_load(d->o->o.config, p) : NULL;
  rb_Target *t = c != NULL ? rb_config_open(c, d->o->o.target, p) : NULL;
  const char *const *s = t != NULL ? rb_target_systems(t) : NULL;
  for (; s != NULL && *s != NULL && p->exit == 0; s++) ofsystem(d, t, L, *s, p);
  rb_config_free(c);
  if (L != NULL) lua_close(L);
  return p->exit != 0 ? p->exit : rb_proxy_start(&d->proxy, p);
}

static int routed (const rb_DrillRun *d, const char *target) {
  for (int i = 0; i < d->proxy.n; i++)
    if (strcmp(d->proxy.routes[i].target, target) == 0) return 1;
  return 0;
}

/* -- one of them ----------------------------------------------------------------------- */

/* one fault, and what came of it */
typedef struct Meeting {
  rb_DrillRun *d;
  const rb_DrillEffect *e;
  rb_Fault fault;
  int exit;
  int taped;             /* the run has come as far as to be on the tape */
  char message[1024];
  char why[700];         /* it did not hold; "" */
  const char *held;      /* how it did */
} Meeting;

__attribute__((format(printf, 2, 3)))
static int broke (Meeting *m, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (m->why[0] == '\0') vsnprintf(m->why, sizeof m->why, fmt, ap);
  va_end(ap);
  return 0;
}

/* a session that goes the same way, and meets nothing */
static rb_Session after (const Meeting *m) {
  rb_Session s = {.o = m->d->o};
  s.drill.routes = m->d->routes;
  s.drill.nroutes = m->d->nroutes;
  return s;
}

/* it may have happened: looked at by itself, else the drill knows */
static int settle (Meeting *m) {
  rb_Session s = after(m);
  int asked = rb_session(&s, RB_SESSION_RESUME) == RB_INDOUBT;
  if (asked) {
    int sent = m->fault == RB_FAULT_HALF || m->fault == RB_FAULT_LATE;
    s.policy = sent ? "done" : "retry";
    rb_session(&s, RB_SESSION_RESUME);
  }
  if (s.exit != 0) broke(m, "resume: exit %d %s", s.exit, rb_session_why(&s));
  else if (!rb_drill_same(m->d)) broke(m, "resume: not the same changes");
  m->held = asked ? "held, asked" : "held, looked at";
  m->d->asked += asked;
  m->d->lookedat += !asked;
  rb_session_free(&s);
  return m->why[0] == '\0';
}

/* did it fail as it should: a documented exit, with words? */
static int failed (Meeting *m, const rb_Session *s) {
  json_t *kind = json_object_get(json_object_get(s->doc, "error"), "kind");
  m->held = "held";
  if (strstr(s->said, RB_FAULTMET) == NULL) return broke(m, "the fault was not met");
  if (s->exit < 0) return broke(m, "the process was killed");
  if (s->exit == RB_DONE) {
    m->held = "held, went on";
    m->d->wenton++;
    return 1;
  }
  if (s->exit == RB_LOCKED || s->exit == RB_DEFERRED || s->exit > RB_DEFERRED)
    return broke(m, "exit %d", s->exit);
  if (m->message[0] == '\0' || (json_is_string(kind)
                                && strcmp(json_string_value(kind), "internal") == 0))
    return broke(m, "exit %d without words", s->exit);
  return s->exit != RB_INDOUBT || settle(m);
}

/* A run that is not on the tape has changed nothing: an undo would be of the one before. */
static int takenback (Meeting *m) {
  rb_Session s = after(m);
  if (m->taped && rb_session(&s, RB_SESSION_UNDO) != 0)
    broke(m, "undo: exit %d %s", s.exit, rb_session_why(&s));
  else if (rb_session(&s, RB_SESSION_VERIFY) != 0)
    broke(m, "the tape: %s", rb_session_why(&s));
  rb_session_free(&s);
  char *left = rb_drill_differs(m->d, m->d->before, m->d->stays);
  if (left != NULL) broke(m, "not as before: %s", left);
  free(left);
  return m->why[0] == '\0';
}

static void show (Meeting *m, int held) {
  char result[720];
  snprintf(result, sizeof result, held ? "%s" : "DID NOT HOLD: %s",
           held ? m->held : m->why);
  rb_DrillRow r = {.path = m->e->path, .verb = m->e->verb, .target = m->e->target,
                   .kind = "fault", .what = words[m->fault], .exit = m->exit,
                   .message = m->message, .result = result, .held = held};
  rb_drilled_row(m->d, &r);
  m->d->faults++;
  m->d->faultsheld += held;
}

static int meet (rb_DrillRun *d, const rb_DrillEffect *e, rb_Fault fault) {
  Meeting m = {.d = d, .e = e, .fault = fault};
  char before[RB_RUNID], last[RB_RUNID];
  rb_Session s = after(&m);
  s.drill.fault = fault;
  s.drill.path = e->path;
  s.drill.target = e->target;
  s.drill.control = d->proxy.control;
  rb_drill_last(before);
  rb_session(&s, RB_SESSION_RUN);
  rb_drill_last(last);
  rb_drill_order(d->proxy.control, RB_FAULT_NONE, "");
  m.taped = strcmp(before, last) != 0;
  m.exit = s.exit;
  snprintf(m.message, sizeof m.message, "%s", s.doc != NULL ? rb_session_why(&s) : "");
  int held = failed(&m, &s);
  held = takenback(&m) && held;  /* in any case: the next one begins where this did */
  rb_session_free(&s);
  show(&m, held);
  return held;
}

/* -- all of them -------------------------------------------------------------------------- */

static void leave (rb_DrillRun *d, const rb_DrillEffect *e, const char *why) {
  char name[300];
  snprintf(name, sizeof name, "%s of %s", e->verb, e->target);
  json_object_set_new(d->left, name, json_string(why));
}

static int ofserver (rb_Fault f) {
  return f == RB_FAULT_REFUSED || f == RB_FAULT_SILENT || f == RB_FAULT_HALF
         || f == RB_FAULT_ERROR;
}

/* one fault, and the sandbox again as it was */
static int next (rb_DrillRun *d, const rb_DrillEffect *e, rb_Fault f, rb_Problem *p) {
  int held = meet(d, e, f);
  if (d->o->reset != NULL) return rb_drill_reset(d, p);
  return held ? 0 : rb_problem(p, RB_FAILED, "drill", "the sandbox is not as it was, so the "
                               "next run would begin elsewhere: give --reset");
}

static int effect (rb_DrillRun *d, const rb_DrillEffect *e, rb_Problem *p) {
  const rb_Fault *f = suit(e->verb);
  if (*f == RB_FAULT_NONE && !e->deed) return 0;
  if (ofserver(*f) && !routed(d, e->target)) {
    leave(d, e, "its URL is not one of plain TCP");
    f += 4;
  }
  if (*f == RB_FAULT_NONE && e->deed) leave(d, e, "only the tape can fail it");
  for (; *f != RB_FAULT_NONE && p->exit == 0; f++) next(d, e, *f, p);
  for (int k = RB_FAULT_TAPE; e->deed && k <= RB_FAULT_LATE && p->exit == 0; k++)
    next(d, e, (rb_Fault)k, p);
  return p->exit;
}

int rb_drill_faults (rb_DrillRun *d, rb_Problem *p) {
  for (int i = 0; i < d->n && p->exit == 0; i++)
    if (d->effects[i].deed || d->o->probes) effect(d, &d->effects[i], p);
  return p->exit;
}
