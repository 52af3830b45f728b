/*
** session.c - what is typed, run as the fields of steps that grow
**
** In a session that is read-only each statement is a dry run of its own: probes are
** real, remedies are previewed, and what one planned is forgotten after it. Armed, it
** is a real run.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/base.h"
#include "vm/redact.h"
#include "vm/repl/repl.h"
#include "vm/show/terminal.h"
#include "vm/state.h"

#define BURST 5.0  /* seconds that a statement may compute without waiting */
#define CHUNK "=repl"

/* -- the run --------------------------------------------------------------- */

static int target (rb_Repl *s, rb_Problem *p) {
  rb_VM *vm = s->r.vm;
  vm->config = rb_config_load(s->asked->config, p);
  if (vm->config == NULL) return p->exit;
  vm->target = rb_config_open(vm->config, s->asked->target, p);
  return vm->target != NULL ? 0 : p->exit;
}

static int report (rb_Repl *s, rb_Problem *p) {
  rb_Run *r = &s->r;
  s->began = rb_now();
  rb_Report *rep = &r->report;
  r->outline.file = strdup("(repl)");
  r->outline.name = "repl";
  r->outline.title = "An investigation at the prompt";
  r->outline.lock.ref = r->outline.limitsref = RB_NOREF;
  rb_ulid(rep->run);
  rep->mode = "repl";
  rep->target = strdup(rb_target_name(r->vm->target));
  rep->kind = strdup(rb_target_kind(r->vm->target));
  rep->params = json_object();
  rep->script = rep->gate = 1;
  return rb_report_open(r, p);
}

/* [-0, +0, m]  the globals of the session, over those of every script */
static void environment (rb_Repl *s) {
  lua_State *L = s->r.L;
  lua_newtable(L);
  lua_createtable(L, 0, 2);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->r.object);
  lua_setfield(L, -2, "run");
  s->env = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  s->memo = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* what f returns is kept as `_`, and shown */
static const char wrapper[] =
  "local f, keep = ...\n"
  "return function (run) return keep(f(run)) end";

