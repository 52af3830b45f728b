/*
** value.c - Lua values as bytes
**
** A tag, then what it needs: lengths and integers in groups of 7 bits, least
** first, floats as 8 bytes. A table is its list part (1..n without a hole),
** then its other keys, sorted by kind and value: how it lies in memory does
** not show.
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/tape/value.h"

#define MAXDEPTH 100
#define FEW 12       /* keys that are sorted on the C stack */

enum {
  NIL = 'n', FALSE_ = 'f', TRUE_ = 't', NULLJSON = 'N', INTEGER = 'i',
  FLOAT = 'd', STRING = 's', LABEL = 'l', TABLE = '{', TYPED = '<'
};

/* a table under way: one that contains itself is found here */
typedef struct Nest {
  const struct Nest *outer;
  const void *table;
  int depth;
} Nest;

/* -- writing ------------------------------------------------------------------- */

static const char *encode (lua_State *L, int idx, rb_Buffer *b,
                           const Nest *outer);

static void addtag (rb_Buffer *b, int tag) {
  char c = (char)tag;
  rb_buffer_add(b, &c, 1);
}

/* n in groups of 7 bits; returns how many bytes that are, at most 10 */
static size_t putsize (unsigned char *s, uint64_t n) {
  size_t i = 0;
  for (; n >= 0x80; n >>= 7) s[i++] = (unsigned char)(n | 0x80);
  s[i++] = (unsigned char)n;
  return i;
}

static void addsize (rb_Buffer *b, uint64_t n) {
  unsigned char s[10];
  rb_buffer_add(b, s, putsize(s, n));
}

/* small negative numbers stay short */
static void addinteger (rb_Buffer *b, lua_Integer n) {
  addtag(b, INTEGER);
  addsize(b, (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0));
}

static void addfloat (rb_Buffer *b, lua_Number n) {
  uint64_t bits;
  unsigned char s[8];
  memcpy(&bits, &n, sizeof bits);
  for (int i = 0; i < 8; i++) s[i] = (unsigned char)(bits >> 8 * i);
  addtag(b, FLOAT);
  rb_buffer_add(b, s, sizeof s);
}

static void addstring (rb_Buffer *b, int tag, const char *s, size_t n) {
  unsigned char head[11] = {(unsigned char)tag};
  rb_buffer_add(b, head, 1 + putsize(head + 1, n));
  rb_buffer_add(b, s, n);
}

/* [-0, +0, m]  a thing of ours: its label and, if it has one, its name */
static int addlabel (lua_State *L, int idx, rb_Buffer *b) {
  if (luaL_getmetafield(L, idx, "__rblabel") == LUA_TNIL) return 0;
  if (luaL_getmetafield(L, idx, "__rbname") != LUA_TNIL) {
    lua_pushvalue(L, idx);  /* its text is a placeholder, and must not be here */
    lua_call(L, 1, 1);
    lua_pushliteral(L, " ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  } else if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushliteral(L, " ");
    luaL_tolstring(L, idx, NULL);
    lua_concat(L, 3);
  }
  size_t n;
  const char *s = lua_tolstring(L, -1, &n);
  if (s != NULL) addstring(b, LABEL, s, n);
  lua_pop(L, 1);
  return s != NULL;
}

void rb_value_resource (rb_Buffer *b, const char *name) {
  static const char label[] = "resource ";
  size_t n = strlen(name);
  addtag(b, LABEL);
  addsize(b, sizeof label - 1 + n);
  rb_buffer_add(b, label, sizeof label - 1);
  rb_buffer_add(b, name, n);
}

/* -- keys ------------------------------------------------------------------------ */

typedef struct Key {
  int type;            /* of Lua; then: is it a float? */
  int isfloat;
  lua_Integer i;
  lua_Number d;
  const char *s;       /* lives as long as it is a key of the table */
  size_t n;
} Key;

static int compare (const void *x, const void *y) {
  const Key *a = x, *b = y;
  if (a->type != b->type) return a->type < b->type ? -1 : 1;
  if (a->type == LUA_TSTRING) {
    int order = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n);
    return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
  }
  if (a->isfloat != b->isfloat) return a->isfloat ? 1 : -1;
  if (a->isfloat) return (a->d > b->d) - (a->d < b->d);
  return (a->i > b->i) - (a->i < b->i);
}

