/*
** target.c - one target: its environment resolved, its secrets known
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/config/private.h"
#include "vm/redact.h"

#define IMPLICIT "local"  /* the target of a machine without a configuration */

/* -- opening ----------------------------------------------------------------- */

typedef struct Walk {
  rb_Target *t;
  rb_Problem *p;
  char place[300];
} Walk;

static int missing (Walk *w, const char *why) {
  rb_problem(w->p, RB_USAGE, "config", "%s; targets.%s.%s needs it", why, w->t->name,
             w->place);
  snprintf(w->p->file, sizeof w->p->file, "%s", w->t->c->file);
  return 0;
}

static int hexdigit (int c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* the password of a URL, as written and decoded, is a secret undeclared */
static void hidepassword (const char *place, const char *url) {
  const char *user = strstr(url, "://");
  char name[330], text[512];
  size_t n = 0;
  if (user == NULL) return;
  user += 3;
  size_t authority = strcspn(user, "/?#");
  const char *at = memrchr(user, '@', authority);
  const char *colon = at != NULL ? memchr(user, ':', (size_t)(at - user)) : NULL;
  if (colon == NULL) return;
  snprintf(name, sizeof name, "%s password", place);
  rb_redact_add(name, colon + 1, (size_t)(at - colon - 1));
  for (const char *s = colon + 1; s < at && n + 1 < sizeof text; s++) {
    int high = *s == '%' && at - s > 2 ? hexdigit(s[1]) : -1;
    int low = high >= 0 ? hexdigit(s[2]) : -1;
    text[n++] = low >= 0 ? (char)(high << 4 | low) : *s;
    if (low >= 0) s += 2;
  }
  rb_redact_add(name, text, n);
}

/* "systems.school_erp.pg.url" is called "school_erp.pg" */
static const char *shortplace (const Walk *w, char *out, size_t size) {
  const char *s = strncmp(w->place, "systems.", 8) == 0 ? w->place + 8 : w->place;
  size_t n = strlen(s);
  if (n > 4 && strcmp(s + n - 4, ".url") == 0) n -= 4;
  snprintf(out, size, "%.*s", (int)n, s);
  return out;
}

static int resolve (Walk *w);

/* a text, env or secret at the top: is it to be had, and is it a URL? */
static int resolvetext (Walk *w, const rb_Later *l, const char *text) {
  char why[300], place[300], system[64], kind[32];
  char *value = l != NULL ? rb_later_text(l, why, sizeof why) : strdup(text);
  if (value == NULL) return missing(w, l != NULL ? why : "not enough memory");
  if (l != NULL && l->secret) rb_redact_add(l->name, value, strlen(value));
  hidepassword(shortplace(w, place, sizeof place), value);
  int good = 1, probe = 0;
  if (l != NULL && sscanf(w->place, "systems.%63[^.].%31[a-z]", system, kind) == 2) {
    const char *dot = strrchr(w->place, '.');
    probe = strcmp(dot, ".url") != 0 && strcmp(dot, ".probe") != 0
            && strcmp(dot + 1, kind) != 0;
    if (!probe && !rb_config_url(kind, value, why, sizeof why)) good = missing(w, why);
  }
  free(value);
  return good;
}

static int resolvetable (Walk *w) {
  lua_State *L = w->t->c->L;
  luaL_checkstack(L, 8, "configuration nested too deeply");
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    size_t n = strlen(w->place);
    lua_pushvalue(L, -2);
    snprintf(w->place + n, sizeof w->place - n, "%s%s", n > 0 ? "." : "",
             lua_tostring(L, -1));
    lua_pop(L, 1);
    if (!resolve(w)) return 0;
    w->place[n] = '\0';
    lua_pop(L, 1);
  }
  return 1;
}

static int resolve (Walk *w) {
  lua_State *L = w->t->c->L;
  const rb_Later *l = luaL_testudata(L, -1, RB_LATER);
  if (l != NULL || lua_type(L, -1) == LUA_TSTRING)
    return resolvetext(w, l, lua_tostring(L, -1));
  return !lua_istable(L, -1) || resolvetable(w);
}

/* which name: given, the configuration's, or the only one there is */
static const char *chosen (rb_Config *c, const char *name, rb_Problem *p) {
  if (name == NULL && lua_getfield(c->L, 1, "target") == LUA_TSTRING)
    name = lua_tostring(c->L, -1);
  if (name == NULL && c->targets[0] == NULL) return IMPLICIT;
  if (name == NULL && c->targets[1] == NULL) name = c->targets[0];
  if (name != NULL) return name;
  rb_problem(p, RB_USAGE, "usage", "which target? choose with --target: %s, %s%s",
             c->targets[0], c->targets[1], c->targets[2] != NULL ? ", ..." : "");
  return NULL;
}

