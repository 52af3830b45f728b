/*
** report.c - the report of a run: made from the outline, filled as it goes
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vm/clock.h"
#include "vm/redact.h"
#include "vm/run/run.h"

char *rb_join (const char *const *words) {
  rb_Buffer b = {0};
  if (words == NULL || *words == NULL) return NULL;
  for (const char *const *w = words; *w != NULL; w++)
    rb_buffer_printf(&b, "%s%s", w > words ? ", " : "", *w);
  return b.s;
}

static char *copy (const char *s) {
  return s != NULL ? rb_redacted(s, strlen(s)) : NULL;
}

/* Digits by hand: a history writes tens of thousands of them. */
void rb_report_stamp (int64_t ms, char *out, size_t size) {
  time_t s = (time_t)(ms / 1000);
  struct tm tm;
  char text[] = "0000-00-00T00:00:00.000Z";
  if (ms <= 0 || gmtime_r(&s, &tm) == NULL || tm.tm_year > 9999 - 1900) {
    *out = '\0';
    return;
  }
  const int part[] = {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                      tm.tm_sec, (int)(ms % 1000)};
  static const int last[] = {3, 6, 9, 12, 15, 18, 22};
  for (int i = 0; i < 7; i++)
    for (int n = part[i], at = last[i]; n > 0; n /= 10) text[at--] = (char)('0' + n % 10);
  snprintf(out, size, "%s", text);
}

static void fillsteps (rb_Run *r, rb_Report *rep) {
  for (int i = 0; i < r->outline.nsteps; i++) {
    const rb_Step *s = &r->outline.steps[i];
    rb_StepRow *row = &rep->steps[i];
    row->n = i + 1;
    row->id = copy(s->id);
    row->title = rb_words_render(r, &s->title);
    row->incase = s->incase >= 0 ? copy(r->outline.cases[s->incase].id) : NULL;
    row->approve = rb_join(s->approve);
  }
  for (int i = 0; i < r->outline.ncases; i++) {
    rb_CaseRow *row = &rep->cases[i];
    row->id = copy(r->outline.cases[i].id);
    row->title = rb_words_render(r, &r->outline.cases[i].title);
    row->taken = -1;
  }
}

int rb_report_open (rb_Run *r, rb_Problem *p) {
  rb_Report *rep = &r->report;
  const rb_Outline *o = &r->outline;
  rep->runbook = copy(o->name);
  rep->title = copy(o->title);
  rep->use_when = copy(o->use_when);
  rep->impact = copy(o->impact);
  rep->severity = copy(o->severity);
  rep->approve = rb_join(o->approve);
  rep->next = 1;
  rep->ncases = o->ncases;
  rep->nsteps = o->nsteps;
  rep->steps = calloc((size_t)o->nsteps + 1, sizeof *rep->steps);
  rep->cases = calloc((size_t)o->ncases + 1, sizeof *rep->cases);
  if (rep->steps == NULL || rep->cases == NULL)
    return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  if (rep->startedms == 0) rep->startedms = rb_clock_wall();
  rb_report_stamp(rep->startedms, rep->started, sizeof rep->started);
  fillsteps(r, rep);
  return 0;
}

void rb_report_irreversible (rb_StepRow *row, const char *why, int all) {
  for (rb_EffectRow *e = row->effects; e != NULL; e = e->next)
    if (strcmp(e->kind, "remedy") == 0 && (all || e->undo == NULL
        || strcmp(e->undo, "automatic") != 0)) {
      free(e->undo);
      if (asprintf(&e->undo, "irreversible: %s", why) < 0) e->undo = NULL;
    }
}

static void freeeffects (rb_EffectRow *e) {
  while (e != NULL) {
    rb_EffectRow *next = e->next;
    free(e->path); free(e->verb); free(e->target); free(e->summary);
    free(e->reason); free(e->assumes); free(e->provided);
    free(e->undo);
    free(e->asked);
    json_decref(e->before);
    json_decref(e->after);
    free(e);
    e = next;
  }
}

