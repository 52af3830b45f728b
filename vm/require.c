/*
** require.c - finds NAME.lua beside the runbook, then among the stdlib's Lua
**
** Nothing else is found. Required files are trusted input like the runbook;
** they are remembered, since digests and the tape cover them.
*/

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/base.h"
#include "vm/state.h"
#include "vm/vm.h"

#define LOADED "rb.required"  /* registry: name -> value */
#define FILES "rb.files"      /* registry: path -> text */
#define MAXFILE (1 << 20)
#define CHUNK 16384           /* bytes read at a time */

static void checkname (lua_State *L, const char *name) {
  const char *c = name;
  while (isalnum((unsigned char)*c) || *c == '_' || *c == '-') c++;
  luaL_argcheck(L, *c == '\0' && c != name && c - name < 100, 1,
                "a plain name expected (letters, digits, _ and -)");
}

const char *rb_state_taped (lua_State *L, const char *path, size_t *n) {
  const json_t *text = json_object_get(rb_vm(L)->files, path);
  *n = json_string_length(text);
  return json_string_value(text);
}

/* [-0, +1 text or nothing]  reads a whole file; 0 when there is none */
static int readfile (lua_State *L, const char *path) {
  size_t len;
  const char *taped = rb_state_taped(L, path, &len);
  if (taped != NULL) {
    lua_pushlstring(L, taped, len);
    return 1;
  }
  FILE *f = fopen(path, "re");
  luaL_Buffer b;
  size_t n, all = 0;
  if (f == NULL) {
    if (errno == ENOENT || errno == ENOTDIR) return 0;
    return luaL_error(L, "cannot read %s: %s", path, strerror(errno));
  }
  char *chunk = luaL_buffinitsize(L, &b, CHUNK);
  while (all < MAXFILE && (n = fread(chunk, 1, CHUNK, f)) > 0) {
    luaL_addsize(&b, n);
    all += n;
    chunk = luaL_prepbuffsize(&b, CHUNK);
  }
  int bad = ferror(f) || all >= MAXFILE;
  fclose(f);
  if (bad) return luaL_error(L, "cannot read %s (at most 1 MB)", path);
  luaL_pushresult(&b);
  return 1;
}

/* [-0, +2 path, text]  or raises, naming where it looked */
static void findfile (lua_State *L, const char *name) {
  rb_VM *vm = rb_vm(L);
  char installed[4096];
  if (vm->folder != NULL) {
    const char *path = lua_pushfstring(L, "%s/%s.lua", vm->folder, name);
    if (readfile(L, path)) return;
    lua_pop(L, 1);
  }
  int found = rb_module_script(name, installed, sizeof installed);
  if (found < 0)
    luaL_error(L, "%s is not used: it must belong to root or to you and be writable "
               "by nobody else", installed);
  if (found && readfile(L, lua_pushstring(L, installed))) return;
  luaL_error(L, "no module '%s': there is no %s.lua in %s, nor in the standard library",
             name, name, vm->folder != NULL ? vm->folder : "the runbook's folder");
}

void rb_state_remember (lua_State *L, const char *path, const char *text,
                        size_t n) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, FILES);
  lua_pushlstring(L, text, n);
  lua_setfield(L, -2, path);
  lua_pop(L, 1);
}

/* [-0, +1, v]  the chunk of a file */
static void compile (lua_State *L, const char *path, const char *text, size_t n) {
  const rb_VM *vm = rb_vm(L);
  const char *name = lua_pushfstring(L, "@%s", path);
  int status = vm->compile != NULL ? vm->compile(L, path, text, n)
                                   : luaL_loadbufferx(L, text, n, name, "t");
  if (status != LUA_OK) lua_error(L);
}

int rb_require (lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  checkname(L, name);
  lua_settop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LOADED);      /* 2 */
  if (lua_getfield(L, 2, name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  findfile(L, name);                                   /* 3 path, 4 text */
  size_t n;
  const char *text = lua_tolstring(L, 4, &n);
  rb_state_remember(L, lua_tostring(L, 3), text, n);
  compile(L, lua_tostring(L, 3), text, n);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, 2, name);
  return 1;
}

void rb_require_forget (lua_State *L) {
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LOADED);
}

/* FILES is walked in sorted order, for digests depend on it */
void rb_state_files (lua_State *L, void (*each) (void *ud, const char *path,
                     const char *text, size_t n), void *ud) {
  lua_pushcfunction(L, rb_pairs);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, FILES);
  lua_call(L, 1, 3);                                  /* next, files, key */
  for (;;) {
    size_t n;
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 2);                                /* ... path, text */
    if (lua_isnil(L, -2)) break;
    const char *text = lua_tolstring(L, -1, &n);
    each(ud, lua_tostring(L, -2), text, n);
    lua_pop(L, 1);
    lua_replace(L, -2);
  }
  lua_pop(L, 5);
}
