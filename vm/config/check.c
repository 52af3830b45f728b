/*
** check.c - is the configuration well formed? Every key that there is stands
** in the tables below, and nowhere else.
*/

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/config/private.h"

const char *const rb_limitnames[] = {
  "pg_rows", "pg_rows_statement", "redis_keys", "http_writes", "files",
  "commands", "notices", NULL
};

typedef enum Kind {
  TEXT,      /* a string, env or secret */
  STRING, LIST, LIMIT, TARGETKIND,
  ANY,       /* a table whose keys are the scripts' business */
  KEYS,      /* a table with these keys */
  MAP,       /* a table of names, each value as the one node */
  RESOURCE   /* a URL or path, or a table with these keys */
} Kind;

typedef struct Node {
  const char *key;
  Kind kind;
  const struct Node *of;
} Node;

static const Node http[] = {
  {"url", TEXT, NULL}, {"headers", ANY, NULL}, {"probes", LIST, NULL},
  {"idempotency", STRING, NULL}, {"ca", STRING, NULL}, {"timeout", STRING, NULL},
  {NULL, TEXT, NULL}
};
static const Node pg[] = {
  {"url", TEXT, NULL}, {"probe", TEXT, NULL}, {"secret_columns", LIST, NULL},
  {NULL, TEXT, NULL}
};
static const Node redis[] = {
  {"url", TEXT, NULL}, {"probe", TEXT, NULL}, {NULL, TEXT, NULL}
};
static const Node service[] = {
  {"url", TEXT, NULL}, {"program", STRING, NULL}, {"home", STRING, NULL},
  {"pidfile", STRING, NULL}, {"start", LIST, NULL}, {"cwd", STRING, NULL},
  {"log", STRING, NULL}, {NULL, TEXT, NULL}
};
static const Node path[] = {{"path", TEXT, NULL}, {NULL, TEXT, NULL}};

static const Node system_[] = {
  {"http", RESOURCE, http}, {"pg", RESOURCE, pg}, {"redis", RESOURCE, redis},
  {"service", RESOURCE, service}, {"dotenv", RESOURCE, path},
  {"log", RESOURCE, path}, {"backup", RESOURCE, path},
  {"settings", ANY, NULL}, {"schema", ANY, NULL}, {NULL, TEXT, NULL}
};
static const Node asystem[] = {{"", KEYS, system_}, {NULL, TEXT, NULL}};

static const Node allow[] = {
  {"files", LIST, NULL}, {"programs", LIST, NULL}, {"hosts", LIST, NULL},
  {NULL, TEXT, NULL}
};
static const Node limits[] = {
  {"pg_rows", LIMIT, NULL}, {"pg_rows_statement", LIMIT, NULL},
  {"redis_keys", LIMIT, NULL}, {"http_writes", LIMIT, NULL},
  {"files", LIMIT, NULL}, {"commands", LIMIT, NULL}, {"notices", LIMIT, NULL},
  {NULL, TEXT, NULL}
};
static const Node anytable[] = {{"", ANY, NULL}, {NULL, TEXT, NULL}};
static const Node notify[] = {
  {"slack", ANY, NULL}, {"teams", ANY, NULL}, {"mail", ANY, NULL},
  {"pagerduty", TEXT, NULL}, {"webhook", ANY, NULL}, {NULL, TEXT, NULL}
};
static const Node target[] = {
  {"kind", TARGETKIND, NULL}, {"defaults", MAP, anytable}, {"allow", KEYS, allow},
  {"limits", KEYS, limits}, {"notify", KEYS, notify}, {"systems", MAP, asystem},
  {NULL, TEXT, NULL}
};
static const Node atarget[] = {{"", KEYS, target}, {NULL, TEXT, NULL}};
static const Node people[] = {{"", LIST, NULL}, {NULL, TEXT, NULL}};

static const Node top[] = {
  {"target", STRING, NULL}, {"runbooks", LIST, NULL}, {"roles", MAP, people},
  {"targets", MAP, atarget}, {NULL, TEXT, NULL}
};

