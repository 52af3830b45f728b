/*
** render.c - texts with {names} from run, or functions of run
*/

#include <stdlib.h>
#include <string.h>

#include "vm/base.h"
#include "vm/run/run.h"

/* [-0, +1]  a field of run, without raising and without a trace; nil if unset */
static void pushfield (rb_Run *r, const char *name, size_t n) {
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->fields);
  lua_pushlstring(r->L, name, n);
  lua_rawget(r->L, -2);
  lua_remove(r->L, -2);
}

static char *template (rb_Run *r, const char *s) {
  rb_Buffer b = {0};
  while (*s != '\0') {
    const char *open = strchr(s, '{');
    const char *close = open != NULL ? strchr(open, '}') : NULL;
    if (close == NULL) break;
    rb_buffer_add(&b, s, (size_t)(open - s));
    pushfield(r, open + 1, (size_t)(close - open - 1));
    if (lua_isnil(r->L, -1)) rb_buffer_add(&b, open, (size_t)(close - open + 1));
    else {
      size_t n;
      const char *v = rb_guarded_text(r->L, -1, &n);
      rb_buffer_add(&b, v, n);
      lua_pop(r->L, 1);
    }
    lua_pop(r->L, 1);
    s = close + 1;
  }
  rb_buffer_puts(&b, s);
  char *out = rb_redacted(b.s != NULL ? b.s : "", b.n);
  rb_buffer_free(&b);
  return out;
}

/* A function of run: pure, called with the gate shut. Its failure is its text. */
static char *call (rb_Run *r, int ref) {
  size_t n;
  r->vm->closing++;
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, ref);
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->object);
  rb_guarded_call(r->L, 1);
  r->vm->closing--;
  const char *s = rb_guarded_text(r->L, -1, &n);
  char *out = rb_redacted(s, n);
  lua_pop(r->L, 2);
  return out;
}

char *rb_words_render (rb_Run *r, const rb_Words *w) {
  if (w->text != NULL) return template(r, w->text);
  return w->ref != RB_NOREF ? call(r, w->ref) : NULL;
}
