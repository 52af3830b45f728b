/*
** rows.c - everything that scripts can call, row by row
*/

#include <stdio.h>
#include <string.h>

#include "vm/cli/rows.h"
#include "vm/run/run.h"
#include "vm/state.h"
#include "vm/vm.h"

/* `run` is no module, and is described as if it were one */
static const rb_Module runmodule = {
  .name = "run", .doc = "what a run is told, and how it waits and asks"
};

static void eachof (const rb_Module *m, const rb_Type *type, const rb_Reg *regs,
                    int method, rb_EachRow *each, void *ud) {
  const char *owner = type != NULL ? type->name : m->name;
  for (; regs != NULL && regs->name != NULL; regs++) {
    rb_Row row = {m, type, regs, method, ""};
    snprintf(row.name, sizeof row.name, "%s.%s", owner, regs->name);
    each(ud, &row);
  }
}

void rb_rows_each (const rb_Module *m, rb_EachRow *each, void *ud) {
  eachof(m, NULL, m->functions, 0, each, ud);
  eachof(m, NULL, m->methods, 1, each, ud);
  for (const rb_Type *t = m->types; t != NULL && t->name != NULL; t++)
    eachof(m, t, t->methods, 1, each, ud);
  for (const rb_Reg *const *list = rb_run_methods; m == &runmodule && *list != NULL; list++)
    eachof(m, NULL, *list, 1, each, ud);
}

const rb_Module *rb_rows_module (lua_State *L, int i) {
  if (i == 0) return &runmodule;
  return rb_module_name(i - 1) != NULL ? rb_module_load(L, rb_module_name(i - 1)) : NULL;
}

const rb_Module *rb_rows_find (lua_State *L, const char *name, size_t n) {
  const char *other;
  if (strlen(runmodule.name) == n && memcmp(name, runmodule.name, n) == 0) return &runmodule;
  for (int i = 0; (other = rb_module_name(i)) != NULL; i++)
    if (strlen(other) == n && memcmp(name, other, n) == 0) return rb_module_load(L, other);
  return NULL;
}

int rb_rows_isrun (const rb_Module *m) { return m == &runmodule; }

const char *rb_row_purpose (const rb_Row *row) {
  const char *s = strstr(row->reg->doc, " : ");
  return s != NULL ? s + 3 : row->reg->doc + strlen(row->reg->doc);
}

void rb_row_signature (const rb_Row *row, char *out, size_t size) {
  const char *end = strstr(row->reg->doc, " : ");
  const char *owner = row->type != NULL ? strchr(row->type->name, '.') + 1
                                        : row->module->name;
  snprintf(out, size, "%s%c%.*s", owner, row->method ? ':' : '.',
           (int)(end != NULL ? end - row->reg->doc : (long)strlen(row->reg->doc)),
           row->reg->doc);
}

void rb_sentence (const char *s, char *out, size_t size) {
  snprintf(out, size - 1, "%s", s);
  size_t n = strlen(out);
  if (*out >= 'a' && *out <= 'z') *out = (char)(*out - 'a' + 'A');
  if (n > 0 && strchr(".!?", out[n - 1]) == NULL) strcpy(out + n, ".");
}

static int protected (lua_State *L) {
  const rb_WithRows *with = lua_touserdata(L, 1);
  with->fn(L, with->ud);
  return 0;
}

int rb_rows_with (rb_WithRows with, rb_Problem *p) {
  lua_State *L = rb_state_new();
  if (L == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  lua_pushcfunction(L, protected);
  lua_pushlightuserdata(L, &with);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    rb_problem(p, RB_USAGE, "usage", "%s", lua_tostring(L, -1));
  rb_state_free(L);
  return p->exit;
}