/* -- URLs --------------------------------------------------------------------- */

typedef struct Scheme { const char *kind, *scheme; int bare; } Scheme;

/* bare: "pm2:name", with no "//" */
static const Scheme schemes[] = {
  {"http", "http", 0}, {"http", "https", 0},
  {"pg", "postgresql", 0}, {"pg", "postgres", 0},
  {"redis", "redis", 0}, {"redis", "rediss", 0}, {"redis", "unix", 0},
  {"service", "pm2", 1}, {"service", "process", 1}, {"service", "docker", 1},
  {"service", "compose", 1}, {"service", "systemd", 1}, {NULL, NULL, 0}
};

/* the URL without its password: what goes into a message */
static void harmless (const char *url, char *out, size_t size) {
  const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");
  if (at == NULL || scheme == NULL || at < scheme) snprintf(out, size, "%s", url);
  else snprintf(out, size, "%.*s://...%s", (int)(scheme - url), url, at);
}

int rb_config_url (const char *kind, const char *url, char *why, size_t size) {
  const char *example = NULL;
  char shown[200];
  for (const Scheme *s = schemes; s->kind != NULL; s++) {
    size_t n = strlen(s->scheme);
    if (strcmp(s->kind, kind) != 0) continue;
    if (strncmp(url, s->scheme, n) == 0
        && strncmp(url + n, s->bare ? ":" : "://", s->bare ? 1 : 3) == 0
        && url[n + (s->bare ? 1 : 3)] != '\0') return 1;
    if (example == NULL) example = s->bare ? "pm2:NAME" : s->scheme;
  }
  if (example == NULL) return 1;  /* a path */
  harmless(url, shown, sizeof shown);
  if (strstr(url, "://") == NULL && strcmp(kind, "service") != 0)
    snprintf(why, size, "'%s' has no scheme: write %s://%s", shown, example, shown);
  else
    snprintf(why, size, "'%s' is no URL for %s: write %s%s", shown, kind, example,
             strcmp(kind, "service") == 0 ? " or process:NAME" : "://HOST:PORT");
  return 0;
}

/* -- the walk --------------------------------------------------------------------- */

typedef struct Walk {
  lua_State *L;
  rb_Problem *p;
  const char *file;
  char place[300];
} Walk;

static int fail (Walk *w, const char *what) {
  rb_problem(w->p, RB_USAGE, "config", "%s%s%s", w->place, *w->place ? ": " : "", what);
  snprintf(w->p->file, sizeof w->p->file, "%s", w->file);
  return 0;
}

static int expected (Walk *w, const char *what) {
  char text[200];
  snprintf(text, sizeof text, "%s expected, not a %s", what, luaL_typename(w->L, -1));
  return fail(w, text);
}

static int check (Walk *w, const Node *n);

static int istext (lua_State *L) {
  return lua_type(L, -1) == LUA_TSTRING || luaL_testudata(L, -1, RB_LATER) != NULL;
}

/* appends ".key" to the place; returns what to cut it back to */
static size_t enter (Walk *w, const char *key) {
  size_t n = strlen(w->place);
  snprintf(w->place + n, sizeof w->place - n, "%s%s", n > 0 ? "." : "", key);
  return n;
}

static int unknown (Walk *w, const Node *keys, const char *key) {
  const char *words[32];
  char text[300];
  int n = 0;
  for (; keys->key != NULL; keys++) words[n++] = keys->key;
  words[n] = NULL;
  const char *near = rb_nearest(key, words);
  enter(w, key);
  snprintf(text, sizeof text, near != NULL ? "unknown key (did you mean '%s'?)"
           : "unknown key; there are %s, %s, ...", near != NULL ? near : words[0],
           n > 1 ? words[1] : "");
  return fail(w, text);
}

