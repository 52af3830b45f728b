/*
** ask.c - what servers know for a completion: tables and columns, keys
**
** Each is held read-only as every other probe, with a short time; it is no part of the
** session, and nothing of it is on the tape. A Tab does not wait for a million keys: it
** looks through as many as it can in a moment, and the same Tab again goes on from there.
*/

#include <string.h>

#include "vm/repl/complete.h"

#define PATIENCE 0.5  /* seconds for a server that does not answer */
#define MOMENT 0.025  /* and for looking through its keys */

/* memo: how far the last Tab came, and what it found */
static const char keys[] =
  "local r, prefix, offer, _, memo, late = ...\n"
  "return function ()\n"
  "  local like = prefix:gsub('[%*%?%[%]\\\\]', '\\\\%0') .. '*'\n"
  "  if memo.of ~= r or memo.prefix ~= prefix or memo.cursor == '0' then\n"
  "    memo.of, memo.prefix, memo.cursor, memo.found = r, prefix, '0', {}\n"
  "  end\n"
  "  local found = memo.found\n"
  "  repeat\n"
  "    local page = r:command('SCAN', memo.cursor, 'MATCH', like, 'COUNT', 1000)\n"
  "    memo.cursor = page[1]\n"
  "    for _, key in ipairs(page[2]) do found[#found + 1] = key end\n"
  "  until memo.cursor == '0' or #found >= 5000 or late()\n"
  "  for _, key in ipairs(found) do offer(key) end\n"
  "end";

static const char relations[] =
  "local r, prefix, offer = ...\n"
  "return function ()\n"
  "  for _, row in ipairs(r:query([[SELECT format('%I.%I', nspname, relname) AS name\n"
  "      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace\n"
  "     WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname !~ '^pg_|^information_schema$'\n"
  "       AND (starts_with(format('%I.%I', nspname, relname), :prefix)\n"
  "            OR starts_with(relname, :prefix))\n"
  "     ORDER BY 1 LIMIT 200]], { prefix = prefix })) do offer(row.name) end\n"
  "end";

static const char columns[] =
  "local r, prefix, offer, sql = ...\n"
  "return function ()\n"
  "  local words = {}\n"
  "  for word in sql:gmatch(\"[%w_]+\") do words[#words + 1] = word end\n"
  "  for _, row in ipairs(r:query([[SELECT DISTINCT quote_ident(attname) AS name\n"
  "      FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid\n"
  "     WHERE relname = ANY(:words) AND attnum > 0 AND NOT attisdropped\n"
  "       AND starts_with(attname, :prefix) ORDER BY 1 LIMIT 200]],\n"
  "      { words = words, prefix = prefix })) do offer(row.name) end\n"
  "end";

static int offered (lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  if (strlen(s) == n) rb_repl_offer(lua_touserdata(L, lua_upvalueindex(1)), s, "");
  return 0;
}

/* upvalue 1: when the moment is over */
static int late (lua_State *L) {
  lua_pushboolean(L, rb_now() >= lua_tonumber(L, lua_upvalueindex(1)));
  return 1;
}

/* [-1, +0, m]  The resource at the top is asked. */
static void ask (rb_Repl *s, const char *script, rb_Found *f, const char *text) {
  lua_State *L = s->r.L;
  rb_FieldEnd end;
  if (luaL_loadbufferx(L, script, strlen(script), "=completion", "t") != LUA_OK) lua_error(L);
  lua_insert(L, -2);
  lua_pushlstring(L, f->begin, f->n);
  lua_pushlightuserdata(L, f);
  lua_pushcclosure(L, offered, 1);
  lua_pushstring(L, text);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->memo);
  lua_pushnumber(L, rb_now() + MOMENT);
  lua_pushcclosure(L, late, 1);
  lua_call(L, 6, 1);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX), dry = s->r.vm->dryrun;
  rb_FieldSpec spec = {.fn = fn, .word = "completion", .path = "completion",
                       .may = RB_MAYPROBE, .timeout = PATIENCE};
  s->r.vm->interrupts = 0;
  s->r.vm->hushed = s->r.vm->dryrun = 1;
  rb_field_run(&s->r, &spec, &end);
  s->r.vm->hushed = 0;
  s->r.vm->dryrun = dry;
  s->r.vm->interrupts = 0;
  rb_field_clear(&end);
  luaL_unref(L, LUA_REGISTRYINDEX, fn);
}

void rb_repl_askkeys (rb_Repl *s, rb_Found *f) { ask(s, keys, f, ""); }

/* "... FROM ", so that a table comes next? */
static int wantstable (const char *sql, size_t n) {
  static const char *const words[] = {"from", "join", "into", "update", "table", NULL};
  while (n > 0 && sql[n - 1] == ' ') n--;
  for (const char *const *w = words; *w != NULL; w++) {
    size_t len = strlen(*w);
    if (n >= len && strncasecmp(sql + n - len, *w, len) == 0) return 1;
  }
  return 0;
}

void rb_repl_asknames (rb_Repl *s, rb_Found *f, const char *sql, size_t n) {
  ask(s, wantstable(sql, n) ? relations : columns, f, sql);
}
