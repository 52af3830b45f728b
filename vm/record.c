/*
** record.c - an effect as a row of the report and as an event of the tape
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/clock.h"
#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/tape/value.h"
#include "vm/vm.h"

/* -- JSON, where building a tree for each probe would cost more than the probe -- */

void rb_json_escape (rb_Buffer *b, const char *s, size_t n) {
  size_t from = 0;
  rb_buffer_puts(b, "\"");
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    rb_buffer_add(b, s + from, i - from);
    if (c < 0x20) rb_buffer_printf(b, "\\u%04x", c);
    else rb_buffer_printf(b, "\\%c", c);
    from = i + 1;
  }
  rb_buffer_add(b, s + from, n - from);
  rb_buffer_puts(b, "\"");
}

static const char *kindname (rb_Effect e) {
  return e == RB_REMEDY ? "remedy" : e == RB_NOTICE ? "notice" : "probe";
}

/* -- the report -------------------------------------------------------------------- */

static char *verb (const rb_Call *c) {
  char *s = NULL;
  if (asprintf(&s, "%s.%s", c->module->name, c->reg->name) < 0) return NULL;
  return s;
}

static json_t *planjson (lua_State *L, const char *field) {
  json_t *j = NULL;
  if (lua_getfield(L, -1, field) != LUA_TNIL) j = rb_tojson(L, -1);
  lua_pop(L, 1);
  return j;
}

static char *planwords (lua_State *L, const char *field) {
  size_t n;
  char *copy = NULL;
  lua_getfield(L, -1, field);
  const char *s = lua_tolstring(L, -1, &n);
  if (s != NULL) copy = rb_redacted(s, n);
  lua_pop(L, 1);
  return copy;
}

/* what the preview said, from the plan at the top of the stack */
static void fillplan (lua_State *L, rb_EffectRow *row) {
  row->before = planjson(L, "before");
  row->after = planjson(L, "after");
  row->reason = planwords(L, "reason");
  row->undo = planwords(L, "undo");
  if (lua_getfield(L, -1, "rows") == LUA_TNUMBER)
    row->rows = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (lua_getfield(L, -1, "guarded") != LUA_TNIL)
    row->guarded = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (row->undo == NULL && lua_getfield(L, -1, "inverse") != LUA_TNIL)
    row->undo = strdup("automatic");
}

static void setasked (rb_Task *t, rb_EffectRow *row) {
  row->asked = malloc(sizeof *row->asked);
  if (row->asked == NULL) return;
  memcpy(row->asked->arguments, t->call.arguments, sizeof row->asked->arguments);
  rb_asked_before(t->vm, row->before, row->asked->before);
}

static void append (rb_StepRow *s, rb_EffectRow *row) {
  if (s->last == NULL) s->last = &s->effects;
  *s->last = row;
  s->last = &row->next;
  s->kept++;
}

static int copylist (int **to, const rb_Assumes *from) {
  size_t size = (size_t)from->count * sizeof(int);
  if (size == 0 || (*to = malloc(size)) == NULL) return 0;
  memcpy(*to, from->n, size);
  return from->count;
}

rb_EffectRow *rb_record_row (rb_Task *t, int failed) {
  rb_Call *c = &t->call;
  rb_StepRow *s = t->field->step;
  rb_Report *r = t->vm->report;
  if (r == NULL || t->vm->hushed) return NULL;
  int n = r->next++;
  if (s == NULL) return NULL;
  s->neffects++;
  if (c->effect == RB_PROBE && !failed && s->kept >= RB_KEEP) return NULL;
  rb_EffectRow *row = calloc(1, sizeof *row);
  if (row == NULL) return NULL;
  *row = (rb_EffectRow){.n = n, .kind = kindname(c->effect), .rows = -1,
                        .guarded = -1, .read = c->read,
                        .ms = (rb_now() - c->started) * 1000};
  row->path = strdup(c->path.s);
  row->verb = verb(c);
  row->target = strdup(c->box->r.name);
  row->summary = rb_redacted(c->summary.s != NULL ? c->summary.s : "", c->summary.n);
  if (t->vm->dryrun) row->nassumes = copylist(&row->assumes, &t->assumes);
  if (t->vm->dryrun && c->effect != RB_PROBE)
    row->nprovided = copylist(&row->provided, &t->vm->provided);
  int top = lua_gettop(t->L);
  rb_plan(t->L);
  if (lua_istable(t->L, -1)) fillplan(t->L, row);
  lua_settop(t->L, top);
  if (c->effect != RB_PROBE) setasked(t, row);
  append(s, row);
  return row;
}

/* -- the tape ------------------------------------------------------------------------- */

static void puttext (rb_Buffer *b, const char *name, const char *s) {
  if (s == NULL) return;
  rb_buffer_printf(b, ",\"%s\":", name);
  rb_json_escape(b, s, strlen(s));
}

static void putjson (rb_Buffer *b, const char *name, const json_t *j) {
  char *s = j != NULL ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
  if (s != NULL) rb_buffer_printf(b, ",\"%s\":%s", name, s);
  free(s);
}

static void putlist (rb_Buffer *b, const char *name, const int *list, int n) {
  if (n == 0) return;
  rb_buffer_printf(b, ",\"%s\":[", name);
  for (int i = 0; i < n; i++) rb_buffer_printf(b, "%s%d", i == 0 ? "" : ",", list[i]);
  rb_buffer_puts(b, "]");
}