static int unknown (rb_Config *c, const char *name, rb_Problem *p) {
  const char *near = rb_nearest(name, c->targets);
  if (c->targets[0] == NULL)
    return rb_problem(p, RB_USAGE, "usage", "no target '%s': %s", name, c->file != NULL ?
                      "the configuration has none" : "there is no configuration");
  return rb_problem(p, RB_USAGE, "usage", near != NULL ? "no target '%s' (did you mean "
                    "'%s'?)" : "no target '%s' (there is %s)", name,
                    near != NULL ? near : c->targets[0]);
}

static const char *kindof (lua_State *L) {
  static const char *const kinds[] = {"sandbox", "staging", "production"};
  const char *kind = kinds[2];
  if (lua_istable(L, -1) && lua_getfield(L, -1, "kind") == LUA_TSTRING)
    for (int i = 0; i < 3; i++)
      if (strcmp(lua_tostring(L, -1), kinds[i]) == 0) kind = kinds[i];
  return kind;
}

rb_Target *rb_config_open (rb_Config *c, const char *name, rb_Problem *p) {
  lua_State *L = c->L;
  lua_settop(L, 1);
  name = chosen(c, name, p);
  if (name == NULL) return NULL;
  int none = c->targets[0] == NULL && strcmp(name, IMPLICIT) == 0;
  if (none) lua_newtable(L);
  else if (lua_getfield(L, 1, "targets") != LUA_TTABLE
           || lua_getfield(L, -1, name) != LUA_TTABLE) {
    unknown(c, name, p);
    return NULL;
  }
  rb_Target *t = calloc(1, sizeof *t);
  if (t == NULL) { rb_problem(p, RB_USAGE, "memory", "not enough memory"); return NULL; }
  *t = (rb_Target){.c = c, .name = strdup(name), .next = c->open};
  c->open = t;
  lua_pushvalue(L, -1);
  t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  Walk w = {.t = t, .p = p};
  if (!resolve(&w)) { lua_settop(L, 1); return NULL; }
  lua_getfield(L, -1, "systems");
  t->systems = rb_config_names(c, 0);
  t->kind = kindof(L);
  lua_settop(L, 1);
  return t;
}

const char *rb_target_name (const rb_Target *t) { return t->name; }
const char *rb_target_kind (const rb_Target *t) { return t->kind; }
const char *const *rb_target_systems (const rb_Target *t) { return t->systems; }

/* [-0, +1]  the table of a system, or nil, in the configuration's state */
static int getsystem (const rb_Target *t, const char *system) {
  lua_State *L = t->c->L;
  lua_settop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->ref);
  if (lua_getfield(L, -1, "systems") != LUA_TTABLE) return LUA_TNIL;
  return lua_getfield(L, -1, system);
}

const char *const *rb_target_resources (const rb_Target *t, const char *system) {
  static const char *const parts[] = {"settings", "schema", NULL};
  const char **names = NULL;
  if (getsystem(t, system) == LUA_TTABLE) names = rb_config_names(t->c, 0);
  lua_settop(t->c->L, 1);
  if (names == NULL) return NULL;
  size_t n = 0;
  for (size_t i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], parts[0]) != 0 && strcmp(names[i], parts[1]) != 0)
      names[n++] = names[i];
  names[n] = NULL;
  return names;
}

/* -- copies for scripts and modules -------------------------------------------------- */

static void copysecret (lua_State *to, const rb_Later *l, rb_PushSecret push) {
  char why[300];
  char *text = rb_later_text(l, why, sizeof why);
  if (text == NULL) lua_pushnil(to);
  else if (l->secret && push != NULL) push(to, l->name, text, strlen(text));
  else lua_pushstring(to, text);
  free(text);
}

