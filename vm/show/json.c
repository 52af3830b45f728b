/*
** json.c - a finished run for programs: one document, in this order
**
** docs/run.schema.json says the same as a schema; the tests hold them together.
*/

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vm/show/terminal.h"

/* A text, or null. What is not UTF-8 is made visible: it never makes the
** document fail. */
static json_t *text (const char *s) {
  if (s == NULL) return json_null();
  json_t *j = json_string(s);
  if (j != NULL) return j;
  rb_Buffer b = {0};
  rb_style_plain(&b, s);
  if (!b.failed && b.n > 0) j = json_stringn(b.s, b.n);
  rb_buffer_free(&b);
  return j;
}

static json_t *filled (const char *s) {
  return text(s != NULL && *s != '\0' ? s : NULL);
}

static json_t *any (json_t *v) {
  return v != NULL ? json_incref(v) : json_null();
}

static json_t *milliseconds (double ms) {
  return json_integer(ms > 0 ? llround(ms) : 0);
}

/* one that failed to be made (no memory) makes all of it fail */
static int set (json_t *o, const char *name, json_t *v) {
  return json_object_set_new(o, name, v) == 0;
}

/* the value; 'ok' stays 0 once something failed */
#define SET(name, value) (ok = set(o, name, value) && ok)

/* -- effects and steps ------------------------------------------------------------- */

