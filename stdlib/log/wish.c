/*
** wish.c - what a script asks of a log
*/

#include <string.h>

#include "stdlib/log/log.h"

enum { MOST = 10000 };

/* [-0, +0, v]  keys that this call does not know */
static void known (lua_State *L, int idx, const char *who, unsigned names) {
  static const struct { const char *name; unsigned bit; } keys[] = {
    {"match", RB_LOG_MATCH}, {"since", RB_LOG_SINCE}, {"by", RB_LOG_BY}, {"top", RB_LOG_TOP},
    {"limit", RB_LOG_LIMIT}, {"per", RB_LOG_PER}, {"pattern", RB_LOG_PATTERN}
  };
  lua_pushnil(L);
  for (; lua_next(L, idx) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[1]";
    size_t i = 0, n = sizeof keys / sizeof *keys;
    while (i < n && (strcmp(keys[i].name, name) != 0 || !(names & keys[i].bit))) i++;
    if (i == n) luaL_error(L, "%s: there is no option '%s'", who, name);
  }
}

void rb_log_match (lua_State *L, int idx, const char *who, int owner, Wish *w) {
  if (lua_type(L, idx) != LUA_TSTRING)
    luaL_error(L, "%s: a pattern is a text, not a %s", who, luaL_typename(L, idx));
  size_t n;
  const char *s = lua_tolstring(L, idx, &n);
  lua_pushvalue(L, idx);
  lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
  if (n > 0 && strlen(s) == n && strpbrk(s, "\\^$.[|()?*+{") == NULL) {
    w->literal = (Text){s, n};
    return;
  }
  w->match = rb_pattern_push(L, idx, who, 0);
  lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
}

/* [-0, +0, v]  "10m" before now, a time, or seconds since 1970 */
static double since (lua_State *L, int idx, const char *who) {
  double seconds = -1, ago;
  size_t n;
  if (lua_type(L, idx) == LUA_TNUMBER) seconds = lua_tonumber(L, idx);
  else if (lua_type(L, idx) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, idx, &n);
    if (rb_duration(s, &ago)) seconds = rb_time(L) - ago;
    else if (rb_log_iso(s, n, &seconds) != n) seconds = -1;
  }
  if (!(seconds >= 0))
    luaL_error(L, "%s: 'since' is a duration (\"10m\": from ten minutes ago), a time "
               "(\"2026-11-25T10:30:00Z\") or seconds since 1970", who);
  return seconds;
}

/* [-0, +0, v]  a field's name, or a pattern with a capture */
static void by (lua_State *L, int idx, const char *who, int owner, Wish *w) {
  size_t n;
  if (lua_type(L, idx) != LUA_TSTRING)
    luaL_error(L, "%s: 'by' is the name of a JSON field, or a pattern with a capture", who);
  const char *s = lua_tolstring(L, idx, &n);
  lua_pushvalue(L, idx);
  lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
  if (strchr(s, '(') == NULL) {
    if (!rb_log_path(s, n, &w->field))
      luaL_error(L, "%s: '%s' is no name of a field (\"ip\", \"user.id\")", who, s);
    return;
  }
  w->by = rb_pattern_push(L, idx, who, 0);
  if (rb_pattern_groups(w->by) == 0)
    luaL_error(L, "%s: the pattern '%s' captures nothing: put ( ) around what to group by",
               who, s);
  lua_rawseti(L, owner, (lua_Integer)lua_rawlen(L, owner) + 1);
}

static lua_Integer most (lua_State *L, int idx, const char *who, const char *name) {
  int isnum;
  lua_Integer n = lua_tointegerx(L, idx, &isnum);
  if (!isnum || n < 1 || n > MOST)
    luaL_error(L, "%s: '%s' is a whole number of 1 to %d", who, name, MOST);
  return n;
}

void rb_log_wish (lua_State *L, int idx, const char *who, unsigned names, Wish *w) {
  *w = (Wish){.since = -1, .most = names & RB_LOG_TOP ? 10 : names & RB_LOG_PER ? 60 : 100,
              .per = 60};
  lua_newtable(L);
  int owner = lua_gettop(L), value = owner + 1;
  if (lua_isnoneornil(L, idx)) return;
  if (!lua_istable(L, idx))
    luaL_error(L, "%s: a table expected ({ match = \"...\" }), got %s", who,
               luaL_typename(L, idx));
  known(L, idx, who, names);
  const char *match = names & RB_LOG_PATTERN ? "pattern" : "match";
  if (lua_getfield(L, idx, match) != LUA_TNIL) rb_log_match(L, value, who, owner, w);
  lua_settop(L, owner);
  if (lua_getfield(L, idx, "since") != LUA_TNIL) w->since = since(L, value, who);
  lua_settop(L, owner);
  if (lua_getfield(L, idx, "by") != LUA_TNIL) by(L, value, who, owner, w);
  lua_settop(L, owner);
  const char *count = names & RB_LOG_TOP ? "top" : "limit";
  if (lua_getfield(L, idx, count) != LUA_TNIL) w->most = most(L, value, who, count);
  lua_settop(L, owner);
  if (lua_getfield(L, idx, "per") != LUA_TNIL
      && (lua_type(L, value) != LUA_TSTRING || !rb_duration(lua_tostring(L, value), &w->per)
          || w->per < 1))
    luaL_error(L, "%s: 'per' is a duration of at least a second, such as \"1m\"", who);
  lua_settop(L, owner);
}

int rb_log_matches (const Wish *w, const Text *line) {
  if (w->literal.s != NULL)
    return memmem(line->s, line->n, w->literal.s, w->literal.n) != NULL;
  return w->match == NULL || rb_pattern_match(w->match, line->s, line->n, 0, NULL) > 0;
}
