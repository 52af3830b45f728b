/*
** item.c - what the configuration returned, copied out of its Lua state
**
** The state is closed once the file has run: what is kept is C data, so that
** asking the configuration can neither raise nor run anything.
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/config/private.h"

#define MAXDEPTH 20
#define MAXITEMS 50000

typedef struct Reader {
  char place[400];
  int depth, count;
} Reader;

/* -- reading --------------------------------------------------------------- */

static void wrong (lua_State *L, const Reader *r, const char *what) {
  luaL_error(L, "%s%s%s", r->place, *r->place != '\0' ? ": " : "", what);
}

/* appends ".key" to the place; returns what to cut it back to */
static size_t enter (Reader *r, const char *key) {
  size_t n = strlen(r->place), k = strlen(key);
  if (n + k + 2 > sizeof r->place) k = 0;
  if (n > 0 && k > 0) r->place[n] = '.';
  memcpy(r->place + n + (n > 0 && k > 0), key, k);
  r->place[n + (n > 0 && k > 0) + k] = '\0';
  return n;
}

static char *copytext (lua_State *L, const Reader *r, int idx) {
  size_t n;
  const char *s = lua_tolstring(L, idx, &n);
  if (strlen(s) != n) wrong(L, r, "a text with a zero byte in it");
  char *copy = strdup(s);
  if (copy == NULL) luaL_error(L, "not enough memory");
  return copy;
}

static void readvalue (lua_State *L, Reader *r, rb_Item *item);

static void readlist (lua_State *L, Reader *r, rb_Item *item) {
  for (size_t i = 1; i <= item->nlist; i++) {
    const char *key = lua_pushfstring(L, "%I", (LUAI_UACINT)i);
    size_t back = enter(r, key);
    lua_pop(L, 1);
    lua_rawgeti(L, -1, (lua_Integer)i);
    if (lua_isnil(L, -1)) wrong(L, r, "nil in a list");
    readvalue(L, r, &item->items[item->n++]);
    lua_pop(L, 1);
    r->place[back] = '\0';
  }
}

static void readkeys (lua_State *L, Reader *r, rb_Item *item) {
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    int type = lua_type(L, -2);
    lua_Integer i = type == LUA_TNUMBER ? lua_tointeger(L, -2) : 0;
    if (i < 1 || (size_t)i > item->nlist) {
      if (type != LUA_TSTRING) wrong(L, r, "keys are names, or 1, 2, 3 without a gap");
      rb_Item *one = &item->items[item->n++];
      one->key = copytext(L, r, -2);
      size_t back = enter(r, one->key);
      readvalue(L, r, one);
      r->place[back] = '\0';
    }
    lua_pop(L, 1);
  }
}

static int bykey (const void *a, const void *b) {
  return strcmp(((const rb_Item *)a)->key, ((const rb_Item *)b)->key);
}

/* the names of a table: for a list of texts those, else its keys */
static int setnames (rb_Item *item) {
  size_t n = 0;
  item->names = calloc(item->n + 1, sizeof *item->names);
  if (item->names == NULL) return 0;
  for (size_t i = 0; i < item->n; i++) {
    const rb_Item *one = &item->items[i];
    const char *name = i >= item->nlist ? one->key
                       : one->type == RB_ITEMTEXT ? one->text : NULL;
    if (name != NULL) item->names[n++] = name;
  }
  return 1;
}

static void readtable (lua_State *L, Reader *r, rb_Item *item) {
  size_t count = 0;
  if (++r->depth > MAXDEPTH) wrong(L, r, "nested too deeply (does it hold itself?)");
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) count++;
  r->count += (int)count;
  if (r->count > MAXITEMS) wrong(L, r, "too big for a configuration");
  item->type = RB_ITEMTABLE;
  item->nlist = lua_rawlen(L, -1);
  if (item->nlist > count) wrong(L, r, "nil in a list");
  item->items = calloc(count + 1, sizeof *item->items);
  if (item->items == NULL) luaL_error(L, "not enough memory");
  readlist(L, r, item);
  readkeys(L, r, item);
  if (item->n > item->nlist)
    qsort(item->items + item->nlist, item->n - item->nlist, sizeof *item->items, bykey);
  if (!setnames(item)) luaL_error(L, "not enough memory");
  r->depth--;
}

