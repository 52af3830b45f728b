/*
** repl.c - reads statements, from a person or from a pipe, until there are no more
**
** A person's mistakes are said, and the next line is read; from a pipe the first one
** ends it.
*/

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/redact.h"
#include "vm/repl/repl.h"
#include "vm/show/style.h"
#include "vm/state.h"

#define DEFAULTTIME "10m"

/* -- the prompt ------------------------------------------------------------ */

/* the session whose line is being typed, and whether it goes on */
typedef struct Typing {
  rb_Repl *s;
  int more;
  char text[128];
} Typing;

static const char *prompt (void *ud) {
  Typing *t = ud;
  const rb_Repl *s = t->s;
  char left[32];
  if (t->more) {
    snprintf(t->text, sizeof t->text, "%*s> ", (int)strlen(s->r.report.target), "...");
  } else if (s->until == 0) {
    snprintf(t->text, sizeof t->text, "%.80s (read-only)> ", s->r.report.target);
  } else {
    double seconds = s->until - rb_now();
    rb_style_duration(left, seconds > 0 ? (double)(long)(seconds + 1) * 1000 : 0);
    snprintf(t->text, sizeof t->text, "%.80s (LIVE %s)> ", s->r.report.target, left);
  }
  return t->text;
}

static char **complete (void *ud, const char *line, size_t cursor, size_t *from) {
  Typing *t = ud;
  return rb_repl_complete(t->s, line, cursor, from);
}

static char *hint (void *ud, const char *line, size_t cursor) {
  Typing *t = ud;
  return rb_repl_hint(t->s, line, cursor);
}

static int interrupted (void *ud) {
  const Typing *t = ud;
  return t->s->r.vm->interrupts > 0;
}

/* the history of this target, beside the tape; 0: no place for it */
static int historyfile (const rb_Repl *s, char *file, size_t size) {
  char tape[4000], folder[4096];
  if (!rb_tape_file(tape, sizeof tape)) return 0;
  *strrchr(tape, '/') = '\0';
  snprintf(folder, sizeof folder, "%s/repl", tape);
  mkdir(folder, 0700);
  return (size_t)snprintf(file, size, "%s/%s.history", folder, s->r.report.target) < size
         && strchr(s->r.report.target, '/') == NULL;
}

/* the library for lines, from its own shared object; NULL: plain lines */
static const rb_Edit *editor (Typing *t, const rb_EditHooks *hooks) {
  char path[4096], file[4096];
  if (!t->s->terminal || !rb_module_path("repl-edit", path, sizeof path)) return NULL;
  void *so = dlopen(path, RB_DLOPEN);
  const rb_Edit *e = so != NULL ? dlsym(so, "rb_part") : NULL;
  int keeps = historyfile(t->s, file, sizeof file);
  return e != NULL && e->open(hooks, keeps ? file : NULL) ? e : NULL;
}

/* -- lines ----------------------------------------------------------------- */

/* from a pipe, or without the library */
static char *plainline (Typing *t, int *interrupted) {
  char *line = NULL;
  size_t size = 0;
  if (t->s->terminal) {
    fputs(prompt(t), stderr);
    fflush(stderr);
  }
  ssize_t n = getline(&line, &size, stdin);
  *interrupted = n < 0 && t->s->r.vm->interrupts > 0;
  clearerr(stdin);
  if (n < 0) { free(line); return NULL; }
  line[strcspn(line, "\n")] = '\0';
  return line;
}

/* A Ctrl-C at the prompt drops the line, and nothing else. */
static char *readline_ (Typing *t, int *interrupted) {
  rb_Repl *s = t->s;
  rb_asking = 1;
  char *line = s->edit != NULL ? s->edit->line(interrupted) : plainline(t, interrupted);
  rb_asking = 0;
  if (*interrupted && s->terminal) {
    s->r.vm->interrupts = 0;
    fputs("\n", stderr);
  }
  return line;
}

/* Secrets stay out of it, and so does what begins with a space. */
static void remember (rb_Repl *s, const char *line) {
  if (s->edit == NULL || *line == ' ' || *line == '\0') return;
  char *clean = rb_redacted(line, strlen(line));
  if (clean != NULL) s->edit->remember(clean);
  free(clean);
}

/* -- statements ------------------------------------------------------------ */

static int isblank_ (const char *s) { return s[strspn(s, " \t\r\n")] == '\0'; }

/* "exit", as at other prompts: the word that it is here; NULL: it is a statement, also where
** something of the session is called that */
static const char *bare (rb_Repl *s, const char *text) {
  static const char *const words[][2] = {{"exit", ":quit"}, {"quit", ":quit"}, {"help", ":help"},
                                         {NULL, NULL}};
  lua_State *L = s->r.L;
  for (int i = 0; words[i][0] != NULL; i++) {
    if (strcmp(text, words[i][0]) != 0) continue;
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
    lua_pushstring(L, text);
    int free_ = lua_rawget(L, -2) == LUA_TNIL;
    lua_pop(L, 2);
    return free_ ? words[i][1] : NULL;
  }
  return NULL;
}

