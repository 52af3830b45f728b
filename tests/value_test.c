/*
** value_test.c - Lua values as bytes: the same bytes for equal values
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "vm/tape/value.h"

/* allocations left before every one fails; -1: never */
static long countdown = -1;

static void *scarce (void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (nsize == 0) { free(p); return NULL; }
  if ((p == NULL || nsize > osize) && countdown >= 0) {
    if (countdown == 0) return NULL;
    countdown--;
  }
  return realloc(p, nsize);
}

static int object_tostring (lua_State *L) {
  lua_pushliteral(L, "school_erp.redis");
  return 1;
}

/* object(): a userdata of ours; typed(t): a result; opaque(): somebody's */
static int object (lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  if (luaL_newmetatable(L, "object")) {
    lua_pushliteral(L, "resource");
    lua_setfield(L, -2, "__rblabel");
    lua_pushcfunction(L, object_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
  return 1;
}

static void settype (lua_State *L, const char *name) {
  if (luaL_newmetatable(L, name)) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "__rbtype");
  }
  lua_setmetatable(L, -2);
}

static int typed (lua_State *L) {
  lua_settop(L, 1);
  settype(L, "http.response");
  return 1;
}

static int opaque (lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  return 1;
}

static lua_State *newstate (void) {
  lua_State *L = lua_newstate(scarce, NULL);
  assert_non_null(L);
  luaL_openlibs(L);
  lua_register(L, "object", object);
  lua_register(L, "typed", typed);
  lua_register(L, "opaque", opaque);
  lua_pushlightuserdata(L, NULL);
  lua_setglobal(L, "null");
  return L;
}

static void push (lua_State *L, const char *expression) {
  lua_pushfstring(L, "return %s", expression);
  if (luaL_dostring(L, lua_tostring(L, -1)) != LUA_OK)
    fail_msg("%s", lua_tostring(L, -1));
  lua_remove(L, -2);
}

static const char *encode (lua_State *L, const char *expression, rb_Buffer *b) {
  push(L, expression);
  int top = lua_gettop(L);
  const char *why = rb_value_encode(L, -1, b);
  assert_int_equal(lua_gettop(L), top);
  lua_pop(L, 1);
  return why;
}

static void test_same_bytes (void **state) {
  static const char *const same[][2] = {
    {"{a = 1, b = 2}", "{b = 2, a = 1}"},
    {"{1, 2, 3}", "{[3] = 3, [1] = 1, [2] = 2}"},
    {"{1, 2, 3}", "(function () local t = {} for i = 1, 64 do t[i] = i end "
                  "for i = 4, 64 do t[i] = nil end return t end)()"},
    {"{x = 1}", "{x = 1, y = nil}"},
    {"{[1.0] = 'a'}", "{'a'}"},
    {"{[true] = 1, [2.5] = 2, [-1] = 3, z = 4}",
     "{z = 4, [-1] = 3, [2.5] = 2, [true] = 1}"},
    {"'a'..'b'", "'ab'"},
    {"object()", "object()"},
  };
  (void)state;
  lua_State *L = newstate();
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    rb_Buffer a = {0}, b = {0};
    assert_null(encode(L, same[i][0], &a));
    assert_null(encode(L, same[i][1], &b));
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.s, b.s, a.n);
    rb_buffer_free(&a);
    rb_buffer_free(&b);
  }
  lua_close(L);
}

