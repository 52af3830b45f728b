/*
** export.c - a run of the tape as a file that may leave: redacted, and replayable
**
** The script is replayed offline first: only that tells what its arguments are with the
** secrets taken out, and which of the values drawn from the run's key are secrets. What
** was sealed leaves redacted where a replay needs it (results, answers, the script), and
** not at all where it does not (before-images, facts, the plan, URLs).
*/

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "vm/exported.h"
#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/run/run.h"
#include "vm/tape/file.h"

typedef struct Export {
  rb_Run *r;
  rb_TapeFile *file;
  rb_Exported e;
  rb_Problem *p;
} Export;

/* -- texts ---------------------------------------------------------------------- */

/* What was redacted when it was written is so again, now that all secrets are known. */
static json_t *clean (json_t *o) {
  rb_Buffer b = {0};
  char *s = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
  if (s != NULL) rb_redact(&b, s, strlen(s));
  json_t *is = b.s != NULL && !b.failed
               ? json_loads(b.s, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
  free(s);
  rb_buffer_free(&b);
  json_decref(o);
  return is != NULL ? is : json_null();
}

static json_t *parse (const char *s) {
  return s != NULL ? json_loads(s, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
}

/* "word=plain" of a secret parameter: also one that is too short to be found elsewhere */
static json_t *cleanword (const Export *x, const char *word) {
  for (int i = 0; i < x->r->outline.nparams; i++) {
    const rb_Param *q = &x->r->outline.params[i];
    size_t n = strlen(q->name);
    if (q->type == RB_SECRET && strncmp(word, q->name, n) == 0 && word[n] == '=')
      return json_sprintf("%s=[redacted %s]", q->name, q->name);
  }
  return clean(json_string(word));
}

/* what a replay asks of the start: the script, and what the operator gave */
static json_t *how (const Export *x) {
  static const char *const kept[] = {"file", "files", "cases", "limits", "only", "from", "to",
                                     "no_notify", NULL};
  json_t *all = x->r->o->resume->how, *is = json_object(), *words = json_array(), *word;
  size_t i;
  for (const char *const *k = kept; *k != NULL; k++)
    json_object_set_new(is, *k, clean(json_deep_copy(json_object_get(all, *k))));
  json_array_foreach(json_object_get(all, "words"), i, word)
    json_array_append_new(words, cleanword(x, json_string_value(word)));
  json_object_set_new(is, "words", words);
  return is;
}

/* -- lines ----------------------------------------------------------------------- */

static void header (Export *x) {
  const rb_TapeRun *run = &x->r->o->resume->run;
  char key[65];
  json_t *params = parse(run->params);
  sodium_bin2hex(key, sizeof key, x->e.key, sizeof x->e.key);
  rb_exported_notokens(&x->e);
  rb_tapefile_put(x->file, json_pack("{s:i,s:s,s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:o,s:I,s:I,s:s?,"
      "s:i,s:I,s:s,s:s,s:O}", "tape", 1, "run", run->id, "runbook", run->runbook, "target",
      run->target, "mode", run->mode, "who", run->who, "host", run->host, "version",
      run->version, "params", clean(params != NULL ? params : json_object()), "started",
      (json_int_t)run->started, "ended", (json_int_t)run->ended, "status", run->status, "exit",
      run->exit, "events", (json_int_t)run->events, "head", run->head, "key", key, "drawn",
      x->e.drawn));
}

/* An effect's text leaves with the mark of the export, and without what was there. */
static json_t *textof (const Export *x, const rb_TapeEvent *e) {
  json_t *o = parse(e->text);
  if (o == NULL) return NULL;
  if (json_object_get(o, "fingerprint") != NULL) {
    json_t *mark = json_object_get(x->e.marks, e->path != NULL ? e->path : "");
    json_object_set_new(o, "fingerprint", mark != NULL ? json_incref(mark) : json_string(""));
    json_object_del(o, "before");
    json_object_del(o, "after");
  }
  return clean(o);
}

static json_t *valueof (Export *x, const rb_TapeEvent *e) {
  rb_Buffer b = {0};
  if (strcmp(e->kind, "answer") == 0) rb_redact(&b, e->secret, e->secretlen);
  else if (!rb_exported_value(x->r->L, e->secret, e->secretlen, &b)) rb_buffer_clear(&b);
  json_t *value = b.n > 0 && !b.failed ? rb_tapefile_bytes(b.s, b.n) : NULL;
  rb_buffer_free(&b);
  return value;
}

static int line (void *ud, const rb_TapeRow *row) {
  Export *x = ud;
  const rb_TapeEvent *e = &row->event;
  static const char *const sealed[] = {"outcome", "within", "answer", NULL};
  if (strcmp(e->kind, "secret") == 0) return 0;
  json_t *o = json_pack("{s:I,s:I,s:s,s:s*,s:s*}", "seq", (json_int_t)row->seq, "at",
                        (json_int_t)e->at, "kind", e->kind, "path", e->path, "verb", e->verb);
  json_t *text = textof(x, e);
  if (text != NULL) json_object_set_new(o, "text", text);
  if (strcmp(e->kind, "start") == 0) json_object_set_new(o, "how", how(x));
  for (const char *const *k = sealed; e->secret != NULL && *k != NULL; k++)
    if (strcmp(e->kind, *k) == 0) json_object_set_new(o, "value", valueof(x, e));
  rb_tapefile_put(x->file, o);
  return 0;
}

/* -- the whole --------------------------------------------------------------------- */

/* The replay tells the arguments; where it does not come to the end of the tape, the
** export would not either. */
static int replay (Export *x) {
  rb_Run *r = x->r;
  const rb_Problem *error = &r->report.error;
  r->vm->exported = &x->e;
  rb_steps_run(r);
  r->vm->exported = NULL;
  if (error->exit != RB_STALE && error->exit != RB_USAGE) return 0;
  if (r->o->resume->adopts != NULL)
    return rb_problem(x->p, error->exit, error->kind, "the runbook does not do what the "
                      "session did: %.800s", error->message);
  return rb_problem(x->p, error->exit, error->kind, "run %s does not replay here, so that it "
                    "cannot be exported: %.700s", r->report.run, error->message);
}

int rb_export (rb_Run *r, rb_Problem *p) {
  Export x = {.r = r, .p = p, .e = {.marks = json_object(), .drawn = json_object()}};
  const int adopts = r->o->resume->adopts != NULL;
  randombytes_buf(x.e.key, sizeof x.e.key);
  if (adopts && !rb_adopt(r)) luaL_error(r->L, "not enough memory");
  if (replay(&x) == 0 && (x.file = rb_tapefile_create(r->o->export, p)) != NULL) {
    header(&x);
    if (adopts) rb_adopted_events(r, line, &x);
    else rb_tape_events(r->vm->tape, r->report.run, line, &x, p);
    rb_tapefile_close(x.file, p->exit == 0, p);
  }
  json_decref(x.e.marks);
  json_decref(x.e.drawn);
  return p->exit;
}
