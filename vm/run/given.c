/*
** given.c - what the operator gave: parameters, steps and cases by name,
** answers, limits
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "vm/run/run.h"
#include "vm/state.h"

#define MAXLISTED 600  /* bytes of the steps in a message */

/* -- parameters ---------------------------------------------------------------- */

static char *askparam (void *ud, const rb_Param *q, const char *wrong) {
  rb_Run *r = ud;
  char question[300];
  if (wrong != NULL) rb_show_note(r->vm->show, wrong);
  snprintf(question, sizeof question, "%s (%s%s%s):", q->name, q->typename,
           q->help != NULL ? ": " : "", q->help != NULL ? q->help : "");
  return rb_ask_line(r->vm->show, question, q->type == RB_SECRET);
}

/* [-0, +1]  the target's defaults for this runbook, or nil */
static void pushdefaults (rb_Run *r) {
  rb_target_part(r->vm->target, r->L, "defaults", rb_push_secret);
  if (!lua_istable(r->L, -1)) return;
  lua_getfield(r->L, -1, r->outline.name);
  lua_remove(r->L, -2);
}

/* parameters (a table at the top) of type `path` grant reading that file */
static void grant (rb_Run *r) {
  rb_VM *vm = r->vm;
  vm->granted = calloc((size_t)r->outline.nparams + 1, sizeof *vm->granted);
  for (int i = 0; vm->granted != NULL && i < r->outline.nparams; i++) {
    if (r->outline.params[i].type != RB_PATH) continue;
    if (lua_getfield(r->L, -1, r->outline.params[i].name) == LUA_TSTRING) {
      char *real = realpath(lua_tostring(r->L, -1), NULL);
      vm->granted[vm->ngranted++] = real != NULL ? real
                                    : strdup(lua_tostring(r->L, -1));
    }
    lua_pop(r->L, 1);
  }
}

int rb_given_params (rb_Run *r, rb_Problem *p) {
  pushdefaults(r);
  int defaults = lua_istable(r->L, -1) ? lua_gettop(r->L) : 0;
  rb_Ask ask = !r->o->json && rb_ask_terminal() ? askparam : NULL;
  if (rb_params_read(r->L, &r->outline, r->o->words, defaults, r->o->cases, ask, r,
                     rb_push_secret, p) != 0)
    return r->vm->interrupts == 0 ? p->exit
      : rb_problem(p, RB_INTERRUPTED, "interrupted", "interrupted; nothing was run");
  r->report.params = rb_tojson(r->L, -1);
  grant(r);
  rb_object_new(r);
  return 0;
}

/* several cases may have the same parameter: it is one word */
static int isagain (const rb_Run *r, int i) {
  for (int k = 0; k < i; k++)
    if (strcmp(r->outline.params[k].name, r->outline.params[i].name) == 0) return 1;
  return 0;
}

const char **rb_given_words (rb_Run *r) {
  const char **words = calloc((size_t)r->outline.nparams + 1, sizeof *words);
  int n = 0;
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->fields);
  int fields = lua_gettop(r->L);
  for (int i = 0; words != NULL && i < r->outline.nparams; i++) {
    const rb_Param *q = &r->outline.params[i];
    if (!isagain(r, i) && lua_getfield(r->L, fields, q->name) != LUA_TNIL) {
      const char *text = q->type == RB_SECRET ? rb_text(r->L, -1, NULL)
                         : luaL_tolstring(r->L, -1, NULL);
      if (asprintf((char **)&words[n], "%s=%s", q->name, text) >= 0) n++;
      else words[n] = NULL;
    }
    lua_settop(r->L, fields);
  }
  lua_settop(r->L, fields - 1);
  return words;
}

void rb_given_free (const char **words) {
  for (const char **w = words; w != NULL && *w != NULL; w++) {
    sodium_memzero((char *)*w, strlen(*w));
    free((char *)*w);
  }
  free(words);
}

/* -- steps, cases, answers ------------------------------------------------------ */

/* "1 look, 2 block (case isolate), ..." */
static void addsteps (const rb_Run *r, rb_Buffer *b) {
  for (int i = 0; i < r->outline.nsteps; i++) {
    const rb_Step *s = &r->outline.steps[i];
    if (b->n > MAXLISTED) {
      rb_buffer_printf(b, ", ... (runbook show %s lists them)", r->outline.name);
      return;
    }
    rb_buffer_printf(b, "%s%d %s", i > 0 ? ", " : "", i + 1, s->id);
    if (s->incase >= 0) rb_buffer_printf(b, " (case %s)", r->outline.cases[s->incase].id);
  }
}