/* what the row knows and the event does not, so that a report can be made of the
** tape alone: for most probes that is their number */
static void putrow (rb_Buffer *b, const rb_EffectRow *row) {
  rb_buffer_puts(b, ",\"n\":");
  rb_buffer_number(b, row->n);
  puttext(b, "read", row->read);
  puttext(b, "reason", row->reason);
  putjson(b, "before", row->before);
  putjson(b, "after", row->after);
  if (row->rows >= 0) rb_buffer_printf(b, ",\"rows\":%lld", row->rows);
  if (row->guarded >= 0)
    rb_buffer_printf(b, ",\"guarded\":%s", row->guarded ? "true" : "false");
  putlist(b, "assumes", row->assumes, row->nassumes);
  putlist(b, "provided", row->provided, row->nprovided);
  puttext(b, "undo", row->undo);
}

/* "12.034": %f is the slowest of all */
static void putms (rb_Buffer *b, double seconds) {
  long us = (long)(seconds * 1e6);
  char rest[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                 (char)('0' + us % 10)};
  rb_buffer_number(b, us / 1000);
  rb_buffer_add(b, rest, sizeof rest);
}

/* the event's JSON, into vm->text; vm->line is used */
static void putevent (rb_VM *vm, const rb_Call *c, const rb_EffectRow *row,
                     const char *extra) {
  rb_Buffer *b = &vm->text, *summary = &vm->line;
  rb_buffer_puts(b, "{\"effect\":\"");
  rb_buffer_puts(b, kindname(c->effect));
  rb_buffer_puts(b, "\",\"target\":");
  rb_json_escape(b, c->box->r.name, strlen(c->box->r.name));
  rb_buffer_puts(b, ",\"summary\":");
  rb_buffer_clear(summary);
  rb_redact(summary, c->summary.s != NULL ? c->summary.s : "", c->summary.n);
  rb_json_escape(b, summary->s != NULL ? summary->s : "", summary->n);
  rb_buffer_puts(b, ",\"fingerprint\":\"");
  rb_buffer_puts(b, c->fingerprint);
  rb_buffer_puts(b, "\",\"ms\":");
  putms(b, rb_now() - c->started);
  if (*extra) rb_buffer_puts(b, ",");
  rb_buffer_puts(b, extra);
  if (row != NULL) putrow(b, row);
  rb_buffer_puts(b, "}");
}

void rb_record_within (lua_State *L, rb_Task *t, int failed) {
  char path[600], name[80];
  rb_Buffer *b = &t->vm->value;
  rb_buffer_clear(b);
  if (rb_value_encode(L, -1, b) != NULL) rb_buffer_clear(b);
  snprintf(path, sizeof path, "%s.%d", t->call.path.s, ++t->call.within);
  snprintf(name, sizeof name, "%s.%s", t->call.module->name, t->call.reg->name);
  rb_TapeEvent e = {.kind = "within", .path = path, .verb = name,
                    .text = failed ? "{\"outcome\":\"failed\"}" : "{\"outcome\":\"done\"}",
                    .secret = b->s, .secretlen = b->n};
  rb_tape_append(t->vm->tape, &e);
}

void rb_record_waited (rb_Task *t) {
  rb_VM *vm = t->vm;
  int64_t at = rb_clock_wall();
  t->call.at = (double)at / 1000;
  if (vm->tape == NULL || vm->hushed || vm->mute) return;
  rb_TapeEvent e = {.kind = "waited", .path = t->call.path.s, .at = at};
  rb_tape_append(vm->tape, &e);
}

int64_t rb_record_event (rb_Task *t, const rb_EffectRow *row, const char *kind,
                         const char *extra, const rb_Buffer *secret) {
  rb_VM *vm = t->vm;
  rb_Call *c = &t->call;
  int64_t at = rb_clock_wall();
  c->at = (double)at / 1000;
  if (vm->tape == NULL || vm->hushed || vm->mute) return 0;
  rb_Buffer *b = &vm->text, *name = &vm->line;
  rb_buffer_clear(b);
  putevent(vm, c, row, extra);
  rb_buffer_clear(name);
  rb_buffer_puts(name, c->module->name);
  rb_buffer_puts(name, ".");
  rb_buffer_puts(name, c->reg->name);
  if (b->failed || name->failed) return 0;
  rb_TapeEvent e = {.kind = kind, .path = c->path.s, .verb = name->s, .text = b->s,
                    .at = at};
  if (secret != NULL && secret->n > 0) {
    e.secret = secret->s;
    e.secretlen = secret->n;
  }
  return rb_tape_append(vm->tape, &e);
}

void rb_record_sealed (rb_VM *vm, const char *kind, const char *path, json_t *text,
                       const void *secret, size_t n) {
  if (vm->tape != NULL && !vm->mute && !rb_replay_spoken(vm, kind, path)) {
    char *s = text != NULL ? json_dumps(text, JSON_COMPACT) : NULL;
    rb_TapeEvent e = {.kind = kind, .path = path, .text = s, .secret = secret,
                      .secretlen = n};
    rb_tape_append(vm->tape, &e);
    free(s);
  }
  json_decref(text);
}

void rb_record (rb_VM *vm, const char *kind, const char *path, json_t *text) {
  rb_record_sealed(vm, kind, path, text, NULL, 0);
}