static void openwrapper (rb_Repl *s) {
  lua_State *L = s->r.L;
  if (luaL_loadbufferx(L, wrapper, sizeof wrapper - 1, CHUNK, "t") != LUA_OK) lua_error(L);
  s->wrap = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Stuck in a C function: called by the watchdog's thread. */
static int lastwords (rb_VM *vm) {
  rb_show_note(vm->show, "the statement did not stop: one of Lua's own functions (a "
               "pattern, perhaps) ran on and on; the session was ended");
  rb_tape_rescue(vm->tape, "failed", RB_FAILED);
  return RB_FAILED;
}

int rb_repl_enter (rb_Repl *s, rb_Problem *p) {
  lua_State *L = s->r.L;
  rb_VM *vm = s->r.vm;
  int scope = lua_gettop(L);
  if (report(s, p) != 0) return p->exit;
  vm->report = &s->r.report;
  if (rb_taped_begin(&s->r, p) != 0) return p->exit;
  vm->lastwords = lastwords;
  vm->took = rb_repl_took;
  environment(s);
  openwrapper(s);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  for (lua_pushnil(L); lua_next(L, scope) != 0; lua_pop(L, 1)) {
    if (strcmp(lua_tostring(L, -2), "run") == 0) continue;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
  return 0;
}

int rb_repl_begin (rb_Repl *s, rb_Problem *p) {
  rb_Run *r = &s->r;
  rb_VM *vm = r->vm;
  rb_words_open(r->L);
  if (target(s, p) != 0 || report(s, p) != 0) return p->exit;
  lua_newtable(r->L);
  rb_object_new(r);
  vm->report = &r->report;
  vm->loading = 0;
  if (rb_given_limits(r, p) != 0 || rb_taped_begin(r, p) != 0) return p->exit;
  vm->burst = BURST;
  vm->lastwords = lastwords;
  vm->took = rb_repl_took;
  rb_stop_open(vm);
  rb_run_names(r);
  environment(s);
  openwrapper(s);
  return 0;
}

void rb_repl_end (rb_Repl *s, int exit) {
  rb_Run *r = &s->r;
  rb_Problem p = {0};
  r->report.exit = exit;
  r->report.ms = (rb_now() - s->began) * 1000;
  r->report.status = exit == 0 ? "done" : exit == RB_INDOUBT ? "in-doubt"
                     : exit == RB_INTERRUPTED ? "interrupted" : "failed";
  if (r->vm->tape == NULL) return;
  rb_taped_result(r);
  if (rb_tape_end(r->vm->tape, r->report.status, exit, &p) != 0) rb_show_problem(&p, 0);
}

/* -- a statement, compiled ------------------------------------------------- */

static int ends (const char *s, const char *with) {
  size_t n = strlen(s), m = strlen(with);
  return n >= m && strcmp(s + n - m, with) == 0;
}

/* what a `local` at the prompt would name is gone at once, so it stays */
static const char *kept (const char *text) {
  while (*text == ' ' || *text == '\t' || *text == '\n') text++;
  return strncmp(text, "local ", 6) == 0 ? text + 6 : text;
}

/* [-0, +1]  LUA_OK and the function, or a status and the message */
static int load (lua_State *L, const char *before, const char *text) {
  rb_Buffer b = {0};
  rb_buffer_puts(&b, before);
  rb_buffer_puts(&b, text);
  int status = b.failed ? LUA_ERRMEM
             : luaL_loadbufferx(L, b.s != NULL ? b.s : "", b.n, CHUNK, "t");
  if (b.failed) lua_pushliteral(L, "not enough memory");
  rb_buffer_free(&b);
  return status;
}

/* What people type at other prompts: what is meant here; NULL: nothing that we know. */
static const char *meant (const char *text) {
  static const char *const sql[] = {"select", "with", "show", "explain", "insert", "update",
                                    "delete", "table", "\\d", "\\dt", NULL};
  char word[16];
  text += strspn(text, " ");
  size_t n = strcspn(text, " \t\n;");
  snprintf(word, sizeof word, "%.*s", (int)(n < 15 ? n : 15), text);
  for (const char *const *w = sql; *w != NULL; w++)
    if (strcasecmp(word, *w) == 0)
      return "SQL goes to a resource: erp = system \"NAME\", then erp.pg:query \"SELECT 1\"";
  return NULL;
}

/* An expression, else statements. [-0, +1 where it is DONE] */
static rb_Evaluated compile (rb_Repl *s, const char *text) {
  lua_State *L = s->r.L;
  if (load(L, "return ", text) == LUA_OK) return RB_EVALDONE;
  lua_pop(L, 1);
  if (load(L, "", kept(text)) == LUA_OK) return RB_EVALDONE;
  const char *why = lua_tostring(L, -1);
  rb_Evaluated how = why != NULL && ends(why, "<eof>") ? RB_EVALMORE : RB_EVALFAILED;
  if (how == RB_EVALFAILED)
    rb_repl_complain(s, "%s", why != NULL && strncmp(why, "repl:", 5) == 0
                     && !strchr(text, '\n') ? strchr(why + 5, ' ') + 1 : why);
  if (how == RB_EVALFAILED && meant(text) != NULL) rb_repl_complain(s, "%s", meant(text));
  lua_pop(L, 1);
  return how;
}

/* -- and run --------------------------------------------------------------- */

/* what the first value is, for a `verify` of :save */
static void tell (lua_State *L, json_t *told) {
  rb_Buffer b = {0};
  size_t n;
  if (lua_istable(L, 1)) {
    if (lua_rawlen(L, 1) > 0)
      json_object_set_new(told, "rows", json_integer((json_int_t)lua_rawlen(L, 1)));
    return;
  }
  if (lua_type(L, 1) == LUA_TUSERDATA || lua_isfunction(L, 1)) return;
  if (lua_type(L, 1) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, 1, &n);
    rb_buffer_puts(&b, "\"");
    for (size_t i = 0; i < n; i++)
      if ((unsigned char)text[i] < 32) rb_buffer_printf(&b, "\\%03d", text[i]);
      else rb_buffer_printf(&b, strchr("\"\\", text[i]) ? "\\%c" : "%c", text[i]);
    rb_buffer_puts(&b, "\"");
  } else {
    rb_buffer_puts(&b, rb_tolstring(L, 1, NULL));
    lua_pop(L, 1);
  }
  if (b.n < 200 && b.s != NULL) json_object_set_new(told, "value", rb_jsontext(b.s, b.n));
  rb_buffer_free(&b);
}

/* upvalue 1: the session. Shows its arguments; runs inside the statement's task. */
static int keep (lua_State *L) {
  rb_Repl *s = lua_touserdata(L, lua_upvalueindex(1));
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) rb_repl_value(L, i, s->r.vm->show);
  if (n == 0) return 0;
  tell(L, json_object_get(s->told, s->r.report.steps[s->r.report.nsteps - 1].id));
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "_");
  return 0;
}