static void test_other_bytes (void **state) {
  static const char *const all[] = {
    "nil", "null", "true", "false", "1", "1.0", "-1", "'1'", "0.0", "-0.0",
    "{}", "{{}}", "{1}", "{'1'}", "{[2] = 1}", "{a = 1}", "{A = 1}",
    "{['1'] = 1}", "typed{}", "typed{1}", "object()", "math.huge", "{1, nil, 3}",
    "'resource'", "{1, {2}}", "{{1}, 2}", "math.mininteger", "math.maxinteger",
    "{[1] = 1, [3] = 3}", "'a\\0b'", "'a'", "2^53"
  };
  enum { N = sizeof all / sizeof *all };
  rb_Buffer b[N] = {0};
  (void)state;
  lua_State *L = newstate();
  for (int i = 0; i < N; i++) assert_null(encode(L, all[i], &b[i]));
  for (int i = 0; i < N; i++)
    for (int k = 0; k < i; k++)
      if (b[i].n == b[k].n && memcmp(b[i].s, b[k].s, b[i].n) == 0 &&
          /* the one pair that is the same value */
          !(strstr(all[i], "[3]") != NULL && strstr(all[k], "nil, 3") != NULL))
        fail_msg("%s is %s", all[i], all[k]);
  for (int i = 0; i < N; i++) rb_buffer_free(&b[i]);
  lua_close(L);
}

static const char checker[] =
  "local function same (a, b)\n"
  "  if type(a) ~= 'table' or type(b) ~= 'table' then\n"
  "    return math.type(a) == math.type(b) and (a == b or a ~= a and b ~= b)\n"
  "  end\n"
  "  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
  "  for k in pairs(b) do if a[k] == nil then return false end end\n"
  "  return getmetatable(a) == getmetatable(b)\n"
  "end\n"
  "return same(...)";

static const char *const roundtrip[] = {
  "nil", "null", "true", "false", "0", "1", "-1", "127", "128", "-129",
  "math.maxinteger", "math.mininteger", "0.1", "-0.0", "1e308", "-math.huge",
  "0/0", "''", "'a\\0b\\255'", "('x'):rep(100000)", "{}", "{1, 2, 3}",
  "{a = {b = {c = {1, {2, {}}}}}}", "typed{status = 200, body = 'ok'}",
  "{typed{}, typed{typed{}}}", "{[true] = 1, [false] = 0}",
  "{[1.5] = 1, [-1] = 2, [0] = 3, [2^53] = 4}", "{nil, nil, 3}",
  "{null, {null}}",
  "(function () local t = {} for i = 1, 99 do t = {t} end return t end)()"
};

static void test_round_trip (void **state) {
  (void)state;
  lua_State *L = newstate();
  for (size_t i = 0; i < sizeof roundtrip / sizeof *roundtrip; i++) {
    rb_Buffer b = {0};
    assert_null(encode(L, roundtrip[i], &b));
    assert_int_equal(luaL_loadstring(L, checker), LUA_OK);
    push(L, roundtrip[i]);
    int top = lua_gettop(L);
    assert_true(rb_value_decode(L, b.s, b.n, settype));
    assert_int_equal(lua_gettop(L), top + 1);
    assert_int_equal(lua_pcall(L, 2, 1, 0), LUA_OK);
    if (!lua_toboolean(L, -1)) fail_msg("%s", roundtrip[i]);
    lua_settop(L, 0);
    rb_buffer_free(&b);
  }
  lua_close(L);
}

static void test_labels (void **state) {
  rb_Buffer b = {0};
  (void)state;
  lua_State *L = newstate();
  assert_null(encode(L, "object()", &b));
  assert_true(rb_value_decode(L, b.s, b.n, NULL));
  assert_string_equal(lua_tostring(L, -1), "resource school_erp.redis");
  rb_buffer_free(&b);
  lua_close(L);
}

static void test_cannot (void **state) {
  static const char *const bad[][2] = {
    {"print", "a function"},
    {"{{print}}", "a function"},
    {"coroutine.create(print)", "a coroutine"},
    {"opaque()", "an object of C"},
    {"io.stdout", "an object of C"},
    {"{[{}] = 1}", "a table whose key is neither text nor number"},
    {"{[print] = 1}", "a table whose key is neither text nor number"},
    {"(function () local t = {} t[1] = t return t end)()",
     "a table that contains itself"},
    {"(function () local t = {} t.a = {b = {t}} return t end)()",
     "a table that contains itself"},
    {"(function () local t = {} for i = 1, 100 do t = {t} end return t end)()",
     "a table nested more than 100 deep"},
  };
  (void)state;
  lua_State *L = newstate();
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    rb_Buffer b = {0};
    const char *why = encode(L, bad[i][0], &b);
    if (why == NULL) fail_msg("written: %s", bad[i][0]);
    assert_string_equal(why, bad[i][1]);
    rb_buffer_free(&b);
  }
  rb_Buffer b = {0};  /* twice the same table is not inside itself */
  assert_null(encode(L, "(function () local t = {1} return {t, t} end)()", &b));
  rb_buffer_free(&b);
  lua_close(L);
}