static void readnumber (lua_State *L, rb_Item *item) {
  item->type = lua_isinteger(L, -1) ? RB_ITEMINTEGER : RB_ITEMNUMBER;
  if (item->type == RB_ITEMINTEGER) item->integer = lua_tointeger(L, -1);
  else item->number = lua_tonumber(L, -1);
}

static void readlater (lua_State *L, Reader *r, rb_Item *item) {
  const rb_Later *l = luaL_testudata(L, -1, RB_LATER);
  if (l == NULL) {
    lua_pushfstring(L, "a %s cannot stand in a configuration", luaL_typename(L, -1));
    wrong(L, r, lua_tostring(L, -1));
  }
  item->type = l->secret ? RB_ITEMSECRET : RB_ITEMENV;
  item->text = strdup(l->name);
  if (item->text == NULL) luaL_error(L, "not enough memory");
}

/* the value at the top */
static void readvalue (lua_State *L, Reader *r, rb_Item *item) {
  luaL_checkstack(L, 10, "nested too deeply");
  switch (lua_type(L, -1)) {
    case LUA_TTABLE: readtable(L, r, item); break;
    case LUA_TNUMBER: readnumber(L, item); break;
    case LUA_TSTRING:
      item->type = RB_ITEMTEXT;
      item->text = copytext(L, r, -1);
      break;
    case LUA_TBOOLEAN:
      item->type = RB_ITEMBOOLEAN;
      item->integer = lua_toboolean(L, -1);
      break;
    default: readlater(L, r, item); break;
  }
}

void rb_item_read (lua_State *L, rb_Item *item) {
  Reader r = {0};
  readvalue(L, &r, item);
}

static void wipe (char *s) {
  if (s != NULL) explicit_bzero(s, strlen(s));
  free(s);
}

void rb_item_free (rb_Item *item) {
  for (size_t i = 0; i < item->n; i++) rb_item_free(&item->items[i]);
  free(item->items);
  free((void *)item->names);
  free(item->key);
  wipe(item->text);
  wipe(item->value);
  *item = (rb_Item){0};
}

/* -- asking ---------------------------------------------------------------- */

const rb_Item *rb_item_get (const rb_Item *t, const char *key) {
  if (t == NULL || t->type != RB_ITEMTABLE) return NULL;
  for (size_t i = t->nlist; i < t->n; i++)
    if (strcmp(t->items[i].key, key) == 0) return &t->items[i];
  return NULL;
}

const char *rb_item_text (const rb_Item *item) {
  if (item == NULL) return NULL;
  return item->type == RB_ITEMTEXT ? item->text : item->value;
}

static void pushtable (lua_State *L, const rb_Item *item, rb_PushSecret push) {
  luaL_checkstack(L, 10, "nested too deeply");
  lua_createtable(L, (int)item->nlist, (int)(item->n - item->nlist));
  for (size_t i = 0; i < item->n; i++) {
    rb_item_push(L, &item->items[i], push);
    if (i < item->nlist) lua_rawseti(L, -2, (lua_Integer)i + 1);
    else lua_setfield(L, -2, item->items[i].key);
  }
}

void rb_item_push (lua_State *L, const rb_Item *item, rb_PushSecret push) {
  const char *value = rb_item_text(item);
  if (item == NULL) lua_pushnil(L);
  else switch (item->type) {
    case RB_ITEMTABLE: pushtable(L, item, push); break;
    case RB_ITEMTEXT: case RB_ITEMENV: lua_pushstring(L, value); break;
    case RB_ITEMINTEGER: lua_pushinteger(L, item->integer); break;
    case RB_ITEMNUMBER: lua_pushnumber(L, item->number); break;
    case RB_ITEMBOOLEAN: lua_pushboolean(L, (int)item->integer); break;
    case RB_ITEMSECRET:
      if (value != NULL) push(L, item->text, value, strlen(value));
      else lua_pushnil(L);
      break;
  }
}