/* the value at the top of 'from' is pushed onto 'to' */
static void copy (lua_State *from, lua_State *to, rb_PushSecret push) {
  const rb_Later *l = luaL_testudata(from, -1, RB_LATER);
  luaL_checkstack(from, 8, NULL);
  luaL_checkstack(to, 8, NULL);
  size_t n;
  const char *s;
  switch (l != NULL ? LUA_TUSERDATA : lua_type(from, -1)) {
    case LUA_TUSERDATA: copysecret(to, l, push); break;
    case LUA_TSTRING:
      s = lua_tolstring(from, -1, &n);
      lua_pushlstring(to, s, n);
      break;
    case LUA_TNUMBER:
      if (lua_isinteger(from, -1)) lua_pushinteger(to, lua_tointeger(from, -1));
      else lua_pushnumber(to, lua_tonumber(from, -1));
      break;
    case LUA_TBOOLEAN: lua_pushboolean(to, lua_toboolean(from, -1)); break;
    case LUA_TTABLE:
      lua_newtable(to);
      lua_pushnil(from);
      while (lua_next(from, -2) != 0) {
        lua_pushvalue(from, -2);
        copy(from, to, push);
        lua_pop(from, 1);
        copy(from, to, push);
        lua_settable(to, -3);
        lua_pop(from, 1);
      }
      break;
    default: lua_pushnil(to); break;
  }
}

/* settings that are paths: as seen from the configuration's folder */
static int ispath (const char *kind, const char *key) {
  static const char *const keys[] = {"path", "pidfile", "cwd", "home", "ca", "log", NULL};
  (void)kind;
  for (const char *const *k = keys; *k != NULL; k++)
    if (strcmp(*k, key) == 0) return 1;
  return 0;
}

void rb_target_resource (const rb_Target *t, lua_State *L, const char *system,
                         const char *kind, const char *key, rb_PushSecret push) {
  lua_State *from = t->c->L;
  int first = strcmp(key, "url") == 0 || strcmp(key, "path") == 0;
  if (getsystem(t, system) != LUA_TTABLE) lua_pushnil(from);
  else lua_getfield(from, -1, kind);
  if (lua_istable(from, -1)) lua_getfield(from, -1, key);
  else if (!first) lua_pushnil(from);
  copy(from, L, push);
  lua_settop(from, 1);
  if (ispath(kind, key) && lua_type(L, -1) == LUA_TSTRING) {
    char *path = rb_config_path(t->c, lua_tostring(L, -1));
    lua_pop(L, 1);
    lua_pushstring(L, path);
    free(path);
  }
}

void rb_target_system (const rb_Target *t, lua_State *L, const char *system,
                       const char *part, rb_PushSecret push) {
  if (getsystem(t, system) != LUA_TTABLE) lua_pushnil(t->c->L);
  else lua_getfield(t->c->L, -1, part);
  copy(t->c->L, L, push);
  lua_settop(t->c->L, 1);
}

void rb_target_part (const rb_Target *t, lua_State *L, const char *part,
                     rb_PushSecret push) {
  lua_settop(t->c->L, 1);
  lua_rawgeti(t->c->L, LUA_REGISTRYINDEX, t->ref);
  lua_getfield(t->c->L, -1, part);
  copy(t->c->L, L, push);
  lua_settop(t->c->L, 1);
}

/* -- what is allowed --------------------------------------------------------------------- */

static int below (const char *root, const char *path) {
  size_t n = strlen(root);
  while (n > 1 && root[n - 1] == '/') n--;
  return strncmp(root, path, n) == 0
         && (path[n] == '\0' || path[n] == '/' || n == 1);
}

static int matches (const rb_Target *t, const char *list, const char *item,
                    const char *value) {
  char real[PATH_MAX];
  if (strcmp(list, "files") == 0) {
    char *root = rb_config_path(t->c, item);
    int in = root != NULL && (below(root, value)
             || (realpath(root, real) != NULL && below(real, value)));
    free(root);
    return in;
  }
  if (strcmp(item, value) == 0) return 1;
  const char *slash = strrchr(value, '/');
  return strcmp(list, "programs") == 0 && strchr(item, '/') == NULL && slash != NULL
         && strcmp(item, slash + 1) == 0;
}

int rb_target_allows (const rb_Target *t, const char *list, const char *value) {
  lua_State *L = t->c->L;
  int found = 0;
  lua_settop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->ref);
  if (lua_getfield(L, -1, "allow") == LUA_TTABLE
      && lua_getfield(L, -1, list) == LUA_TTABLE)
    for (lua_Integer i = 1; !found && lua_geti(L, -1, i) == LUA_TSTRING; i++) {
      found = matches(t, list, lua_tostring(L, -1), value);
      lua_pop(L, 1);
    }
  lua_settop(L, 1);
  return found;
}

long long rb_target_limit (const rb_Target *t, const char *name) {
  lua_State *L = t->c->L;
  long long n = -1;
  lua_settop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->ref);
  if (lua_getfield(L, -1, "limits") == LUA_TTABLE
      && lua_getfield(L, -1, name) == LUA_TNUMBER) n = lua_tointeger(L, -1);
  lua_settop(L, 1);
  return n;
}