static int nostep (const rb_Run *r, const char *given, rb_Problem *p) {
  const char *words[300];
  rb_Buffer b = {0};
  int n = 0;
  for (int i = 0; i < r->outline.nsteps && n < 299; i++)
    words[n++] = r->outline.steps[i].id;
  words[n] = NULL;
  const char *near = rb_nearest(given, words);
  if (near != NULL)
    return rb_problem(p, RB_USAGE, "usage", "no step '%s' (did you mean '%s'?)", given, near);
  addsteps(r, &b);
  rb_problem(p, RB_USAGE, "usage", "no step '%s' in %s; the steps are %s", given,
             r->outline.name, b.s != NULL ? b.s : "");
  rb_buffer_free(&b);
  return p->exit;
}

static int nocase (const rb_Run *r, const char *given, rb_Problem *p) {
  const char *words[300];
  int n;
  for (n = 0; n < r->outline.ncases && n < 299; n++) {
    words[n] = r->outline.cases[n].id;
    if (strcmp(words[n], given) == 0) return 0;
  }
  words[n] = NULL;
  char *all = rb_join(words);
  rb_problem(p, RB_USAGE, "usage", "no case '%s' in %s; there %s: %s", given,
             r->outline.name, n == 1 ? "is" : "are", all != NULL ? all : "none");
  free(all);
  return p->exit;
}

/* What selects nothing would end well without having done anything. */
static int checkselection (const rb_Run *r, rb_Problem *p) {
  const rb_RunOptions *o = r->o;
  rb_Buffer b = {0};
  if (o->only == NULL && o->from == NULL && o->to == NULL) return 0;
  for (int i = 0; i < r->outline.nsteps; i++)
    if (rb_step_eligible(r, i)) return 0;
  for (const char *const *c = o->cases; *c != NULL; c++) rb_buffer_printf(&b, "--case %s ", *c);
  if (o->only != NULL) rb_buffer_printf(&b, "--only %s ", o->only);
  if (o->from != NULL) rb_buffer_printf(&b, "--from %s ", o->from);
  if (o->to != NULL) rb_buffer_printf(&b, "--to %s ", o->to);
  rb_buffer_puts(&b, "leaves no step to run; the steps are ");
  addsteps(r, &b);
  rb_problem(p, RB_USAGE, "usage", "%s", b.s != NULL ? b.s : "no step is left to run");
  rb_buffer_free(&b);
  return p->exit;
}

int rb_given_ids (rb_Run *r, rb_Problem *p) {
  const rb_RunOptions *o = r->o;
  const char *const given[] = {o->only, o->from, o->to};
  for (int i = 0; i < 3; i++)
    if (given[i] != NULL && rb_step_index(r, given[i]) < 0) return nostep(r, given[i], p);
  for (const char *const *c = o->cases; *c != NULL; c++)
    if (nocase(r, *c, p) != 0) return p->exit;
  return checkselection(r, p);
}

/* the ids that the script may ask for: those of its steps, and what its text says of
** the form id = "x" */
typedef struct Ids {
  lua_State *L;
  int set;             /* where it stands: id -> true */
  int asks;            /* it calls run:ask or run:choose */
} Ids;

static void addid (const Ids *ids, const char *s, size_t n) {
  lua_pushlstring(ids->L, s, n);
  lua_pushboolean(ids->L, 1);
  lua_settable(ids->L, ids->set);
}

static void addids (void *ud, const char *path, const char *text, size_t n) {
  Ids *ids = ud;
  const char *end = text + n;
  (void)path;
  if (memmem(text, n, ":ask", 4) != NULL || memmem(text, n, ":choose", 7) != NULL)
    ids->asks = 1;
  for (const char *s = text; (s = memmem(s, (size_t)(end - s), "id", 2)) != NULL; ) {
    s += 2;
    s += strspn(s, " \t");
    if (*s != '=') continue;
    s += 1 + strspn(s + 1, " \t\n");
    if (*s == '"' || *s == '\'') addid(ids, s + 1, strcspn(s + 1, "\"'\n"));
  }
}

/* [-0, +1]  all of them, as a set */
static int pushids (rb_Run *r) {
  lua_newtable(r->L);
  Ids ids = {.L = r->L, .set = lua_gettop(r->L)};
  rb_state_files(r->L, addids, &ids);
  for (int i = 0; i < r->outline.nsteps; i++)
    addid(&ids, r->outline.steps[i].id, strlen(r->outline.steps[i].id));
  return ids.asks;
}