static int checkkeys (Walk *w, const Node *keys) {
  lua_State *L = w->L;
  if (!lua_istable(L, -1)) return expected(w, "a table");
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    const Node *n = keys;
    if (lua_type(L, -2) != LUA_TSTRING) return fail(w, "only named keys are expected");
    const char *key = lua_tostring(L, -2);
    while (n->key != NULL && strcmp(n->key, key) != 0) n++;
    if (n->key == NULL) return unknown(w, keys, key);
    size_t back = enter(w, key);
    if (!check(w, n)) return 0;
    w->place[back] = '\0';
    lua_pop(L, 1);
  }
  return 1;
}

static int checkmap (Walk *w, const Node *each) {
  lua_State *L = w->L;
  if (!lua_istable(L, -1)) return expected(w, "a table");
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) return fail(w, "only named keys are expected");
    size_t back = enter(w, lua_tostring(L, -2));
    if (!check(w, each)) return 0;
    w->place[back] = '\0';
    lua_pop(L, 1);
  }
  return 1;
}

static int checklist (Walk *w) {
  lua_State *L = w->L;
  if (!lua_istable(L, -1)) return expected(w, "a list");
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (lua_type(L, -2) != LUA_TNUMBER || !istext(L))
      return fail(w, "a list of strings expected: { \"one\", \"two\" }");
    lua_pop(L, 1);
  }
  return 1;
}

static int checkresource (Walk *w, const Node *n) {
  lua_State *L = w->L;
  char why[500];
  int plain = !lua_istable(L, -1);
  if (plain && !istext(L)) return expected(w, "a URL or path, or a table,");
  if (!plain) {
    if (!checkkeys(w, n->of)) return 0;
    lua_getfield(L, -1, n->of[0].key);
    if (lua_isnil(L, -1)) {
      snprintf(why, sizeof why, "needs its %s", n->of[0].key);
      return fail(w, why);
    }
  } else lua_pushvalue(L, -1);
  int good = lua_type(L, -1) != LUA_TSTRING
             || rb_config_url(n->key, lua_tostring(L, -1), why, sizeof why);
  lua_pop(L, 1);
  return good ? 1 : fail(w, why);
}

static int checkkind (Walk *w) {
  static const char *const kinds[] = {"sandbox", "staging", "production", NULL};
  const char *s = lua_tostring(w->L, -1);
  for (const char *const *k = kinds; s != NULL && *k != NULL; k++)
    if (strcmp(s, *k) == 0) return 1;
  return fail(w, "\"sandbox\", \"staging\" or \"production\" expected");
}

static int check (Walk *w, const Node *n) {
  lua_State *L = w->L;
  luaL_checkstack(L, 8, "configuration nested too deeply");
  switch (n->kind) {
    case TEXT: return istext(L) ? 1 : expected(w, "a string, env or secret");
    case STRING: return lua_type(L, -1) == LUA_TSTRING ? 1 : expected(w, "a string");
    case ANY: return lua_istable(L, -1) ? 1 : expected(w, "a table");
    case LIST: return checklist(w);
    case LIMIT:
      return lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0 ? 1
             : expected(w, "a whole number, 0 or more,");
    case TARGETKIND: return checkkind(w);
    case KEYS: return checkkeys(w, n->of);
    case MAP: return checkmap(w, n->of);
    case RESOURCE: return checkresource(w, n);
  }
  return 0;
}

/* Parameter defaults would let a mistyped line act on production. */
static int checkdefaults (Walk *w) {
  lua_State *L = w->L;
  if (lua_getfield(L, -1, "targets") != LUA_TTABLE) { lua_pop(L, 1); return 1; }
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_getfield(L, -1, "kind");
    int production = lua_isnil(L, -1) || strcmp(lua_tostring(L, -1), "production") == 0;
    lua_getfield(L, -2, "defaults");
    if (production && !lua_isnil(L, -1)) {
      snprintf(w->place, sizeof w->place, "targets.%s.defaults", lua_tostring(L, -4));
      return fail(w, "a production target has no defaults for parameters");
    }
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return 1;
}

int rb_config_check (rb_Config *c, rb_Problem *p) {
  Walk w = {.L = c->L, .p = p, .file = c->file};
  int good = checkkeys(&w, top) && checkdefaults(&w);
  lua_settop(c->L, 1);
  return good ? 0 : p->exit;
}
