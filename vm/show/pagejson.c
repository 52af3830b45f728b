/*
** pagejson.c - an outline for programs
*/

#include <string.h>

#include <lauxlib.h>

#include "vm/config/config.h"  /* rb_limitnames */
#include "vm/show/page.h"

/* a text, or null: absent, or a function of run */
static json_t *text (const char *s) {
  return s != NULL ? json_string(s) : json_null();
}

static json_t *words (const rb_Words *w) {
  if (w->text == NULL && w->ref != RB_NOREF)
    return json_string("(depends on the run)");
  return text(w->text);
}

static json_t *list (const char *const *words_) {
  json_t *a = json_array();
  for (; words_ != NULL && *words_ != NULL; words_++)
    json_array_append_new(a, json_string(*words_));
  return a;
}

static json_t *duration (double seconds) {
  char s[32];
  rb_duration_text(seconds, s, sizeof s);
  return seconds > 0 ? json_string(s) : json_null();
}

static json_t *value (lua_State *L, int ref) {
  json_t *v;
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  if (lua_isboolean(L, -1)) v = json_boolean(lua_toboolean(L, -1));
  else if (lua_isinteger(L, -1)) v = json_integer(lua_tointeger(L, -1));
  else if (lua_type(L, -1) == LUA_TNUMBER) v = json_real(lua_tonumber(L, -1));
  else v = text(lua_tostring(L, -1));
  lua_pop(L, 1);
  return v;
}

static json_t *limits (lua_State *L, int ref) {
  json_t *o = json_object();
  if (ref == RB_NOREF) return o;
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  for (const char *const *name = rb_limitnames; *name != NULL; name++) {
    if (lua_getfield(L, -1, *name) != LUA_TNIL)
      json_object_set_new(o, *name, json_integer(lua_tointeger(L, -1)));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return o;
}

static json_t *params (lua_State *L, const rb_Outline *o, int first, int n) {
  json_t *a = json_array();
  for (const rb_Param *q = o->params + first; q < o->params + first + n; q++) {
    json_t *p = json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", q->name, "type",
        q->typename, "required", q->required, "default",
        q->defaultref != RB_NOREF ? value(L, q->defaultref) : json_null(),
        "help", text(q->help));
    if (q->type == RB_CHOICE)
      json_object_set_new(p, "choices", list(q->choices));
    json_array_append_new(a, p);
  }
  return a;
}

static json_t *step (const rb_Outline *o, const rb_Step *s) {
  static const char *const outcomes[] = {"stop", "continue", "warn"};
  json_t *has = json_array(), *retry = json_null();
  for (int f = 0; f < RB_FIELDS; f++)
    if (s->fn[f] != RB_NOREF)
      json_array_append_new(has, json_string(rb_fieldnames[f]));
  if (s->retries > 0)
    retry = json_pack("{s:i, s:o}", "times", s->retries, "every",
                      duration(s->every));
  return json_pack("{s:i, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o,"
      " s:s, s:b}", "n", (int)(s - o->steps) + 1, "id", s->id, "title",
      words(&s->title), "case",
      s->incase < 0 ? json_null() : json_string(o->cases[s->incase].id),
      "line", s->line, "fields", has, "approve", list(s->approve), "manual",
      words(&s->manual), "irreversible", words(&s->irreversible), "timeout",
      duration(s->timeout), "retry", retry, "on_failure",
      outcomes[s->on_failure], "diagnose", s->diagnose);
}

static json_t *case_ (lua_State *L, const rb_Outline *o, const rb_Case *c) {
  const char *when = c->asked ? "asked" : c->when != RB_NOREF ? "probe"
                                                              : "always";
  return json_pack("{s:s, s:o, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "id",
      c->id, "title", words(&c->title), "when", when, "group", c->group,
      "line", c->line, "severity", text(c->severity), "approve",
      list(c->approve), "lock", words(&c->lock), "limits",
      limits(L, c->limitsref), "params",
      params(L, o, c->firstparam, c->nparams));
}

json_t *rb_page_json (lua_State *L, const rb_Outline *o) {
  json_t *steps = json_array(), *cases = json_array();
  int own = o->ncases > 0 ? o->cases[0].firstparam : o->nparams;
  for (int i = 0; i < o->nsteps; i++)
    json_array_append_new(steps, step(o, &o->steps[i]));
  for (int i = 0; i < o->ncases; i++)
    json_array_append_new(cases, case_(L, o, &o->cases[i]));
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
      " s:o, s:o, s:o}", "name", o->name, "file", o->file, "title", o->title,
      "system", text(o->system), "use_when", text(o->use_when), "impact",
      text(o->impact), "severity", text(o->severity), "approve",
      list(o->approve), "targets", list(o->targets), "lock", words(&o->lock),
      "limits", limits(L, o->limitsref), "params", params(L, o, 0, own),
      "cases", cases, "steps", steps);
}