/* texts, numbers, yes and no; of a manual step also {done=, note=, evidence=} */
static int checkanswer (const char *id, json_t *value, rb_Problem *p) {
  json_t *note = json_object_get(value, "note");
  const char *key;
  json_t *each;
  int fine = json_is_string(value) || json_is_number(value) || json_is_boolean(value)
             || (json_is_boolean(json_object_get(value, "done"))
                 && (note == NULL || json_is_string(note)));
  json_object_foreach(value, key, each)
    fine = fine && (strcmp(key, "done") == 0 || strcmp(key, "note") == 0
                    || strcmp(key, "evidence") == 0);
  if (fine) return 0;
  return rb_problem(p, RB_USAGE, "usage", "--answers: %s: a text, a number, true or false is "
                    "expected, or of what a person does {\"done\": true, \"note\": \"...\", "
                    "\"evidence\": ...}", id);
}

/* An answer to what is never asked is a slip of the finger: at best it would be asked
** again, at worst on no terminal. What a script makes up while it runs is not known. */
static int checkanswers (rb_Run *r, rb_Problem *p) {
  const char *words[300], *id;
  json_t *value;
  int n = 0, asks = pushids(r), top = lua_gettop(r->L);
  for (lua_pushnil(r->L); lua_next(r->L, top) != 0; lua_pop(r->L, 1))
    if (n < 299) words[n++] = lua_tostring(r->L, -2);
  words[n] = NULL;
  json_object_foreach(r->answers, id, value) {
    int known = lua_getfield(r->L, top, id) != LUA_TNIL;
    lua_pop(r->L, 1);
    if (known && checkanswer(id, value, p) != 0) break;
    if (known) continue;
    const char *near = rb_nearest(id, words);
    if (near != NULL)
      rb_problem(p, RB_USAGE, "usage", "--answers: nothing asks '%s' (did you mean "
                 "'%s'?)", id, near);
    else if (!asks)
      rb_problem(p, RB_USAGE, "usage", "--answers: nothing in %s asks '%s'",
                 r->outline.name, id);
  }
  lua_settop(r->L, top - 1);
  return p->exit;
}

int rb_given_answers (rb_Run *r, rb_Problem *p) {
  json_error_t e;
  if (r->o->answers == NULL) return 0;
  r->answers = json_load_file(r->o->answers, JSON_REJECT_DUPLICATES, &e);
  if (json_is_object(r->answers)) return checkanswers(r, p);
  if (access(r->o->answers, R_OK) != 0)
    return rb_problem(p, RB_USAGE, "usage", "--answers: cannot read %s: %s",
                      r->o->answers, strerror(errno));
  if (r->answers != NULL || e.line < 1)
    return rb_problem(p, RB_USAGE, "usage", "--answers %s: a JSON object "
                      "{\"step-id\": \"answer\"} is expected", r->o->answers);
  return rb_problem(p, RB_USAGE, "usage", "--answers %s:%d: %s", r->o->answers, e.line,
                    e.text);
}

/* -- limits ---------------------------------------------------------------------------- */

/* [-1, +0]  {name = n} at the top */
static void lower (rb_Run *r) {
  if (lua_istable(r->L, -1)) {
    lua_pushnil(r->L);
    while (lua_next(r->L, -2) != 0) {
      rb_limits_lower(r->vm, lua_tostring(r->L, -2), lua_tointeger(r->L, -1));
      lua_pop(r->L, 1);
    }
  }
  lua_pop(r->L, 1);
}

static int badlimit (const char *name, const char *given, rb_Problem *p) {
  char *all = rb_join(rb_limitnames);
  const char *near = rb_nearest(name, rb_limitnames);
  if (near != NULL && strcmp(near, name) != 0)
    rb_problem(p, RB_USAGE, "usage", "--limit %s: there is no limit '%s' (did you mean '%s'?)",
               given, name, near);
  else
    rb_problem(p, RB_USAGE, "usage", "--limit takes NAME=NUMBER, not '%s'; the names are %s",
               given, all != NULL ? all : "pg_rows, redis_keys and others");
  free(all);
  return p->exit;
}

int rb_given_limits (rb_Run *r, rb_Problem *p) {
  for (int i = 0; rb_limitnames[i] != NULL; i++) {
    long long n = rb_target_limit(r->vm->target, rb_limitnames[i]);
    if (n >= 0) rb_limits_lower(r->vm, rb_limitnames[i], n);
  }
  if (r->outline.limitsref != RB_NOREF) {
    lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->outline.limitsref);
    lower(r);
  }
  for (const char *const *l = r->o->limits; *l != NULL; l++) {
    char name[64], *end;
    size_t n = strcspn(*l, "=");
    snprintf(name, sizeof name, "%.*s", (int)n, *l);
    long long value = (*l)[n] == '=' && (*l)[n + 1] != '\0' ? strtoll(*l + n + 1, &end, 10) : -1;
    if (value < 0 || *end != '\0' || rb_limits_lower(r->vm, name, value) < 0)
      return badlimit(name, *l, p);
  }
  return 0;
}
