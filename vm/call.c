/*
** call.c - the running call, as its module sees it: failing, describing,
** asking whether it may change the world
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vm.h"

#define ERROR "rb.error"

/* -- errors ------------------------------------------------------------------- */

static int error_tostring (lua_State *L) {
  lua_getfield(L, 1, "message");
  return 1;
}

void rb_seterror (lua_State *L) {
  if (luaL_newmetatable(L, ERROR)) {
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
}

/* [-0, +1, m]  {kind, message, certainty} */
__attribute__((format(printf, 4, 0)))
static void pusherror (lua_State *L, const char *kind, const char *certainty,
                       const char *fmt, va_list ap) {
  char message[1024];
  vsnprintf(message, sizeof message, fmt, ap);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, certainty);
  lua_setfield(L, -2, "certainty");
  rb_seterror(L);
}

void rb_push_failure (lua_State *L, const char *kind, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  pusherror(L, kind, "not done", fmt, ap);
  va_end(ap);
}

int rb_fail (lua_State *L, const char *kind, rb_Certainty certainty,
             const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  pusherror(L, kind, certainty == RB_UNKNOWN ? "unknown" : certainty == RB_PARTLY ?
            "partly" : "not done", fmt, ap);
  va_end(ap);
  return lua_error(L);
}

int rb_refuse (lua_State *L, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  pusherror(L, "refused", "not done", fmt, ap);
  va_end(ap);
  return lua_error(L);
}

const char *rb_error_field (lua_State *L, const char *field) {
  const char *s = NULL;
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, field);
    s = lua_tostring(L, -1);  /* the error keeps it alive */
    lua_pop(L, 1);
  }
  return s != NULL ? s : "";
}

/* -- the running call, as modules see it ------------------------------------------ */

rb_Resource *rb_resource (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  if (t->call.box == NULL) luaL_error(L, "no primitive is running");
  return &t->call.box->r;
}

void rb_describe (lua_State *L, const char *fmt, ...) {
  rb_Buffer *b = &rb_taskof(L)->call.summary;
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  rb_buffer_clear(b);
  rb_buffer_puts(b, text);
}

int rb_maychange (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  return t->calling && !t->vm->dryrun && !t->call.previewing
         && (t->call.effect == RB_REMEDY || t->call.effect == RB_NOTICE);
}

int rb_dryrun (lua_State *L) { return rb_vm(L)->dryrun; }

void rb_plan (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &rb_taskof(L)->call);
}

double rb_time (lua_State *L) { return rb_vm(L)->lastdelivered; }

double rb_waited (lua_State *L) { return rb_vm(L)->waited; }

/* The path of the first attempt: a repetition is told by having the same key. */
const char *rb_idempotency (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  unsigned char raw[16] = {0};
  char text[33];
  t->call.repeatable = rb_maychange(L);
  if (t->vm->tape != NULL) {
    const char *path = lua_pushfstring(L, "%s/%d", t->path, t->n - t->call.attempt);
    rb_tape_derive(t->vm->tape, path, raw, sizeof raw);
    lua_pop(L, 1);
  }
  for (int i = 0; i < 16; i++) snprintf(text + 2 * i, 3, "%02x", raw[i]);
  return lua_pushstring(L, text);
}

const char *rb_runid (lua_State *L) {
  const rb_Report *r = rb_vm(L)->report;
  return r != NULL ? r->run : "";
}

void rb_remade (lua_State *L, const char *why) {
  rb_VM *vm = rb_vm(L);
  rb_Buffer b = {0};
  rb_buffer_printf(&b, "%s: the connection was lost (%s), and has been made anew",
                   rb_resource(L)->name, why);
  char *text = rb_redacted(b.s != NULL ? b.s : "", b.n);
  rb_buffer_free(&b);
  if (text == NULL) return;
  if (vm->show != NULL) rb_show_note(vm->show, text);
  rb_record(vm, "remade", NULL, json_pack("{s:o}", "text", rb_jsontext(text, strlen(text))));
  free(text);
}

/* [-0, +1, m]  rows -> list of names, for as long as the rows are there */
static void pushcolumns (lua_State *L) {
  if (luaL_getsubtable(L, LUA_REGISTRYINDEX, "rb.columns")) return;
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void rb_columns (lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  if (rb_vm(L)->took != NULL) {  /* somebody looks */
    pushcolumns(L);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

int rb_columns_of (lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  pushcolumns(L);
  lua_pushvalue(L, idx);
  int is = lua_rawget(L, -2) == LUA_TTABLE;
  lua_remove(L, -2);
  return is;
}

/* the layer out of the list of those that hold */
static void strike (json_t *list, const char *layer) {
  for (size_t i = json_array_size(list); i-- > 0; )
    if (strcmp(json_string_value(json_array_get(list, i)), layer) == 0)
      json_array_remove(list, i);
}

void rb_unclaim (lua_State *L, const char *layer, const char *why) {
  rb_Report *r = rb_vm(L)->report;
  int kernel = strcmp(layer, "kernel") == 0;
  char **said = r == NULL ? NULL : kernel ? &r->kernelwhy : &r->protocolwhy;
  rb_Buffer b = {0};
  char text[400];
  if (rb_vm(L)->strict)
    rb_fail(L, "layers", RB_NOTDONE, "--require-layers: %s does not hold here: %s", layer, why);
  if (r == NULL || (*said != NULL && strstr(*said, why) != NULL)) return;
  if (kernel) r->kernel = 0;
  else strike(r->protocol, layer);
  if (*said != NULL) rb_buffer_printf(&b, "%s; ", *said);
  if (!kernel) rb_buffer_printf(&b, "%s: ", layer);
  rb_buffer_puts(&b, why);
  free(*said);
  *said = b.s;
  if (!rb_vm(L)->dryrun) return;  /* it claimed none */
  snprintf(text, sizeof text, "not held from here on: %s: %s", layer, why);
  rb_show_note(rb_vm(L)->show, text);
}