/* the key at the top; 0: not one that can be written */
static int readkey (lua_State *L, Key *k) {
  *k = (Key){.type = lua_type(L, -1)};
  switch (k->type) {
    case LUA_TBOOLEAN: k->i = lua_toboolean(L, -1); return 1;
    case LUA_TSTRING: k->s = lua_tolstring(L, -1, &k->n); return 1;
    case LUA_TNUMBER:
      k->isfloat = !lua_isinteger(L, -1);
      if (k->isfloat) k->d = lua_tonumber(L, -1);
      else k->i = lua_tointeger(L, -1);
      return 1;
    default: return 0;
  }
}

/* [-0, +1, m] */
static void pushkey (lua_State *L, const Key *k) {
  if (k->type == LUA_TSTRING) lua_pushlstring(L, k->s, k->n);
  else if (k->type == LUA_TBOOLEAN) lua_pushboolean(L, (int)k->i);
  else if (k->isfloat) lua_pushnumber(L, k->d);
  else lua_pushinteger(L, k->i);
}

/* is the key at the top one of the list 1..n? */
static int listed (lua_State *L, lua_Integer n) {
  return lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 &&
         lua_tointeger(L, -1) <= n;
}

static lua_Integer countkeys (lua_State *L, int t, lua_Integer list) {
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, t) != 0; ) {
    lua_pop(L, 1);
    if (!listed(L, list)) n++;
  }
  return n;
}

/* the few keys of most tables: qsort takes three times as long */
static void sortfew (Key *keys, lua_Integer n) {
  for (lua_Integer i = 1; i < n; i++) {
    Key k = keys[i];
    lua_Integer at = i;
    for (; at > 0 && compare(&keys[at - 1], &k) > 0; at--) keys[at] = keys[at - 1];
    keys[at] = k;
  }
}

/* [-0, +1, m]  pushes what holds the sorted keys, nil where that is `few`;
** NULL: one cannot be written */
static Key *sortedkeys (lua_State *L, int t, lua_Integer list, lua_Integer n,
                        Key few[FEW]) {
  Key *keys = few, *k;
  if (n > FEW) keys = lua_newuserdatauv(L, (size_t)n * sizeof *keys, 0);
  else lua_pushnil(L);
  k = keys;
  for (lua_pushnil(L); lua_next(L, t) != 0; ) {
    lua_pop(L, 1);
    if (listed(L, list)) continue;
    if (!readkey(L, k++)) { lua_pop(L, 1); return NULL; }
  }
  if (n > FEW) qsort(keys, (size_t)n, sizeof *keys, compare);
  else sortfew(keys, n);
  return keys;
}

/* -- tables ------------------------------------------------------------------------ */

/* the list part; [-0, +0, m] */
static const char *addlist (lua_State *L, int t, lua_Integer n, rb_Buffer *b,
                            const Nest *nest) {
  const char *why = NULL;
  addsize(b, (uint64_t)n);
  for (lua_Integer i = 1; i <= n && why == NULL; i++) {
    lua_rawgeti(L, t, i);
    why = encode(L, lua_gettop(L), b, nest);
    lua_pop(L, 1);
  }
  return why;
}