static rb_StepRow *addstep (rb_Repl *s, const char *title) {
  rb_Report *rep = &s->r.report;
  if (rep->nsteps + 1 >= s->steps) {
    int size = s->steps < 32 ? 32 : 2 * s->steps;
    rb_StepRow *rows = realloc(rep->steps, (size_t)size * sizeof *rows);
    if (rows == NULL) luaL_error(s->r.L, "not enough memory");
    rep->steps = rows;
    s->steps = size;
  }
  rb_StepRow *row = &rep->steps[rep->nsteps];
  char id[16];
  memset(row, 0, sizeof *row);
  row->n = ++rep->nsteps;
  snprintf(id, sizeof id, "%d", row->n);
  row->id = strdup(id);
  row->title = rb_redacted(title, strlen(title));
  json_object_set_new(s->told, id, json_object());
  if (!s->r.vm->dryrun) json_object_set_new(json_object_get(s->told, id), "armed", json_true());
  row->ran = 1;
  return row;
}

/* did a line of its effects, on the same screen, say so already? */
static int wassaid (const rb_Repl *s, const char *why, const rb_StepRow *row) {
  for (const rb_EffectRow *e = row->effects; s->terminal && e != NULL; e = e->next)
    if (e->reason != NULL && strcmp(e->reason, why) == 0) return 1;
  return 0;
}

/* why it ended early, unless a line of its effects says so */
static void saywhy (rb_Repl *s, const rb_FieldEnd *end, const rb_StepRow *row) {
  const char *why = end->reason;
  if (end->end == RB_STOPPEDEND && end->stop == RB_DOUBT)
    rb_repl_complain(s, "it may or may not have happened: look before you do it again");
  if (wassaid(s, why, row)) return;
  if (end->end == RB_STOPPEDEND && (end->stop == RB_DEFER || end->stop == RB_REFUSE))
    for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next)
      if (e->verdict != NULL) return;
  if (strncmp(why, "repl:1: ", 8) == 0 && strchr(row->title, '\n') == NULL) why += 8;
  rb_repl_complain(s, "%s", why[0] != '\0' ? why : end->kind);
}

/* what :undo may take back */
static void remember (rb_Repl *s, const rb_StepRow *row) {
  for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next)
    if (strcmp(e->kind, "remedy") == 0 && !e->unchanged && e->outcome != NULL
        && strcmp(e->outcome, "done") == 0)
      json_object_set_new(s->done, e->path, json_true());
}

/* what it changes or would change, then what it returned */
static void show (rb_Repl *s, const rb_StepRow *row) {
  rb_Show *show = s->r.vm->show;
  rb_Buffer values = show->out;
  show->out = (rb_Buffer){0};
  rb_terminal_effects(show, &s->r.report, row);
  if (strcmp(row->status, "planned") == 0 || strcmp(row->status, "deferred") == 0)
    rb_style_say(show, 6, DIM, "not done: read-only (:live makes it real)");
  if (values.n > 0) rb_buffer_add(&show->out, values.s, values.n);
  rb_buffer_free(&values);
  rb_repl_page(s);
}

