/*
** save.c - :save: the session as a runbook, and what it saw as the runbook's first test
**
** The script is put together by save.lua and page.lua, in a Lua state of its own: it sees
** texts of the report, which are redacted, and nothing of the session's values. The tape is
** an export like any other: the runbook is run offline with the session's answers.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lualib.h>

#include "vm/redact.h"
#include "vm/repl/repl.h"
#include "vm/replay.h"
#include "vm/show/style.h"

#include "repl/page.h"
#include "repl/save.h"

typedef struct Saving {
  rb_Repl *s;
  char file[4096], tape[4096], name[256];
  char *text;            /* of the runbook */
  json_t *places, *words;
  char why[300];         /* "": it worked */
} Saving;

/* -- what the session did, for Lua --------------------------------------------- */

static void set (lua_State *G, const char *name, const char *text) {
  lua_pushstring(G, text);
  lua_setfield(G, -2, name);
}

static void setflag (lua_State *G, const char *name, int is) {
  lua_pushboolean(G, is);
  lua_setfield(G, -2, name);
}

/* [-0, +1] */
static void pusheffect (lua_State *G, const rb_Repl *s, const rb_EffectRow *e) {
  lua_createtable(G, 0, 6);
  set(G, "kind", e->kind);
  set(G, "verb", e->verb);
  set(G, "system", e->target);
  set(G, "summary", e->summary != NULL ? e->summary : e->verb);
  set(G, "undo", e->undo);
  setflag(G, "undone", strcmp(e->kind, "remedy") == 0 && e->outcome != NULL && !e->unchanged
          && json_object_get(s->done, e->path) == NULL);
}

/* [-0, +1]  a statement */
static void pushpart (lua_State *G, const rb_Repl *s, const rb_StepRow *row) {
  const json_t *told = json_object_get(s->told, row->id), *rows = json_object_get(told, "rows");
  int n = 0;
  lua_createtable(G, 0, 8);
  lua_pushinteger(G, row->n);
  lua_setfield(G, -2, "n");
  set(G, "text", row->title);
  set(G, "value", json_string_value(json_object_get(told, "value")));
  if (rows != NULL) {
    lua_pushinteger(G, (lua_Integer)json_integer_value(rows));
    lua_setfield(G, -2, "rows");
  }
  setflag(G, "undo", json_object_get(told, "undo") != NULL);
  setflag(G, "armed", json_object_get(told, "armed") != NULL);
  setflag(G, "good", strcmp(row->status, "done") == 0 || strcmp(row->status, "planned") == 0
          || strcmp(row->status, "deferred") == 0);
  lua_newtable(G);
  for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next) {
    pusheffect(G, s, e);
    lua_rawseti(G, -2, ++n);
  }
  lua_setfield(G, -2, "effects");
}

/* -- the script ------------------------------------------------------------------- */

static void load (lua_State *G, const void *code, size_t n, const char *name) {
  if (luaL_loadbufferx(G, code, n, name, "b") != LUA_OK) lua_error(G);
}

/* the list of tables or texts at the top, as JSON */
static json_t *tolist (lua_State *G) {
  json_t *list = json_array();
  for (int i = 1; lua_rawgeti(G, -1, i) != LUA_TNIL; i++, lua_pop(G, 1)) {
    if (!lua_istable(G, -1)) {
      json_array_append_new(list, json_string(lua_tostring(G, -1)));
      continue;
    }
    json_t *o = json_object();
    for (lua_pushnil(G); lua_next(G, -2) != 0; lua_pop(G, 1))
      json_object_set_new(o, lua_tostring(G, -2), lua_isinteger(G, -1) ?
          json_integer(lua_tointeger(G, -1)) : lua_isstring(G, -1) ?
          json_string(lua_tostring(G, -1)) : json_boolean(lua_toboolean(G, -1)));
    json_array_append_new(list, o);
  }
  lua_pop(G, 1);
  return list;
}

static int generate (lua_State *G) {
  Saving *v = lua_touserdata(G, 1);
  const rb_Report *rep = &v->s->r.report;
  luaL_openlibs(G);
  lua_newtable(G);                                    /* T */
  lua_newtable(G);
  for (int i = 0; i < rep->nsteps; i++) {
    pushpart(G, v->s, &rep->steps[i]);
    lua_rawseti(G, -2, i + 1);
  }
  lua_setfield(G, -2, "parts");
  lua_createtable(G, 0, 2);
  set(G, "name", v->name);
  set(G, "reason", v->s->reason);
  lua_setfield(G, -2, "about");
  load(G, rb_save, sizeof rb_save, "=save");
  lua_pushvalue(G, 2);
  lua_call(G, 1, 0);
  load(G, rb_page, sizeof rb_page, "=page");
  lua_pushvalue(G, 2);
  lua_call(G, 1, 3);
  if (lua_isnil(G, -3)) return luaL_error(G, "%s", lua_tostring(G, -2));
  v->text = strdup(lua_tostring(G, -3));
  v->words = tolist(G);
  lua_pop(G, 1);
  v->places = tolist(G);
  return 0;
}

static void script (Saving *v) {
  lua_State *G = luaL_newstate();
  if (G == NULL) {
    snprintf(v->why, sizeof v->why, "not enough memory");
    return;
  }
  lua_pushcfunction(G, generate);
  lua_pushlightuserdata(G, v);
  if (lua_pcall(G, 1, 0, 0) != LUA_OK) {
    const char *why = lua_tostring(G, -1);
    snprintf(v->why, sizeof v->why, "%s", why != NULL ? why : "not enough memory");
  } else if (v->text == NULL) snprintf(v->why, sizeof v->why, "not enough memory");
  else if (rb_redact_placeholder(v->text, strlen(v->text)))
    snprintf(v->why, sizeof v->why, "a statement that would be kept holds a secret: a "
             "runbook has it from the configuration, or as a parameter of type secret");
  lua_close(G);
}