/* each prefix, and each byte changed: never a crash, never a lost stack */
static void test_damaged (void **state) {
  static const char value[] =
    "{1, 2.5, 'text', typed{a = true}, {x = {y = null}}, [9] = -7, z = {}}";
  rb_Buffer b = {0};
  (void)state;
  lua_State *L = newstate();
  assert_null(encode(L, value, &b));
  assert_true(rb_value_decode(L, b.s, b.n, settype));
  lua_settop(L, 0);
  for (size_t n = 0; n < b.n; n++) {
    char *prefix = malloc(n + 1);  /* exactly as long: a sanitizer sees more */
    memcpy(prefix, b.s, n);
    char *exact = realloc(prefix, n > 0 ? n : 1);
    assert_false(rb_value_decode(L, exact, n, settype));
    assert_int_equal(lua_gettop(L), 0);
    free(exact);
  }
  for (size_t i = 0; i < b.n; i++)
    for (int bit = 0; bit < 256; bit += 7) {
      char was = b.s[i];
      b.s[i] = (char)(was ^ bit);
      int right = rb_value_decode(L, b.s, b.n, settype);
      assert_int_equal(lua_gettop(L), right);
      lua_settop(L, 0);
      b.s[i] = was;
    }
  rb_buffer_free(&b);
  assert_false(rb_value_decode(L, "{\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10,
                               NULL));
  assert_false(rb_value_decode(L, "s\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                               11, NULL));
  char deep[4000];
  for (size_t i = 0; i < sizeof deep; i += 2) memcpy(deep + i, "{\1", 2);
  assert_false(rb_value_decode(L, deep, sizeof deep, NULL));
  lua_close(L);
}

/* -- memory that runs out ------------------------------------------------------ */

static rb_Buffer bytes;

static int encoded (lua_State *L) {
  const char *why = rb_value_encode(L, 1, &bytes);
  if (why != NULL) return luaL_error(L, "%s", why);
  return 0;
}

static int decoded (lua_State *L) {
  return rb_value_decode(L, bytes.s, bytes.n, settype);
}

static void test_memory (void **state) {
  static const char value[] =
    "{1, 'two', typed{a = {b = 'c'}}, object(), x = {y = {z = ('l'):rep(99)}},"
    " [2.5] = {{{{}}}}}";
  long failures = 0;
  (void)state;
  for (int turn = 0; turn < 2; turn++)
    for (long n = 0; ; n++) {
      lua_State *L = newstate();
      lua_pushcfunction(L, turn == 0 ? encoded : decoded);
      push(L, value);
      if (turn == 0) rb_buffer_clear(&bytes);
      lua_gc(L, LUA_GCCOLLECT);
      countdown = n;
      int status = lua_pcall(L, 1, 0, 0);
      long left = countdown;
      countdown = -1;
      lua_close(L);
      if (status == LUA_OK && left > 0) break;
      failures += status != LUA_OK;
      if (status != LUA_OK) assert_int_equal(status, LUA_ERRMEM);
    }
  assert_true(failures > 5);
  rb_buffer_free(&bytes);
  rb_Buffer full = {.failed = 1};  /* and memory of ours: the caller looks */
  lua_State *L = newstate();
  assert_null(encode(L, "{1, 2, a = 3}", &full));
  assert_true(full.failed);
  lua_close(L);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_other_bytes),
    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_labels),
    cmocka_unit_test(test_cannot), cmocka_unit_test(test_damaged),
    cmocka_unit_test(test_memory)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
