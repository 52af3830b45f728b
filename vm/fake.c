/*
** fake.c - the modules of a test's world, each of whose functions asks it
*/

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vm/clock.h"
#include "vm/fake.h"
#include "vm/tape/value.h"
#include "vm/vm.h"

#define MODULES 48

struct rb_World {
  lua_State *W;
  rb_Module modules[MODULES]; int n;
  rb_Buffer in, out;           /* what is asked, and the answer, as bytes */
  lua_State *L;                /* who asks */
  rb_Buffer surprise;
};

static rb_World *worldof (lua_State *L) { return rb_vm(L)->world; }

/* -- asking: values go over as bytes, so that no state raises in the other  */

/* [-0, +1, m]  a copy without what cannot go over: secrets are their text */
static void pushplain (lua_State *L, int idx, int depth) {
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 6, "too deep");
  if (luaL_testudata(L, idx, RB_SECRETTYPE) != NULL) {
    rb_text(L, idx, NULL);
    return;
  }
  if (lua_isfunction(L, idx)) lua_pushliteral(L, "a function");
  else if (!lua_istable(L, idx) || depth > 50) lua_pushvalue(L, idx);
  else {
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
      pushplain(L, -1, depth + 1);
      lua_remove(L, -2);
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
  }
}

static void setstring (lua_State *L, const char *key, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, key);
}