void rb_report_again (rb_Run *r, const char *mode) {
  rb_Report *rep = &r->report;
  rb_ulid(rep->run);
  rep->mode = mode;
  rep->startedms = rb_clock_wall();
  rb_report_stamp(rep->startedms, rep->started, sizeof rep->started);
  for (int i = 0; i < rep->nsteps; i++) {
    rb_StepRow *s = &rep->steps[i];
    freeeffects(s->effects);
    free(s->reason);
    s->effects = NULL;
    s->last = NULL;
    s->neffects = s->kept = s->ran = 0;
    s->status = s->verify = s->field = NULL;
    s->reason = NULL;
  }
  for (int i = 0; i < rep->nfindings; i++) {
    free(rep->findings[i].name);
    free(rep->findings[i].path);
    json_decref(rep->findings[i].value);
  }
  for (int i = 0; i < rep->ncases; i++) rep->cases[i].taken = -1;
  rep->nfindings = 0;
  rep->next = 1;
  rep->resumed = 0;
  rep->error = (rb_Problem){0};
  r->failed = r->warned = r->refused = r->undecided = r->planned = r->started = 0;
  r->stop = 0;
}

static void freerecorded (rb_Recorded *rec) {
  if (rec == NULL) return;
  free(rec->who); free(rec->host); free(rec->version);
  json_decref(rec->evidence);
  json_decref(rec->notes);
  json_decref(rec->approvals);
  json_decref(rec->answers);
  json_decref(rec->resumed);
  free(rec);
}

void rb_report_close (rb_Report *rep) {
  for (int i = 0; rep->steps != NULL && i < rep->nsteps; i++) {
    rb_StepRow *s = &rep->steps[i];
    freeeffects(s->effects);
    free(s->id); free(s->title); free(s->incase); free(s->reason);
    free(s->manual); free(s->approve);
    json_decref(s->failures);
  }
  for (int i = 0; rep->cases != NULL && i < rep->ncases; i++) {
    free(rep->cases[i].id); free(rep->cases[i].title);
    free(rep->cases[i].evidence);
  }
  for (int i = 0; i < rep->nfindings; i++) {
    free(rep->findings[i].name);
    free(rep->findings[i].path);
    json_decref(rep->findings[i].value);
  }
  free(rep->steps); free(rep->cases); free(rep->findings);
  free(rep->runbook); free(rep->title); free(rep->use_when); free(rep->impact);
  free(rep->severity); free(rep->approve); free(rep->target); free(rep->kind);
  free(rep->digest); free(rep->kernelwhy); free(rep->protocolwhy);
  free(rep->lockscope); free(rep->errorstep); free(rep->resumedfrom);
  json_decref(rep->protocol);
  json_decref(rep->params);
  freerecorded(rep->recorded);
  *rep = (rb_Report){0};
}

/* the number that the digits around s[k] are, where they are the place in a
** run:each ("step/probe/2[17]"); -1: they are not */
static long long placeat (const char *s, size_t k) {
  while (k > 0 && isdigit((unsigned char)s[k - 1])) k--;
  if (k == 0 || s[k - 1] != '[' || !isdigit((unsigned char)s[k])) return -1;
  return atoll(s + k);
}

/* Are both of branches of one run:each, and is a's later in its list? */
static int later (const char *a, const char *b) {
  size_t k = 0;
  while (a[k] != '\0' && a[k] == b[k]) k++;
  long long x = placeat(a, k), y = placeat(b, k);
  return x >= 0 && y >= 0 && x > y;
}

int rb_report_addfinding (rb_Report *rep, const char *path, char *name, json_t *value,
                          const char *status) {
  rb_Finding *list = realloc(rep->findings, ((size_t)rep->nfindings + 1)
                             * sizeof *list);
  if (list == NULL) {
    free(name);
    json_decref(value);
    return 0;
  }
  rep->findings = list;
  int at = rep->nfindings++;
  for (; path != NULL && at > 0 && list[at - 1].path != NULL
         && later(list[at - 1].path, path); at--)
    list[at] = list[at - 1];
  list[at] = (rb_Finding){name, value, status, path != NULL ? strdup(path) : NULL};
  return 1;
}

void rb_report_finding (rb_Run *r, lua_State *L, const char *name, int idx,
                        const char *status) {
  const char *path = rb_taskof(L)->path;
  if (!rb_report_addfinding(&r->report, path, copy(name), rb_tojson(L, idx), status))
    luaL_error(L, "not enough memory");
  rb_record(r->vm, "finding", path, json_pack("{s:o,s:o,s:s?}",
            "name", rb_jsontext(name, strlen(name)), "value", rb_tojson(L, idx), "status", status));
}
