/*
** types.c - the types of parameters: what each takes, and as what it is kept
*/

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/module.h"
#include "vm/run/shape.h"

#define MAXSHOWN 40   /* bytes of a wrong value that a message shows */
#define MAXNAME 63    /* bytes of a PostgreSQL identifier */
#define MAXEMAIL 254
#define MAXCHOICES 64

/* a value that came as text, and room to say what would be right */
typedef struct Given {
  const char *s;
  size_t n;
  const rb_Param *param;
  const char *base;     /* where relative paths begin; NULL: where we are */
  char *why;
  size_t size;
} Given;

/* pushes the value and returns 1; or 0, with 'why' where there is more to say
** than what the type takes */
typedef int (*Take) (lua_State *L, const Given *g);

static int say (const Given *g, const char *what) {
  snprintf(g->why, g->size, "%s", what);
  return 0;
}

static int take_string (lua_State *L, const Given *g) {
  if (memchr(g->s, '\0', g->n) != NULL || rb_utf8(g->s, g->n) != g->n)
    return 0;
  lua_pushlstring(L, g->s, g->n);
  return 1;
}

static int take_identifier (lua_State *L, const Given *g) {
  return g->n >= 1 && g->n <= MAXNAME && take_string(L, g);
}

/* the digits that strtoll and strtod would also skip spaces before, or read
** as hexadecimal, are no number that a person types */
static int onlyof (const Given *g, const char *chars) {
  return g->n > 0 && strspn(g->s, chars) == g->n;
}

static int take_integer (lua_State *L, const Given *g) {
  char *end;
  if (!onlyof(g, "+-0123456789")) return 0;
  errno = 0;
  long long n = strtoll(g->s, &end, 10);
  if (errno == ERANGE)
    return say(g, "an integer from -9223372036854775808 to "
                  "9223372036854775807");
  if (*end != '\0' || end == g->s) return 0;
  lua_pushinteger(L, n);
  return 1;
}

static int take_number (lua_State *L, const Given *g) {
  char *end;
  if (!onlyof(g, "+-.eE0123456789")) return 0;
  double n = strtod(g->s, &end);
  if (*end != '\0' || end == g->s || !isfinite(n)) return 0;
  lua_pushnumber(L, n);
  return 1;
}

static int take_boolean (lua_State *L, const Given *g) {
  static const char *const words[] = {
    "false", "true", "no", "yes", "0", "1", NULL
  };
  for (int i = 0; words[i] != NULL; i++)
    if (strcmp(g->s, words[i]) == 0) {
      lua_pushboolean(L, i % 2);
      return 1;
    }
  return 0;
}

static int take_duration (lua_State *L, const Given *g) {
  char text[64];
  double seconds;
  if (onlyof(g, ".0123456789")) {
    snprintf(g->why, g->size, "a duration with its unit (say \"%.20ss\"?)",
             g->s);
    return 0;
  }
  if (strlen(g->s) != g->n || !rb_duration(g->s, &seconds)) return 0;
  rb_duration_text(seconds, text, sizeof text);
  lua_pushstring(L, text);
  return 1;
}

/* one half of an address: dots inside only, and nothing that would need
** quoting or end a mail header */
static int plain (const char *s, size_t n, int domain) {
  if (n == 0 || s[0] == '.' || s[n - 1] == '.') return 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '.' && s[i + 1] == '.') return 0;
    if (c >= 0x80 || isalnum(c) || c == '-' || c == '.') continue;
    if (domain || strchr("!#$%&'*+/=?^_`{|}~", c) == NULL) return 0;
  }
  return 1;
}

static int take_email (lua_State *L, const Given *g) {
  char text[MAXEMAIL + 1];
  const char *s = g->s, *end = g->s + g->n;
  while (s < end && strchr(" \t", *s) != NULL) s++;
  while (end > s && strchr(" \t", end[-1]) != NULL) end--;
  size_t n = (size_t)(end - s);
  if (n > MAXEMAIL || memchr(s, '\0', n) != NULL || rb_utf8(s, n) != n)
    return 0;
  for (size_t i = 0; i < n; i++) text[i] = (char)tolower((unsigned char)s[i]);
  text[n] = '\0';
  const char *at = strchr(text, '@');
  if (strchr(text, '<') != NULL)
    return say(g, "the address alone, without a name and \"<>\"");
  if (at == NULL || !plain(text, (size_t)(at - text), 0) ||
      !plain(at + 1, n - (size_t)(at + 1 - text), 1)) return 0;
  lua_pushlstring(L, text, n);
  return 1;
}

