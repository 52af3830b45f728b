/*
** tojson.c - Lua values as JSON for people: redacted, never failing
*/

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/redact.h"
#include "vm/vm.h"

#define MAXDEPTH 20
#define MAXITEMS 1000
#define MAXTEXT 65536

char *rb_redacted (const char *s, size_t n) {
  rb_Buffer b = {0};
  rb_redact(&b, s, n);
  if (b.failed) { rb_buffer_free(&b); return NULL; }
  return b.s != NULL ? b.s : strdup("");
}

/* how many bytes the UTF-8 character at s has; 0: not one */
static size_t character (const unsigned char *s, size_t n) {
  size_t len = *s < 0x80 ? 1 : *s >= 0xC2 && *s < 0xE0 ? 2
             : *s >= 0xE0 && *s < 0xF0 ? 3 : *s >= 0xF0 && *s < 0xF5 ? 4 : 0;
  if (len == 0 || len > n) return 0;
  for (size_t i = 1; i < len; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  if (*s == 0xE0 && s[1] < 0xA0) return 0;
  if (*s == 0xED && s[1] >= 0xA0) return 0;
  if (*s == 0xF0 && s[1] < 0x90) return 0;
  if (*s == 0xF4 && s[1] >= 0x90) return 0;
  return len;
}

json_t *rb_jsontext (const char *s, size_t n) {
  rb_Buffer b = {0}, clean = {0};
  size_t shown = n > MAXTEXT ? MAXTEXT : n;
  rb_redact(&b, s, shown);
  for (size_t i = 0; i < b.n; ) {
    size_t len = character((const unsigned char *)b.s + i, b.n - i);
    if (len == 0) {
      rb_buffer_printf(&clean, "\\x%02x", (unsigned char)b.s[i]);
      len = 1;
    } else rb_buffer_add(&clean, b.s + i, len);
    i += len;
  }
  if (shown < n) rb_buffer_printf(&clean, "... (%zu bytes)", n);
  json_t *j = json_stringn(clean.s != NULL ? clean.s : "", clean.n);
  rb_buffer_free(&b);
  rb_buffer_free(&clean);
  return j;
}

static json_t *convert (lua_State *L, int idx, int depth);

static json_t *list (lua_State *L, int idx, int depth) {
  json_t *j = json_array();
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  for (lua_Integer i = 1; i <= n && i <= MAXITEMS; i++) {
    lua_rawgeti(L, idx, i);
    json_array_append_new(j, convert(L, lua_gettop(L), depth + 1));
    lua_pop(L, 1);
  }
  return j;
}

static int bykey (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* the same object with its keys in order; takes the reference */
static json_t *sorted (json_t *j) {
  const char *key, **keys = malloc((json_object_size(j) + 1) * sizeof *keys);
  json_t *value, *out = json_object();
  size_t n = 0;
  if (keys == NULL || out == NULL) return j;
  json_object_foreach(j, key, value) keys[n++] = key;
  qsort(keys, n, sizeof *keys, bykey);
  for (size_t i = 0; i < n; i++)
    json_object_set_nocheck(out, keys[i], json_object_get(j, keys[i]));
  free(keys);
  json_decref(j);
  return out;
}

static json_t *object (lua_State *L, int idx, int depth) {
  json_t *j = json_object();
  int items = 0;
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    lua_pushvalue(L, -2);
    size_t n;
    const char *key = rb_tolstring(L, -1, &n);
    json_t *k = rb_jsontext(key, n);
    if (items++ < MAXITEMS)
      json_object_set_new_nocheck(j, json_string_value(k),
                                  convert(L, lua_gettop(L) - 2, depth + 1));
    json_decref(k);
    lua_pop(L, 3);
  }
  return json_object_size(j) > 1 ? sorted(j) : j;
}

static json_t *convert (lua_State *L, int idx, int depth) {
  size_t n;
  const char *s;
  luaL_checkstack(L, 8, "value nested too deeply");
  switch (lua_type(L, idx)) {
    case LUA_TNIL: return json_null();
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, idx));
    case LUA_TNUMBER:
      if (lua_isinteger(L, idx)) return json_integer(lua_tointeger(L, idx));
      if (isfinite(lua_tonumber(L, idx))) return json_real(lua_tonumber(L, idx));
      break;
    case LUA_TSTRING:
      s = lua_tolstring(L, idx, &n);
      return rb_jsontext(s, n);
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, idx) == NULL) return json_null();
      break;
    case LUA_TTABLE:
      if (depth >= MAXDEPTH) return json_string("...");
      return lua_rawlen(L, idx) > 0 ? list(L, idx, depth)
                                    : object(L, idx, depth);
    default: break;
  }
  s = rb_tolstring(L, idx, &n);
  json_t *j = rb_jsontext(s, n);
  lua_pop(L, 1);
  return j;
}

json_t *rb_tojson (lua_State *L, int idx) {
  return convert(L, lua_absindex(L, idx), 0);
}