/* the other keys; [-0, +0, m] */
static const char *addkeys (lua_State *L, int t, lua_Integer list,
                            rb_Buffer *b, const Nest *nest) {
  lua_Integer n = countkeys(L, t, list);
  const char *why = NULL;
  addsize(b, (uint64_t)n);
  if (n == 0) return NULL;
  Key few[FEW], *keys = sortedkeys(L, t, list, n, few);
  if (keys == NULL) why = "a table whose key is neither text nor number";
  for (lua_Integer i = 0; i < n && why == NULL; i++) {
    pushkey(L, &keys[i]);
    encode(L, lua_gettop(L), b, nest);
    lua_rawget(L, t);
    why = encode(L, lua_gettop(L), b, nest);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return why;
}

/* [-0, +0, m]  a result type by its name */
static void addtype (lua_State *L, int t, rb_Buffer *b) {
  size_t len;
  if (luaL_getmetafield(L, t, "__rbtype") == LUA_TNIL) return;
  lua_pop(L, 1);
  if (luaL_getmetafield(L, t, "__name") == LUA_TNIL) return;
  const char *name = lua_tolstring(L, -1, &len);
  if (name != NULL) addstring(b, TYPED, name, len);
  lua_pop(L, 1);
}

static const char *addtable (lua_State *L, int t, rb_Buffer *b,
                             const Nest *outer) {
  Nest nest = {outer, lua_topointer(L, t), outer != NULL ? outer->depth + 1 : 1};
  for (const Nest *n = outer; n != NULL; n = n->outer)
    if (n->table == nest.table) return "a table that contains itself";
  if (nest.depth > MAXDEPTH) return "a table nested more than 100 deep";
  luaL_checkstack(L, 8, "not enough memory");
  if (addlabel(L, t, b)) return NULL;
  addtype(L, t, b);
  addtag(b, TABLE);
  lua_Integer n = 0;
  while (lua_rawgeti(L, t, n + 1) != LUA_TNIL) {
    lua_pop(L, 1);
    n++;
  }
  lua_pop(L, 1);
  const char *why = addlist(L, t, n, b, &nest);
  return why != NULL ? why : addkeys(L, t, n, b, &nest);
}

static const char *encode (lua_State *L, int idx, rb_Buffer *b,
                           const Nest *outer) {
  size_t n;
  const char *s;
  switch (lua_type(L, idx)) {
    case LUA_TNIL: addtag(b, NIL); return NULL;
    case LUA_TBOOLEAN:
      addtag(b, lua_toboolean(L, idx) ? TRUE_ : FALSE_);
      return NULL;
    case LUA_TNUMBER:
      if (lua_isinteger(L, idx)) addinteger(b, lua_tointeger(L, idx));
      else addfloat(b, lua_tonumber(L, idx));
      return NULL;
    case LUA_TSTRING:
      s = lua_tolstring(L, idx, &n);
      addstring(b, STRING, s, n);
      return NULL;
    case LUA_TTABLE: return addtable(L, idx, b, outer);
    case LUA_TFUNCTION: return "a function";
    case LUA_TTHREAD: return "a coroutine";
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, idx) != NULL) return "a pointer";
      addtag(b, NULLJSON);  /* json.null */
      return NULL;
    default: return addlabel(L, idx, b) ? NULL : "an object of C";
  }
}

const char *rb_value_encode (lua_State *L, int idx, rb_Buffer *b) {
  luaL_checkstack(L, 8, "not enough memory");
  return encode(L, lua_absindex(L, idx), b, NULL);
}

/* -- reading ------------------------------------------------------------------------- */

typedef struct Reader {
  const char *s;
  size_t n;            /* left */
  int depth;
  void (*settype) (lua_State *L, const char *name);
} Reader;

static int decode (lua_State *L, Reader *r);

static int take (Reader *r) {
  if (r->n == 0) return -1;
  r->n--;
  return (unsigned char)*r->s++;
}

static int takesize (Reader *r, uint64_t *n) {
  *n = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    int c = take(r);
    if (c < 0 || (shift == 63 && c > 1)) return 0;
    *n |= (uint64_t)(c & 0x7F) << shift;
    if (c < 0x80) return 1;
  }
  return 0;
}

