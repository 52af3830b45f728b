/*
** secret.c - values that only the gate can open
*/

#include <stdlib.h>
#include <string.h>

#include "vm/redact.h"
#include "vm/vm.h"

typedef struct Secret {
  char *name;
  size_t len;
  char text[];
} Secret;

static int secret_gc (lua_State *L) {
  Secret *s = luaL_checkudata(L, 1, RB_SECRETTYPE);
  free(s->name);
  s->name = NULL;
  explicit_bzero(s->text, s->len);
  return 0;
}

static int secret_tostring (lua_State *L) {
  Secret *s = luaL_checkudata(L, 1, RB_SECRETTYPE);
  lua_pushfstring(L, "[redacted %s]", s->name);
  return 1;
}

static int secret_name (lua_State *L) {
  lua_pushstring(L, ((Secret *)luaL_checkudata(L, 1, RB_SECRETTYPE))->name);
  return 1;
}

void rb_push_secret (lua_State *L, const char *name, const char *text,
                     size_t len) {
  rb_redact_add(name, text, len);
  Secret *s = lua_newuserdatauv(L, sizeof *s + len + 1, 0);
  s->name = NULL;
  s->len = len;
  memcpy(s->text, text, len);
  s->text[len] = '\0';
  if (luaL_newmetatable(L, RB_SECRETTYPE)) {
    lua_pushcfunction(L, secret_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, secret_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "secret");
    lua_setfield(L, -2, "__rblabel");
    lua_pushcfunction(L, secret_name);
    lua_setfield(L, -2, "__rbname");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  s->name = strdup(name);
  if (s->name == NULL) luaL_error(L, "not enough memory");
}

const char *rb_text (lua_State *L, int idx, size_t *len) {
  Secret *s = luaL_testudata(L, idx, RB_SECRETTYPE);
  if (s == NULL) {
    luaL_argexpected(L, lua_type(L, idx) == LUA_TSTRING
                     || lua_type(L, idx) == LUA_TNUMBER, idx,
                     "string or secret");
    lua_pushvalue(L, idx);
    return lua_tolstring(L, -1, len);
  }
  return lua_pushlstring(L, s->text, s->len), lua_tolstring(L, -1, len);
}

/* What an effect found to be a secret, a later session finds on the tape and not by
** the effect: it must be one there, too. (A token is derived again.) */
static void tape (lua_State *L, const char *name, const char *text, size_t len) {
  rb_Task *t = rb_taskof(L);
  rb_VM *vm = rb_vm(L);
  if (vm->tape == NULL || vm->mute || vm->dryrun || t == NULL || !t->calling
      || rb_redact_knows(text, len)) return;
  rb_record_sealed(vm, "secret", NULL, json_pack("{s:o}", "name",
                   rb_jsontext(name, strlen(name))), text, len);
}

void rb_pushsecret (lua_State *L, const char *name, const char *text,
                    size_t len) {
  tape(L, name, text, len);
  rb_push_secret(L, name, text, len);
}

void rb_secret (lua_State *L, const char *name, const char *text,
                size_t len) {
  tape(L, name, text, len);
  rb_redact_add(name, text, len);
}
