/*
** inside.c - the prompt inside of a run: before one of its steps, or where one failed
**
** It is a session of its own on the tape; the run that it looks into stays as it is.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/repl/repl.h"
#include "vm/replay.h"
#include "vm/show/style.h"

enum { NAMES = 200 };

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void tellnames (rb_Repl *s) {
  lua_State *L = s->r.L;
  const char *names[NAMES];  /* the table keeps them alive */
  rb_Buffer b = {0};
  int n = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && n < NAMES) names[n++] = lua_tostring(L, -2);
  qsort(names, (size_t)n, sizeof *names, byname);
  for (int i = 0; i < n; i++) rb_buffer_printf(&b, "%s%s", i > 0 ? ", " : "", names[i]);
  lua_pop(L, 1);
  if (b.n > 0) rb_repl_say(s, "Here are %s.", b.s);
  rb_buffer_free(&b);
}

static void session (rb_Repl *s, const char *where) {
  rb_Problem p = {0};
  if (rb_repl_enter(s, &p) == 0) {
    rb_repl_say(s, "Inside %s", where);
    tellnames(s);
    s->r.report.exit = rb_repl_loop(s);
    rb_repl_end(s, s->r.report.exit);
  } else rb_show_problem(&p, 0);
}

void rb_repl_inside (rb_Run *r, const char *where, void *ud) {
  static const char *const none[] = {NULL};
  const rb_ReplOptions *o = ud;
  rb_VM *vm = r->vm, was = *vm;
  rb_ShowOptions show = {.nocolor = o->nocolor};
  rb_Repl s = {.asked = o, .inside = 1, .terminal = rb_ask_terminal(), .r = *r,
               .done = json_object(), .told = json_object(),
               .o = {.words = none, .cases = none, .limits = none, .approved_by = none}};
  s.r.o = &s.o;
  s.r.session = 1;
  s.r.outline.nsteps = s.r.outline.ncases = 0;
  memset(&s.r.report, 0, sizeof s.r.report);
  vm->run = &s.r;
  vm->dryrun = vm->impatient = 1;
  vm->mute = 0;
  vm->replay = NULL;
  vm->exported = NULL;
  vm->tape = NULL;
  vm->show = rb_show_open(&show);
  session(&s, where);
  rb_tape_close(vm->tape);
  rb_show_close(vm->show);
  rb_report_close(&s.r.report);
  free(s.r.outline.file);
  json_decref(s.done);
  json_decref(s.told);
  free(s.reason);
  vm->run = was.run;
  vm->dryrun = was.dryrun;
  vm->impatient = was.impatient;
  vm->mute = was.mute;
  vm->replay = was.replay;
  vm->exported = was.exported;
  vm->tape = was.tape;
  vm->show = was.show;
  vm->report = was.report;
  vm->lastwords = was.lastwords;
}

int rb_repl_at (rb_ReplOptions *o) {
  static const char *const none[] = {NULL};
  rb_Inspect inspect = {.step = o->at, .open = rb_repl_inside, .ud = o};
  rb_RunOptions run = {.file = o->file, .words = o->words, .dry_run = 1, .target = o->target,
    .config = o->config, .nocolor = o->nocolor, .cases = none, .limits = none,
    .approved_by = none, .inspect = &inspect};
  return rb_run(&run);
}