/* [-0, +0, v]  into the table at the top: the field of `run` (at idx) of that name */
static void addnamed (lua_State *L, int idx, const char *name, size_t n) {
  lua_pushlstring(L, name, n);
  if (luaL_getmetafield(L, idx, "__has") != LUA_TNIL) {
    lua_pushvalue(L, idx);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 1);
    if (lua_toboolean(L, -1)) {
      lua_pushvalue(L, -2);
      lua_gettable(L, idx);
      pushplain(L, -1, 0);
      lua_pushlstring(L, name, n);
      lua_insert(L, -2);
      lua_rawset(L, -6);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* [-0, +1, v]  of `run` (at idx) what a text asks for: ":name", "{name}" */
static void pushnamed (lua_State *L, int idx, const char *text) {
  lua_newtable(L);
  for (const char *s = text; s != NULL && (s = strpbrk(s, ":{")) != NULL; ) {
    s++;
    s += *s == '"' || *s == '\'';
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
    if (n > 0 && n < 64) addnamed(L, idx, s, n);
    s += n;
  }
}

/* [-0, +1, v]  an argument, or a part of one, of which 'text' is the call's own */
static void pushargument (lua_State *L, int idx, const char *text) {
  idx = lua_absindex(L, idx);
  if (lua_isuserdata(L, idx) && luaL_getmetafield(L, idx, "__has") != LUA_TNIL) {
    lua_pop(L, 1);
    pushnamed(L, idx, text);
    return;
  }
  pushplain(L, idx, 0);
  if (!lua_istable(L, idx) || lua_getfield(L, idx, "path") != LUA_TUSERDATA) {
    if (lua_istable(L, idx)) lua_pop(L, 1);
    return;
  }
  pushargument(L, -1, text);
  lua_setfield(L, -3, "path");
  lua_pop(L, 1);
}

/* [-0, +1, m]  what is asked: the call, and its arguments from 'first' to 'n' */
static void pushrequest (lua_State *L, const char *phase, const char *verb, int first, int n) {
  const rb_Call *c = &rb_taskof(L)->call;
  const char *text = n >= first && lua_type(L, first) == LUA_TSTRING ? lua_tostring(L, first)
                                                                     : NULL;
  const rb_Resource *r = &c->box->r;
  lua_createtable(L, 0, 10);
  setstring(L, "phase", phase);
  setstring(L, "resource", r->name);
  setstring(L, "system", r->system);
  setstring(L, "module", c->module->name);
  setstring(L, "verb", verb);
  lua_pushboolean(L, rb_vm(L)->dryrun);
  lua_setfield(L, -2, "dryrun");
  lua_pushnumber(L, (lua_Number)rb_clock_wall() / 1000);
  lua_setfield(L, -2, "now");
  lua_pushnumber(L, rb_waited(L));
  lua_setfield(L, -2, "waited");
  lua_pushinteger(L, n - first + 1);
  lua_setfield(L, -2, "n");
  lua_createtable(L, n, 0);
  for (int i = first; i <= n; i++) {
    pushargument(L, i, text);
    lua_rawseti(L, -2, i - first + 1);
  }
  lua_setfield(L, -2, "args");
  if (strcmp(c->module->name, "pg") != 0) return;
  rb_push_schema(L, r->system);
  lua_setfield(L, -2, "schema");
}

/* in the world's state: (world) */
static int answer (lua_State *W) {
  rb_World *w = lua_touserdata(W, 1);
  lua_getfield(W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_getfield(W, -1, "ask");
  if (!rb_value_decode(W, w->in.s, w->in.n, NULL)) return luaL_error(W, "a damaged request");
  lua_call(W, 1, 1);
  const char *bad = rb_value_encode(W, -1, &w->out);
  return bad != NULL ? luaL_error(W, "the world's answer holds %s", bad) : 0;
}

/* -- planned values, for the world's previews ---------------------------- */

static int askplanned (lua_State *L) {
  lua_pushboolean(L, rb_planned(L, lua_tostring(L, 1)));
  lua_insert(L, -2);
  return 2;
}

/* planned(key) -> known, value: what the dry run that asks has planned for it */
static int planned (lua_State *W) {
  rb_Buffer *b;
  rb_World *w = lua_touserdata(W, lua_upvalueindex(1));
  const char *key = luaL_checkstring(W, 1);
  lua_State *L = w->L;
  if (L == NULL || !rb_vm(L)->dryrun) return 0;
  b = &rb_vm(L)->text;
  rb_buffer_clear(b);
  lua_pushcfunction(L, askplanned);
  lua_pushstring(L, key);
  int ok = lua_pcall(L, 1, 2, 0) == LUA_OK;
  int known = ok && lua_toboolean(L, -2);
  if (known && rb_value_encode(L, -1, b) != NULL) known = 0;
  lua_pop(L, ok ? 2 : 1);
  if (!known) return 0;
  lua_pushboolean(W, 1);
  if (!rb_value_decode(W, b->s, b->n, NULL)) lua_pushnil(W);
  return 2;
}

void rb_fake_ask (lua_State *L, const char *phase, const char *verb, int first, int n) {
  rb_World *w = worldof(L);
  lua_State *W = w->W;
  pushrequest(L, phase, verb, first, n);
  rb_buffer_clear(&w->in);
  rb_buffer_clear(&w->out);
  const char *bad = rb_value_encode(L, -1, &w->in);
  lua_pop(L, 1);
  if (bad != NULL) luaL_error(L, "a test's world takes no %s", bad);
  w->L = L;
  lua_pushcfunction(W, answer);
  lua_pushlightuserdata(W, w);
  int status = lua_pcall(W, 1, 0, 0);
  w->L = NULL;
  if (status == LUA_OK && rb_value_decode(L, w->out.s, w->out.n, NULL)) return;
  const char *why = status != LUA_OK ? lua_tostring(W, -1) : NULL;
  lua_newtable(L);
  setstring(L, "surprise", why != NULL ? why : "the world of the test has no answer");
  if (status != LUA_OK) lua_pop(W, 1);
}

/* [-0, +1, v]  the answer to the running call */
static void ask (lua_State *L, const char *phase, int n) {
  const rb_Call *c = &rb_taskof(L)->call;
  rb_fake_ask(L, phase, c->reg->name, c->box->r.system != NULL ? 2 : 1, n);
}

/* -- what an answer says ------------------------------------------------- */

static const char *textof (lua_State *L, const char *key) {
  lua_getfield(L, -1, key);
  const char *s = lua_tostring(L, -1);  /* the answer keeps it alive */
  lua_pop(L, 1);
  return s;
}

static double numberof (lua_State *L, const char *key) {
  lua_getfield(L, -1, key);
  double d = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return d;
}

int rb_fake_check (lua_State *L) {
  rb_World *w = worldof(L);
  const char *what = textof(L, "summary"), *surprise = textof(L, "surprise");
  if (what != NULL) rb_describe(L, "%s", what);
  if (surprise != NULL) {
    if (w->surprise.n == 0) rb_buffer_puts(&w->surprise, surprise);
    return rb_stop(L, RB_UNEXPECTED, "%s", surprise);
  }
  if (lua_getfield(L, -1, "error") == LUA_TTABLE) {
    const char *kind = textof(L, "kind"), *message = textof(L, "message"),
               *sure = textof(L, "certainty");
    if (kind != NULL && strcmp(kind, "misuse") == 0) return luaL_error(L, "%s", message);
    return rb_fail(L, kind != NULL ? kind : "io", sure != NULL && strcmp(sure, "unknown") == 0
                   ? RB_UNKNOWN : RB_NOTDONE, "%s", message != NULL ? message : "failed");
  }
  lua_pop(L, 1);
  return 0;
}

static int finish (lua_State *L) {
  int stop = rb_fake_check(L);
  if (stop != 0) return stop;
  const char *type = textof(L, "type");
  lua_getfield(L, -1, "value");
  if (type != NULL && lua_istable(L, -1)) rb_settype_named(L, type);
  return 1;
}

static int awake (lua_State *L, int status, lua_KContext ctx) {
  (void)status; (void)ctx;
  if (rb_timeleft(L) <= 0)
    return rb_fail(L, "timeout", rb_maychange(L) ? RB_UNKNOWN : RB_NOTDONE,
                   "%s: no answer in time", rb_resource(L)->name);
  return finish(L);
}

int rb_fake_answered (lua_State *L) {  /* it may take its time */
  double takes = numberof(L, "takes"), within = numberof(L, "within");
  if (takes <= 0) return finish(L);
  if (within > 0) rb_timeout(L, within);
  return rb_sleep(L, takes, 0, awake);
}

/* -- the functions of all rows ------------------------------------------- */

static int fakeprobe (lua_State *L) {
  ask(L, "probe", lua_gettop(L));
  return rb_fake_answered(L);
}

static int fakepreview (lua_State *L) {
  ask(L, "preview", lua_gettop(L));
  int stop = rb_fake_check(L);
  if (stop != 0) return stop;
  lua_getfield(L, -1, "plan");
  return 1;
}

static int fakepredict (lua_State *L) {
  ask(L, "predict", lua_gettop(L));
  if (lua_getfield(L, -1, "predicted") != LUA_TBOOLEAN) return 0;
  lua_pop(L, 1);
  return finish(L);
}

static int pledged (lua_State *L, int status, lua_KContext n) {
  (void)status;
  lua_settop(L, (int)n);
  ask(L, "deed", (int)n);
  return rb_fake_answered(L);
}

static int fakedeed (lua_State *L) {
  int n = lua_gettop(L);
  lua_newtable(L);
  return rb_pledge(L, n, pledged);
}

static rb_Effect fakeclassify (lua_State *L) {
  ask(L, "classify", lua_gettop(L));
  const char *effect = textof(L, "value");
  if (textof(L, "surprise") != NULL) luaL_error(L, "%s", textof(L, "surprise"));
  return effect != NULL && strcmp(effect, "probe") == 0 ? RB_PROBE : RB_REMEDY;
}

static rb_Reg fakerow (const char *name, rb_Effect effect) {
  rb_Reg r = {.name = name, .effect = effect, .doc = "a test's"};
  if (effect == RB_PROBE || effect == RB_WITHIN) r.fn = fakeprobe;
  else r.fn = effect == RB_CLASSIFY ? NULL : fakedeed;
  if (effect == RB_PROBE) r.predict = fakepredict;
  if (effect == RB_REMEDY || effect == RB_NOTICE || effect == RB_CLASSIFY)
    r.preview = fakepreview;
  return r;
}

/* the arguments decide: so it is either */
static int fakeeither (lua_State *L) {
  return rb_taskof(L)->call.effect == RB_PROBE ? fakeprobe(L) : fakedeed(L);
}

static rb_Reg madefake (const char *name, rb_Effect effect,
                        rb_Effect (*classify) (lua_State *L)) {
  rb_Reg r = fakerow(name, effect);
  if (strcmp(name, "transaction") == 0) {
    r.fn = rb_faketx_deed;
    r.preview = rb_faketx_preview;
  }
  if (effect != RB_CLASSIFY) return r;
  r.fn = fakeeither;
  r.predict = fakepredict;
  r.classify = classify != NULL ? classify : fakeclassify;
  return r;
}

/* -- http's answers ------------------------------------------------------ */

static int response_json (lua_State *L) {
  lua_getglobal(L, "json");
  lua_getfield(L, -1, "decode");
  lua_getfield(L, 1, "body");
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return 1;
  lua_getfield(L, 1, "request");
  const char *request = lua_tostring(L, -1);
  return rb_fail(L, "data", RB_NOTDONE, "%s answered with a body that is not JSON",
                 request != NULL ? request : "the server");
}

static int response_ok (lua_State *L) {
  lua_getfield(L, 1, "status");
  lua_Integer status = lua_tointeger(L, -1);
  lua_pushboolean(L, status >= 200 && status < 300);
  return 1;
}

static const rb_Reg responserows[] = {
  {"json", RB_PURE, response_json, NULL, "json() -> value", NULL, NULL},
  {"ok", RB_PURE, response_ok, NULL, "ok() -> boolean", NULL, NULL},
  RB_END
};

static const rb_Type httptypes[] = {{"http.response", responserows}, {NULL, NULL}};

/* -- modules ------------------------------------------------------------- */

static rb_Effect effectnamed (const char *s) {
  static const char *const names[] = {"probe", "remedy", "notice", "classify"};
  static const rb_Effect effects[] = {RB_PROBE, RB_REMEDY, RB_NOTICE, RB_CLASSIFY};
  for (size_t i = 0; s != NULL && i < sizeof effects / sizeof *effects; i++)
    if (strcmp(s, names[i]) == 0) return effects[i];
  return RB_REMEDY;
}

/* [-1, +0]  the list {name, effect, ...} at the top as rows; NULL: it is none */
static const rb_Reg *readrows (lua_State *W) {
  size_t n = lua_istable(W, -1) ? lua_rawlen(W, -1) / 2 : 0;
  rb_Reg *rows = n > 0 ? calloc(n + 1, sizeof *rows) : NULL;
  for (size_t i = 0; rows != NULL && i < n; i++) {
    lua_rawgeti(W, -1, (lua_Integer)(2 * i + 1));
    lua_rawgeti(W, -2, (lua_Integer)(2 * i + 2));
    char *name = strdup(lua_tostring(W, -2));
    rows[i] = madefake(name, effectnamed(lua_tostring(W, -1)), NULL);
    lua_pop(W, 2);
  }
  lua_pop(W, 1);
  return rows;
}

/* [-0, +0]  the fakes' own module of that name; 0: they have none */
static int readmodule (lua_State *W, const char *name, rb_Module *m) {
  lua_getfield(W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_getfield(W, -1, "rows");
  int is = lua_getfield(W, -1, name) == LUA_TTABLE;
  if (is) {
    *m = (rb_Module){.interface = RB_INTERFACE, .name = strdup(name), .doc = "a test's"};
    lua_getfield(W, -1, "functions");
    m->functions = readrows(W);
    lua_getfield(W, -1, "methods");
    m->methods = readrows(W);
    if (strcmp(name, "http") == 0) m->types = httptypes;
    if (strcmp(name, "pg") == 0) m->types = rb_faketx_types;
  }
  lua_pop(W, 3);
  return is;
}

static int touches (const rb_Reg *rows) {
  for (; rows != NULL && rows->name != NULL; rows++)
    if (rows->effect != RB_PURE) return 1;
  return 0;
}

/* the same rows, with our functions; NULL: there are none */
static const rb_Reg *shadow (const rb_Reg *rows) {
  size_t n = 0;
  while (rows != NULL && rows[n].name != NULL) n++;
  rb_Reg *copy = n > 0 ? calloc(n + 1, sizeof *copy) : NULL;
  for (size_t i = 0; copy != NULL && i < n; i++)
    copy[i] = rows[i].effect == RB_PURE ? rows[i]
              : madefake(strdup(rows[i].name), rows[i].effect, rows[i].classify);
  return copy;
}

const rb_Module *rb_world_module (lua_State *L, const char *name,
                                  const rb_Module *(*load) (lua_State *L, const char *name)) {
  rb_World *w = worldof(L);
  for (int i = 0; i < w->n; i++)
    if (strcmp(w->modules[i].name, name) == 0) return &w->modules[i];
  if (w->n == MODULES) luaL_error(L, "a test's world has too many modules");
  rb_Module *m = &w->modules[w->n];
  if (!readmodule(w->W, name, m)) {
    const rb_Module *real = load(L, name);
    if (!touches(real->functions) && !touches(real->methods)) return real;
    *m = (rb_Module){.interface = RB_INTERFACE, .name = strdup(name), .doc = real->doc,
                     .functions = shadow(real->functions), .methods = shadow(real->methods),
                     .constants = real->constants};
  }
  w->n++;
  return m;
}

/* -- the world ----------------------------------------------------------- */

rb_World *rb_world_open (lua_State *W) {
  rb_World *w = calloc(1, sizeof *w);
  if (w == NULL) return NULL;
  w->W = W;
  lua_getfield(W, LUA_REGISTRYINDEX, RB_WORLD);
  lua_pushlightuserdata(W, w);
  lua_pushcclosure(W, planned, 1);
  lua_setfield(W, -2, "planned");
  lua_pop(W, 1);
  return w;
}

static void freerows (const rb_Reg *rows) {
  for (const rb_Reg *r = rows; r != NULL && r->name != NULL; r++)
    if (r->effect != RB_PURE) free((char *)r->name);
  free((void *)rows);
}

void rb_world_free (rb_World *w) {
  if (w == NULL) return;
  for (int i = 0; i < w->n; i++) {
    freerows(w->modules[i].functions);
    freerows(w->modules[i].methods);
    free((char *)w->modules[i].name);
  }
  rb_buffer_free(&w->in);
  rb_buffer_free(&w->out);
  rb_buffer_free(&w->surprise);
  free(w);
}

const char *rb_world_surprise (const rb_World *w) {
  return w->surprise.n > 0 ? w->surprise.s : "";
}