/* absolute, and without links where it exists; a file that is still to be
** made has at least a folder */
static int take_path (lua_State *L, const Given *g) {
  char joined[PATH_MAX], real[PATH_MAX], dir[PATH_MAX], last[PATH_MAX];
  char cwd[PATH_MAX] = "";
  const char *base = g->base;
  if (g->n == 0 || strlen(g->s) != g->n || rb_utf8(g->s, g->n) != g->n)
    return 0;
  if (base == NULL) base = getcwd(cwd, sizeof cwd) != NULL ? cwd : "";
  int n = g->s[0] == '/' ? snprintf(joined, sizeof joined, "%s", g->s)
                         : snprintf(joined, sizeof joined, "%s/%s", base, g->s);
  if (n < 0 || (size_t)n >= sizeof joined) return 0;
  if (realpath(joined, real) != NULL) {
    lua_pushstring(L, real);
    return 1;
  }
  memcpy(dir, joined, (size_t)n + 1);
  memcpy(last, joined, (size_t)n + 1);
  if (realpath(dirname(dir), real) == NULL) lua_pushstring(L, joined);
  else lua_pushfstring(L, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
                       basename(last));
  return 1;
}

static int take_url (lua_State *L, const Given *g) {
  size_t n = 0;
  while (n < g->n && (isalnum((unsigned char)g->s[n]) ||
                      strchr("+.-", g->s[n]) != NULL)) n++;
  if (n == 0 || !isalpha((unsigned char)g->s[0]) || strlen(g->s) != g->n ||
      strncmp(g->s + n, "://", 3) != 0) return 0;
  const char *host = g->s + n + 3;
  if (*host == '\0' || strchr("/?#", *host) != NULL) return 0;
  for (const char *c = host; *c != '\0'; c++)
    if ((unsigned char)*c <= ' ' || *c == 0x7F) return 0;
  return take_string(L, g);
}

static int take_date (lua_State *L, const Given *g) {
  static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int y, m, d;
  if (g->n != 10 || g->s[4] != '-' || g->s[7] != '-' ||
      !onlyof(g, "0123456789-") || sscanf(g->s, "%4d-%2d-%2d", &y, &m, &d) != 3)
    return 0;
  int leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
  if (m < 1 || m > 12 || d < 1 || d > length[m - 1] + (m == 2 && leap))
    return say(g, "a date of the calendar");
  lua_pushlstring(L, g->s, g->n);
  return 1;
}

static int take_choice (lua_State *L, const Given *g) {
  const char *const *c = g->param->choices;
  for (; *c != NULL; c++)
    if (strcmp(*c, g->s) == 0) { lua_pushstring(L, g->s); return 1; }
  const char *near = rb_nearest(g->s, g->param->choices);
  size_t n = (size_t)snprintf(g->why, g->size, "one of ");
  for (c = g->param->choices; *c != NULL && n < g->size; c++)
    n += (size_t)snprintf(g->why + n, g->size - n, "%s%s",
                          c == g->param->choices ? "" : ", ", *c);
  if (near != NULL && n < g->size)
    snprintf(g->why + n, g->size - n, " (did you mean '%s'?)", near);
  return 0;
}

static int take_secret (lua_State *L, const Given *g) {
  if (g->n == 0) return 0;
  lua_pushlstring(L, g->s, g->n);
  return 1;
}

/* in the order of rb_ParamType */
static const struct Type { const char *name, *takes; Take take; } types[] = {
  {"string", "text (UTF-8)", take_string},
  {"identifier", "an identifier of 1 to 63 bytes", take_identifier},
  {"integer", "an integer", take_integer},
  {"number", "a number", take_number},
  {"boolean", "true or false (or yes, no, 1, 0)", take_boolean},
  {"duration", "a duration such as \"90s\", \"5m\" or \"1h30m\"",
   take_duration},
  {"email", "an e-mail address such as kim@example.org", take_email},
  {"path", "a path", take_path},
  {"url", "a URL such as https://example.org/", take_url},
  {"date", "a date such as 2025-01-31", take_date},
  {"choice", "one of its choices", take_choice},
  {"secret", "a text that is not empty", take_secret}
};
enum { TYPES = sizeof types / sizeof *types };

int rb_param_type (const char *name) {
  for (int i = 0; i < TYPES; i++)
    if (strcmp(types[i].name, name) == 0) return i;
  return -1;
}

/* what came, for a message: never a secret, never a control character */
static void shown (lua_State *L, const rb_Param *q, int idx, char *out,
                   size_t size) {
  size_t n;
  if (q->type == RB_SECRET) { snprintf(out, size, "what was given"); return; }
  if (lua_isboolean(L, idx) || lua_type(L, idx) == LUA_TNUMBER) {
    snprintf(out, size, "%s", luaL_tolstring(L, idx, NULL));
    lua_pop(L, 1);
    return;
  }
  const char *s = lua_tolstring(L, idx, &n);
  if (s == NULL) { snprintf(out, size, "a %s", luaL_typename(L, idx)); return; }
  size_t len = n > MAXSHOWN ? rb_utf8(s, MAXSHOWN) : n;
  if (len > size - 6) len = size - 6;
  snprintf(out, size, "\"%.*s%s\"", (int)len, s, len < n ? "..." : "");
  for (char *c = out; *c != '\0'; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7F) *c = '?';
}