/* One statement, or one word with a colon, of as many lines as it takes; 0: the input
** has ended. '*exit': what went wrong. */
static int statement (Typing *t, int *exit) {
  rb_Repl *s = t->s;
  rb_Buffer text = {0};
  int interrupted = 0, whole = 0;
  rb_repl_expire(s);
  for (t->more = 0; ; t->more = 1) {
    char *line = readline_(t, &interrupted);
    if (line == NULL) break;
    if (text.n == 0 && isblank_(line)) { free(line); rb_buffer_free(&text); return 1; }
    remember(s, line);
    if (text.n > 0) rb_buffer_puts(&text, "\n");
    rb_buffer_puts(&text, line);
    free(line);
    if (text.failed) luaL_error(s->r.L, "not enough memory");
    const char *word = text.s[0] == ':' ? text.s : bare(s, text.s);
    if (word != NULL) *exit = rb_repl_word(s, word);
    whole = word != NULL || rb_repl_eval(s, text.s, exit) != RB_EVALMORE;
    if (whole) break;
  }
  if (interrupted && !s->terminal) *exit = RB_INTERRUPTED;
  int over = !whole && !interrupted;
  if (over && text.n > 0) {
    rb_repl_complain(s, "the input ends in the middle of a statement");
    *exit = RB_FAILED;
  }
  rb_buffer_free(&text);
  t->more = 0;
  return !over;
}

static void banner (rb_Repl *s) {
  rb_Buffer b = {0};
  const char *const *name = rb_target_systems(s->r.vm->target);
  for (; name != NULL && *name != NULL; name++)
    rb_buffer_printf(&b, "%s%s", b.n > 0 ? ", " : "", *name);
  rb_repl_say(s, "runbook %s on %s (%s)%s%s. Probes are real, remedies are previewed.",
              RB_VERSION, s->r.report.target, s->r.report.kind, b.n > 0 ? ": " : "",
              b.n > 0 ? b.s : "");
  rb_repl_say(s, "`:help` tells what there is, Ctrl-D leaves.");
  rb_buffer_free(&b);
}

int rb_repl_loop (rb_Repl *s) {
  Typing t = {.s = s};
  rb_EditHooks hooks = {prompt, complete, hint, interrupted, &t};
  int exit = 0;
  s->edit = editor(&t, &hooks);
  if (s->terminal && !s->inside) banner(s);
  if (s->asked->live) exit = rb_repl_word(s, ":live " DEFAULTTIME);
  while (!s->quit && (exit == 0 || s->terminal)) {
    exit = 0;
    if (!statement(&t, &exit)) break;
  }
  if (s->terminal && !s->quit) fputs("\n", stderr);
  if (s->edit != NULL) s->edit->close();
  return s->terminal ? 0 : exit;
}

/* -- the whole ------------------------------------------------------------- */

static int pmain (lua_State *L) {
  rb_Repl *s = lua_touserdata(L, 1);
  rb_Problem *p = lua_touserdata(L, 2);
  lua_settop(L, 0);
  luaL_checkstack(L, 100, NULL);
  if (rb_repl_begin(s, p) != 0) return 0;
  s->r.report.exit = rb_repl_loop(s);
  rb_repl_end(s, s->r.report.exit);
  return 0;
}

static void cleanup (rb_Repl *s) {
  rb_VM *vm = s->r.vm;
  rb_Config *config = vm->config;
  rb_stop_close(vm);
  rb_tape_close(vm->tape);
  vm->tape = NULL;
  rb_show_close(vm->show);
  vm->show = NULL;
  vm->report = NULL;
  rb_report_close(&s->r.report);
  free(s->r.outline.file);
  json_decref(s->done);
  json_decref(s->told);
  free(s->reason);
  rb_state_free(s->r.L);
  rb_config_free(config);
  rb_redact_free();
}

int rb_repl (const rb_ReplOptions *o) {
  static const char *const none[] = {NULL};
  rb_Problem p = {0};
  rb_ShowOptions show = {.nocolor = o->nocolor};
  rb_Repl s = {.asked = o, .o = {.words = none, .cases = none, .limits = none,
               .approved_by = none, .config = o->config, .target = o->target},
               .terminal = rb_ask_terminal(), .done = json_object(), .told = json_object()};
  s.r.o = &s.o;
  s.r.who = rb_operator();
  s.r.session = 1;
  s.r.L = rb_state_new();
  if (s.r.L == NULL) {
    rb_problem(&p, RB_USAGE, "memory", "not enough memory");
    rb_show_problem(&p, 0);
    return p.exit;
  }
  s.r.vm = rb_vm(s.r.L);
  s.r.vm->run = &s.r;
  s.r.vm->dryrun = s.r.vm->impatient = 1;
  s.r.vm->show = rb_show_open(&show);
  lua_pushcfunction(s.r.L, pmain);
  lua_pushlightuserdata(s.r.L, &s);
  lua_pushlightuserdata(s.r.L, &p);
  if (lua_pcall(s.r.L, 2, 0, 0) != LUA_OK) {
    const char *why = lua_tostring(s.r.L, -1);
    rb_problem(&p, RB_FAILED, "internal", "%s", why != NULL ? why : "an error without words");
    rb_repl_end(&s, p.exit);
  }
  if (p.exit != 0) rb_show_problem(&p, 0);
  int exit = p.exit != 0 ? p.exit : s.r.report.exit;
  cleanup(&s);
  return exit;
}