static int takebytes (Reader *r, const char **s, size_t *n) {
  uint64_t size;
  if (!takesize(r, &size) || size > r->n) return 0;
  *s = r->s;
  *n = (size_t)size;
  r->s += size;
  r->n -= (size_t)size;
  return 1;
}

/* [-0, +1, m] */
static int getinteger (lua_State *L, Reader *r) {
  uint64_t n;
  if (!takesize(r, &n)) return 0;
  lua_pushinteger(L, (lua_Integer)(n >> 1 ^ (n & 1 ? UINT64_MAX : 0)));
  return 1;
}

/* [-0, +1, m] */
static int getfloat (lua_State *L, Reader *r) {
  uint64_t bits = 0;
  lua_Number d;
  if (r->n < 8) return 0;
  for (int i = 0; i < 8; i++) bits |= (uint64_t)(unsigned char)r->s[i] << 8 * i;
  r->s += 8;
  r->n -= 8;
  memcpy(&d, &bits, sizeof d);
  lua_pushnumber(L, d);
  return 1;
}

/* [-0, +1, m] */
static int getstring (lua_State *L, Reader *r) {
  const char *s;
  size_t n;
  if (!takebytes(r, &s, &n)) return 0;
  lua_pushlstring(L, s, n);
  return 1;
}

/* the pairs after the list; the table is at the top */
static int getkeys (lua_State *L, Reader *r, uint64_t n) {
  for (; n > 0; n--) {
    if (!decode(L, r)) return 0;
    int type = lua_type(L, -1);
    if ((type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) ||
        (type == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1)) ||
        !decode(L, r)) return 0;
    lua_rawset(L, -3);
  }
  return 1;
}

/* [-0, +1, m]  what fails leaves the stack to rb_value_decode */
static int gettable (lua_State *L, Reader *r) {
  uint64_t n;
  if (!takesize(r, &n) || n > r->n || ++r->depth > MAXDEPTH) return 0;
  luaL_checkstack(L, 6, "not enough memory");
  lua_createtable(L, (int)(n < 65536 ? n : 65536), 0);
  for (uint64_t i = 1; i <= n; i++) {
    if (!decode(L, r)) return 0;
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  int right = takesize(r, &n) && n <= r->n && getkeys(L, r, n);
  r->depth--;
  return right;
}

/* [-0, +1, m] */
static int gettyped (lua_State *L, Reader *r) {
  char name[128];
  const char *s;
  size_t n;
  if (!takebytes(r, &s, &n) || n >= sizeof name || memchr(s, '\0', n) != NULL ||
      take(r) != TABLE || !gettable(L, r)) return 0;
  memcpy(name, s, n);
  name[n] = '\0';
  if (r->settype != NULL) r->settype(L, name);
  return 1;
}

/* [-0, +1, m]  pushes one value */
static int decode (lua_State *L, Reader *r) {
  switch (take(r)) {
    case NIL: lua_pushnil(L); return 1;
    case FALSE_: lua_pushboolean(L, 0); return 1;
    case TRUE_: lua_pushboolean(L, 1); return 1;
    case NULLJSON: lua_pushlightuserdata(L, NULL); return 1;
    case INTEGER: return getinteger(L, r);
    case FLOAT: return getfloat(L, r);
    case STRING: case LABEL: return getstring(L, r);
    case TABLE: return gettable(L, r);
    case TYPED: return gettyped(L, r);
    default: return 0;
  }
}

int rb_value_decode (lua_State *L, const char *s, size_t n,
                     void (*settype) (lua_State *L, const char *name)) {
  int top = lua_gettop(L);
  Reader r = {.s = s, .n = n, .settype = settype};
  luaL_checkstack(L, 8, "not enough memory");
  if (decode(L, &r) && r.n == 0) return 1;
  lua_settop(L, top);
  return 0;
}