/* -- files ---------------------------------------------------------------------------- */

static void write_ (Saving *v) {
  int fd = open(v->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) {
    snprintf(v->why, sizeof v->why, errno == EEXIST ? "%.200s is there already: choose another "
             "name" : "%.200s cannot be written: %s", v->file, strerror(errno));
    return;
  }
  int error = rb_style_write(fd, v->text, strlen(v->text));
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0) return;
  snprintf(v->why, sizeof v->why, "%.200s cannot be written: %s", v->file, strerror(error));
  unlink(v->file);
}

/* "FILE", with .lua where it has no such ending, and the tape beside it */
static void name (Saving *v, const char *file) {
  size_t n = strlen(file);
  const char *lua = n > 4 && strcmp(file + n - 4, ".lua") == 0 ? "" : ".lua";
  snprintf(v->file, sizeof v->file - 8, "%s%s", file, lua);
  n = strlen(v->file) - 4;
  snprintf(v->tape, sizeof v->tape, "%.*s.tape", (int)n, v->file);
  const char *slash = strrchr(v->file, '/');
  const char *base = slash != NULL ? slash + 1 : v->file;
  snprintf(v->name, sizeof v->name, "%.*s", (int)strlen(base) - 4, base);
}

/* -- the tape ----------------------------------------------------------------------------- */

/* What the session has not done, the tape does not answer: it ends there. */
static json_t *covered (const Saving *v) {
  json_t *list = json_array(), *place;
  size_t i;
  json_array_foreach(v->places, i, place) {
    int deed = json_is_true(json_object_get(place, "deed"));
    if (deed && !json_is_true(json_object_get(place, "armed"))) break;
    json_array_append(list, place);
    if (json_is_true(json_object_get(place, "open"))) break;
  }
  return list;
}

static void replace (const char **text, const char *with) {
  free((char *)*text);
  *text = strdup(with);
}

static int export (Saving *v, rb_Replay *t, rb_Problem *p) {
  static const char *const none[] = {NULL};
  char path[4096];
  const char *words[64] = {NULL};
  json_t *adopts = covered(v);
  if (realpath(v->file, path) == NULL) snprintf(path, sizeof path, "%s", v->file);
  for (size_t i = 0; i < json_array_size(v->words) && i < 63; i++)
    words[i] = json_string_value(json_array_get(v->words, i));
  json_decref(t->how);
  t->how = json_pack("{s:s,s:{s:s},s:O,s:[],s:[]}", "file", path, "files", path, v->text,
                     "words", v->words, "cases", "limits");
  t->offline = 1;
  t->adopts = adopts;
  replace(&t->run.mode, "run");
  replace(&t->run.runbook, v->name);
  replace(&t->run.status, "done");
  t->run.ended = t->run.started;
  rb_RunOptions o = {.file = path, .words = words, .cases = none, .limits = none,
    .approved_by = none, .target = t->run.target, .config = v->s->asked->config,
    .export = v->tape, .resume = t};
  rb_stop_close(v->s->r.vm);
  int exit = rb_run_inside(&o);
  rb_stop_open(v->s->r.vm);
  v->s->r.vm->interrupts = 0;
  json_decref(adopts);
  (void)p;
  return exit;
}

static int taped (Saving *v) {
  rb_Problem p = {0};
  rb_Run *r = &v->s->r;
  rb_Replay *t = rb_tape_commit(r->vm->tape, &p) == 0
                 ? rb_replay_load(r->vm->tape, r->report.run, 0, &p) : NULL;
  if (t == NULL) {
    rb_repl_complain(v->s, "%s", p.message);
    return p.exit;
  }
  int exit = export(v, t, &p);
  rb_replay_free(t);
  return exit;
}

/* -- the word ------------------------------------------------------------------------------- */

static void tell (Saving *v, int exit) {
  size_t n = json_array_size(v->words), i;
  json_t *word;
  rb_Buffer b = {0};
  json_array_foreach(v->words, i, word)
    rb_buffer_printf(&b, " %s", json_string_value(word));
  rb_repl_say(v->s, "saved %s%s%s", v->file, exit == 0 ? ", and what this session saw as " : "",
              exit == 0 ? v->tape : "");
  rb_repl_say(v->s, "  runbook check %s", v->file);
  rb_repl_say(v->s, "  runbook run %s%s --dry-run", v->file, n > 0 ? b.s : "");
  if (exit == 0) rb_repl_say(v->s, "  runbook replay %s --with %s", v->tape, v->file);
  rb_buffer_free(&b);
}

int rb_repl_save (rb_Repl *s, const char *rest) {
  Saving v = {.s = s};
  int exit = RB_FAILED;
  if (*rest == '\0' || strlen(rest) > sizeof v.file / 2) {
    rb_repl_complain(s, ":save takes a file: :save isolate.lua");
    return RB_FAILED;
  }
  name(&v, rest);
  script(&v);
  if (v.why[0] == '\0') write_(&v);
  if (v.why[0] != '\0') rb_repl_complain(s, "nothing was saved: %s", v.why);
  else {
    exit = taped(&v);
    tell(&v, exit);
  }
  free(v.text);
  json_decref(v.places);
  json_decref(v.words);
  return exit;
}