static const char *status (const rb_FieldEnd *end, const rb_StepRow *row, int dryrun) {
  int planned = 0;
  for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next)
    planned |= strcmp(e->kind, "probe") != 0;
  if (end->stop == RB_DOUBT) return "in-doubt";
  if (end->stop == RB_DEFER) return "deferred";
  if (end->stop == RB_REFUSE) return "refused";
  if (end->end != RB_ENDED) return "failed";
  return dryrun && planned ? "planned" : "done";
}

/* A session goes on after a Ctrl-C. What was only planned is forgotten, and has used
** nothing up. */
static void settle (rb_Repl *s, const long long *used) {
  rb_VM *vm = s->r.vm;
  if (vm->dryrun) memcpy(vm->used, used, sizeof vm->used);
  s->interrupted |= vm->interrupts > 0;
  vm->interrupts = 0;
  vm->abandoned = 0;
  if (!s->inside) rb_planned_forget(vm);
}

/* 1: it failed, and *exit says how */
static int ended (rb_Repl *s, const rb_FieldEnd *end, int *exit) {
  if (end->deeds > 0) s->r.started = 1;
  if (end->end == RB_ENDED) return 0;
  if (end->stop == RB_DEFER && s->r.vm->dryrun) return 0;
  *exit = rb_field_exit(&s->r, end);
  if (*exit == RB_USAGE) *exit = RB_FAILED;
  return 1;
}

rb_Evaluated rb_repl_call (rb_Repl *s, int fn, const char *title, int *exit) {
  rb_Run *r = &s->r;
  rb_FieldEnd end;
  char path[48];
  double before = rb_now();
  long long used[sizeof r->vm->used / sizeof *r->vm->used];
  memcpy(used, r->vm->used, sizeof used);
  rb_StepRow *row = addstep(s, title);
  snprintf(path, sizeof path, "%s/repl", row->id);
  rb_FieldSpec spec = {.fn = fn, .word = "repl", .path = path, .row = row,
                       .may = RB_MAYPROBE | RB_MAYREMEDY | RB_MAYNOTICE};
  rb_taped_step(r, row);
  rb_repl_forget(r->L);
  rb_field_run(r, &spec, &end);
  luaL_unref(r->L, LUA_REGISTRYINDEX, fn);
  row->ms = (rb_now() - before) * 1000;
  row->status = status(&end, row, r->vm->dryrun);
  remember(s, row);
  show(s, row);
  if (end.end != RB_ENDED) saywhy(s, &end, row);
  rb_taped_stepped(r, row, NULL, 0);
  int failed = ended(s, &end, exit);
  rb_field_clear(&end);
  settle(s, used);
  return failed ? RB_EVALFAILED : RB_EVALDONE;
}

rb_Evaluated rb_repl_eval (rb_Repl *s, const char *text, int *exit) {
  lua_State *L = s->r.L;
  rb_Evaluated how = compile(s, text);
  if (how == RB_EVALFAILED) *exit = RB_FAILED;
  if (how != RB_EVALDONE) return how;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->wrap);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, s);
  lua_pushcclosure(L, keep, 1);
  lua_call(L, 2, 1);
  rb_repl_expire(s);
  return rb_repl_call(s, luaL_ref(L, LUA_REGISTRYINDEX), text, exit);
}

/* -- armed ----------------------------------------------------------------- */

void rb_repl_disarm (rb_Repl *s, const char *why) {
  if (s->until == 0) return;
  s->until = 0;
  s->r.vm->dryrun = 1;
  rb_record(s->r.vm, "note", NULL, json_pack("{s:s}", "text", "read-only again"));
  rb_repl_complain(s, "%s", why);
}

void rb_repl_expire (rb_Repl *s) {
  if (s->until != 0 && rb_now() >= s->until)
    rb_repl_disarm(s, "the time is over: read-only again (:live arms it once more)");
}