/* { value, type, ttl } or { diff }, whatever the preview left out */
static json_t *image (json_t *from) {
  int ok = 1;
  if (from == NULL || json_is_null(from)) return json_null();
  json_t *o = json_object(), *diff = json_object_get(from, "diff");
  if (json_is_string(diff)) SET("diff", json_incref(diff));
  else {
    int wrapped = json_is_object(from);
    SET("value", wrapped ? any(json_object_get(from, "value")) : any(from));
    SET("type", wrapped ? any(json_object_get(from, "type")) : json_null());
    SET("ttl", wrapped ? any(json_object_get(from, "ttl")) : json_null());
  }
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static json_t *numbers (const int *n, int count) {
  json_t *list = json_array();
  for (int i = 0; i < count; i++)
    if (json_array_append_new(list, json_integer(n[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *effect (const rb_Report *r, const rb_EffectRow *e) {
  json_t *o = json_object();
  int ok = 1, dry = rb_same(r->mode, "dry-run");
  SET("n", json_integer(e->n));
  SET("path", text(e->path));
  SET("kind", text(e->kind));
  SET("verb", text(e->verb));
  SET("target", text(e->target));
  SET("summary", text(e->summary));
  if (dry) SET("verdict", text(e->verdict));
  else SET("outcome", text(e->outcome));
  if (e->read != NULL) SET("read", text(e->read));
  SET("reason", text(e->reason));
  SET("before", image(e->before));
  SET("after", image(e->after));
  SET("rows", e->rows >= 0 ? json_integer(e->rows) : json_null());
  SET("guarded", e->guarded >= 0 ? json_boolean(e->guarded) : json_null());
  SET("assumes", numbers(e->assumes, e->nassumes));
  if (e->nprovided > 0) SET("provided", numbers(e->provided, e->nprovided));
  SET("undo", text(e->undo));
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static json_t *effects (const rb_Report *r, const rb_StepRow *step) {
  json_t *list = json_array();
  for (const rb_EffectRow *e = step->effects; e != NULL; e = e->next)
    if (json_array_append_new(list, effect(r, e)) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *step (const rb_Report *r, const rb_StepRow *st) {
  json_t *o = json_object();
  int ok = 1;
  SET("n", json_integer(st->n));
  SET("id", text(st->id));
  SET("title", text(st->title));
  SET("case", text(st->incase));
  SET("status", text(st->status));
  SET("verify", text(st->verify));
  SET("reason", text(st->reason));
  SET("duration_ms", milliseconds(st->ms));
  SET("effects", effects(r, st));
  if (st->failures != NULL) SET("failures", json_incref(st->failures));
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static json_t *steps (const rb_Report *r) {
  json_t *list = json_array();
  for (int i = 0; i < r->nsteps; i++)
    if (json_array_append_new(list, step(r, &r->steps[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

/* -- the rest ------------------------------------------------------------------------- */

static json_t *findings (const rb_Report *r) {
  json_t *list = json_array();
  for (int i = 0; i < r->nfindings; i++) {
    const rb_Finding *f = &r->findings[i];
    json_t *o = json_object();
    int ok = 1;
    SET("name", text(f->name));
    SET("value", any(f->value));
    SET("status", text(f->status));
    if (ok && json_array_append_new(list, o) == 0) continue;
    if (!ok) json_decref(o);
    json_decref(list);
    return NULL;
  }
  return list;
}

static json_t *cases (const rb_Report *r) {
  json_t *list = json_array();
  for (int i = 0; i < r->ncases; i++)
    if (r->cases[i].taken == 1 &&
        json_array_append_new(list, text(r->cases[i].id)) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *rb_json_sorted (const json_t *from) {
  size_t n = json_object_size(from), i = 0;
  const char **names = malloc((n + 1) * sizeof *names), *name;
  json_t *o = names != NULL ? json_object() : NULL, *value;
  int ok = o != NULL;
  if (ok) {
    json_object_foreach((json_t *)from, name, value) names[i++] = name;
    qsort(names, i, sizeof *names, byname);
    for (size_t k = 0; k < i; k++)
      SET(names[k], json_incref(json_object_get(from, names[k])));
  }
  free(names);
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static json_t *enforced (const rb_Report *r) {
  json_t *o = json_object();
  int ok = 1;
  SET("script", json_boolean(r->script));
  SET("gate", json_boolean(r->gate));
  SET("protocol", r->protocol != NULL ? json_incref(r->protocol) : json_array());
  SET("kernel", json_boolean(r->kernel));
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static json_t *error (const rb_Problem *p, const char *certainty,
                      const char *at) {
  json_t *o = json_object();
  int ok = 1;
  if (p->exit == 0 && p->message[0] == '\0') {
    json_decref(o);
    return json_null();
  }
  SET("kind", text(p->kind));
  SET("message", text(p->message));
  SET("certainty", filled(certainty));
  SET("step", text(at));
  SET("file", filled(p->file));
  SET("line", p->line > 0 ? json_integer(p->line) : json_null());
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static json_t *recorded (const rb_Recorded *rec) {
  json_t *o = json_object();
  int ok = 1;
  SET("operator", text(rec->who));
  SET("host", text(rec->host));
  SET("version", text(rec->version));
  SET("ended", filled(rec->ended));
  SET("evidence", any(rec->evidence));
  SET("notes", any(rec->notes));
  SET("approvals", any(rec->approvals));
  SET("answers", any(rec->answers));
  SET("resumed", any(rec->resumed));
  if (ok) return o;
  json_decref(o);
  return NULL;
}

static char *dump (json_t *o, int ok) {
  char *s = ok ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  return s;
}

char *rb_json_report (const rb_Report *r) {
  json_t *o = json_object();
  int ok = 1;
  SET("run", filled(r->run));
  SET("runbook", text(r->runbook));
  SET("target", text(r->target));
  SET("mode", text(r->mode));
  if (r->resumed) SET("resumed_from", text(r->resumedfrom));
  SET("status", text(r->status));
  SET("exit", r->exit >= 0 ? json_integer(r->exit) : json_null());
  SET("digest", text(r->digest));
  SET("enforced", enforced(r));
  if (r->lockscope != NULL) SET("lock", text(r->lockscope));
  SET("params", rb_json_sorted(r->params));
  SET("cases", cases(r));
  SET("started", filled(r->started));
  SET("duration_ms", milliseconds(r->ms));
  SET("findings", findings(r));
  SET("steps", steps(r));
  SET("error", error(&r->error, r->certainty, r->errorstep));
  if (r->recorded != NULL) SET("recorded", recorded(r->recorded));
  return dump(o, ok);
}

char *rb_json_problem (const rb_Problem *p) {
  static const char *const nothing[] = {"run", "runbook", "target", "mode"};
  json_t *o = json_object();
  int ok = 1;
  for (int i = 0; i < 4; i++) SET(nothing[i], json_null());
  SET("status", text("failed"));
  SET("exit", json_integer(p->exit));
  SET("digest", json_null());
  SET("enforced", json_null());
  SET("params", json_object());
  SET("cases", json_array());
  SET("started", json_null());
  SET("duration_ms", json_integer(0));
  SET("findings", json_array());
  SET("steps", json_array());
  SET("error", error(p, NULL, NULL));
  return dump(o, ok);
}
