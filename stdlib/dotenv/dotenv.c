/*
** dotenv.c - the settings of an application, one name at a time
**
** All that is not asked about stays as it is: comments, order, quotes, line
** ends. A change is computed as text, shown as a diff, and swapped in if the
** file is still the one that the diff was made for.
*/

#include "stdlib/dotenv/dotenv.h"

/* -- probes ------------------------------------------------------------------------------ */

typedef int (*Answer) (lua_State *L, const char *s, size_t n);

static int get (lua_State *L, const char *s, size_t n) {
  Entry e;
  if (rb_env_find(s, n, rb_env_checkname(L, 2), &e) > 0) rb_env_pushvalue(L, s, &e, NULL);
  else lua_pushnil(L);
  return 1;
}

static int all (lua_State *L, const char *s, size_t n) {
  Entry e;
  size_t at = 0;
  int line = 1;
  lua_newtable(L);
  while (rb_env_next(s, n, &at, &line, &e)) {
    lua_pushlstring(L, s + e.name, e.namelen);
    rb_env_pushvalue(L, s, &e, NULL);
    lua_settable(L, -3);
  }
  return 1;
}

static int has (lua_State *L, const char *s, size_t n) {
  Entry e;
  size_t len, itemlen;
  int there = rb_env_find(s, n, rb_env_checkname(L, 2), &e) > 0;
  if (there && !lua_isnoneornil(L, 3)) {
    const char *item = rb_env_checkitem(L, 3, &itemlen);
    const char *value = rb_env_pushvalue(L, s, &e, &len);
    there = rb_env_listed(value, len, item, itemlen);
  }
  lua_pushboolean(L, there);
  return 1;
}

static int look (lua_State *L, Answer answer) {
  size_t n;
  lua_settop(L, 3);
  const char *s = rb_env_pushfile(L, rb_env_pushplace(L, 1), &n);
  rb_env_keepsecrets(L, s, n);
  return answer(L, s, n);
}

static int predict (lua_State *L, Answer answer) {
  size_t n;
  lua_settop(L, 3);
  const char *s = rb_env_pushplanned(L, rb_env_pushplace(L, 0), &n);
  if (s == NULL) return 0;
  rb_env_keepsecrets(L, s, n);
  return answer(L, s, n);
}

static int env_get (lua_State *L) {
  rb_describe(L, "get %s", rb_env_checkname(L, 2));
  return look(L, get);
}
static int env_all (lua_State *L) { return look(L, all); }
static int env_has (lua_State *L) { return look(L, has); }
static int plan_get (lua_State *L) { return predict(L, get); }
static int plan_all (lua_State *L) { return predict(L, all); }
static int plan_has (lua_State *L) { return predict(L, has); }

/* -- rows -------------------------------------------------------------------------- */

static const rb_Reg methods[] = {
  {"get", RB_PROBE, env_get, NULL,
   "get(name) -> string | nil : the value of a setting as a shell would read it, without "
   "its quotes; nil where it is not set. Names that sound secret (PASSWORD, TOKEN, KEY, "
   "...) are redacted wherever they are shown. Fails with \"missing\" where the file is "
   "not there", plan_get, NULL},
  {"all", RB_PROBE, env_all, NULL,
   "all() -> {name = value, ...} : every setting, as dotenv:get reads it", plan_all, NULL},
  {"has", RB_PROBE, env_has, NULL,
   "has(name [, item]) -> boolean : is it set (and is the item in its "
   "comma-separated value)?", plan_has, NULL},
  {"set", RB_REMEDY, rb_env_set, rb_env_preset,
   "set(name, value [, {text=, line=}]) -> true : changes the setting where it "
   "stands, or adds it at the end; `text` is the whole line as it shall be, `line` "
   "the place of a new one (an undo gives both)", NULL, NULL},
  {"unset", RB_REMEDY, rb_env_unset, rb_env_preunset,
   "unset(name) -> true : takes its line away; nothing to do where it is not set", NULL, NULL},
  {"add", RB_REMEDY, rb_env_add, rb_env_preadd,
   "add(name, item) -> true : adds an item to the end of a comma-separated value; nothing "
   "to do where it is there already. The setting is made where it is not there",
   NULL, NULL},
  {"remove", RB_REMEDY, rb_env_remove, rb_env_preremove,
   "remove(name, item) -> true : takes an item out of a comma-separated value; nothing to "
   "do where it is not there. Comments, order and quotes of the rest stay",
   NULL, NULL},
  RB_END
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "dotenv",
  .doc = "a file of NAME=value lines; what a service reads when it starts",
  .methods = methods,
  .doctor = rb_env_doctor, .identity = rb_env_identity
};