/* a value of Lua that already is what the parameter takes */
static int native (lua_State *L, const rb_Param *q, int idx) {
  int t = lua_type(L, idx);
  if (q->type == RB_BOOLEAN) return t == LUA_TBOOLEAN;
  if (q->type == RB_NUMBER) return t == LUA_TNUMBER;
  if (q->type == RB_INTEGER) return lua_isinteger(L, idx);
  return q->type == RB_SECRET && t == LUA_TUSERDATA;
}

int rb_param_value (lua_State *L, const rb_Param *q, const char *base, int idx,
                    char *why, size_t size) {
  char what[256], takes[400] = "";
  Given g = {.param = q, .base = base, .why = takes, .size = sizeof takes};
  idx = lua_absindex(L, idx);
  if (native(L, q, idx)) {
    lua_pushvalue(L, idx);
    return 1;
  }
  if (lua_type(L, idx) == LUA_TSTRING) {
    g.s = lua_tolstring(L, idx, &g.n);
    if (types[q->type].take(L, &g)) return 1;
  }
  else if (q->type == RB_DURATION && lua_type(L, idx) == LUA_TNUMBER)
    snprintf(takes, sizeof takes, "a duration with its unit (say \"%.14gs\"?)",
             (double)lua_tonumber(L, idx));
  shown(L, q, idx, what, sizeof what);
  snprintf(why, size, "takes %s, not %s",
           takes[0] != '\0' ? takes : types[q->type].takes, what);
  return 0;
}

/* -- declarations ---------------------------------------------------------- */

static int unknowntype (lua_State *L, int idx, char *why, size_t size) {
  const char *names[TYPES + 1];
  const char *word = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx)
                                                     : NULL;
  for (int i = 0; i < TYPES; i++) names[i] = types[i].name;
  names[TYPES] = NULL;
  const char *near = word != NULL ? rb_nearest(word, names) : NULL;
  size_t n = (size_t)snprintf(why, size,
      word != NULL ? "has the unknown type '%.40s': " : "has no type: ",
      word);
  if (near != NULL) snprintf(why + n, size - n, "did you mean '%s'?", near);
  else {
    n += (size_t)snprintf(why + n, size - n, "there is");
    for (int i = 0; i < TYPES && n < size; i++)
      n += (size_t)snprintf(why + n, size - n, "%s %s", i > 0 ? "," : "",
                            names[i]);
  }
  return 0;
}

/* fills 'choices' with what follows the type; the strings live in the table */
static int choicesof (lua_State *L, int idx, const char **choices, char *why,
                      size_t size) {
  int n = (int)lua_rawlen(L, idx) - 1;
  if (n < 1 || n > MAXCHOICES) {
    snprintf(why, size, "is a choice of 1 to %d texts: "
             "{ \"choice\", \"a\", \"b\" }", MAXCHOICES);
    return 0;
  }
  for (int i = 0; i < n; i++) {
    int type = lua_rawgeti(L, idx, i + 2);
    choices[i] = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    if (choices[i] == NULL) {
      snprintf(why, size, "is a choice of texts, but choice %d is none", i + 1);
      return 0;
    }
  }
  choices[n] = NULL;
  return 1;
}

int rb_param_declared (lua_State *L, int idx, char *why, size_t size) {
  const char *choices[MAXCHOICES + 1];
  char wrong[480];
  idx = lua_absindex(L, idx);
  int type = lua_rawgeti(L, idx, 1) == LUA_TSTRING
                 ? rb_param_type(lua_tostring(L, -1)) : -1;
  if (type < 0) unknowntype(L, -1, why, size);
  lua_pop(L, 1);
  if (type < 0) return 0;
  rb_Param q = {.type = (rb_ParamType)type, .choices = choices};
  if (type == RB_CHOICE && !choicesof(L, idx, choices, why, size)) return 0;
  if (type != RB_CHOICE && lua_rawlen(L, idx) > 1) {
    snprintf(why, size, "lists values, but only a \"choice\" does");
    return 0;
  }
  int top = lua_gettop(L), right = 1;
  if (lua_getfield(L, idx, "default") != LUA_TNIL) {
    if (type == RB_SECRET) {
      right = 0;
      snprintf(why, size, "is a secret: its default belongs into the "
               "configuration, not into a runbook");
    }
    else if (!rb_param_value(L, &q, NULL, -1, wrong, sizeof wrong)) {
      right = 0;
      snprintf(why, size, "%s (its default)", wrong);
    }
  }
  lua_settop(L, top);
  return right;
}
