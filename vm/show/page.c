/*
** page.c - an outline as a page to be followed by hand
**
** One walk over the outline, for every style.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/config/config.h"  /* rb_limitnames */
#include "vm/show/pagestyle.h"

#define DEPENDS "(depends on the run)"

/* -- texts of the outline -------------------------------------------------- */

static const char *words (const rb_Words *w) {
  if (w->text != NULL) return w->text;
  return w->ref != RB_NOREF ? DEPENDS : NULL;
}

void rb_page_list (const char *const *list, rb_Buffer *b) {
  for (int i = 0; list[i] != NULL; i++)
    rb_buffer_printf(b, "%s%s", i > 0 ? ", " : "", list[i]);
}

/* "required", "default 1h" or "optional" */
void rb_page_status (rb_Page *p, const rb_Param *q, rb_Buffer *b) {
  if (q->defaultref == RB_NOREF) {
    rb_buffer_puts(b, q->required ? "required" : "optional");
    return;
  }
  lua_rawgeti(p->L, LUA_REGISTRYINDEX, q->defaultref);
  const char *value = luaL_tolstring(p->L, -1, NULL);
  if (*value != '\0') rb_buffer_printf(b, "default %s", value);
  else rb_buffer_puts(b, "optional");
  lua_pop(p->L, 2);
}

void rb_page_type (const rb_Param *q, rb_Buffer *b) {
  if (q->type == RB_CHOICE) rb_page_list(q->choices, b);
  else rb_buffer_puts(b, q->typename);
}

static void limitstext (rb_Page *p, int ref, rb_Buffer *b) {
  if (ref == RB_NOREF) return;
  lua_rawgeti(p->L, LUA_REGISTRYINDEX, ref);
  for (const char *const *name = rb_limitnames; *name != NULL; name++) {
    if (lua_getfield(p->L, -1, *name) != LUA_TNIL)
      rb_buffer_printf(b, "%s%s %lld", b->n > 0 ? ", " : "", *name,
                       lua_tointeger(p->L, -1));
    lua_pop(p->L, 1);
  }
  lua_pop(p->L, 1);
}

/* do the lines say themselves what they are: "probe = function (run)"? */
int rb_page_labelled (const char *label, const char *lines) {
  return strncmp(lines, label, strlen(label)) == 0;
}

/* -- the walk -------------------------------------------------------------- */

static void pair (rb_Page *p, const char *label, const char *s) {
  if (s != NULL && *s != '\0') p->style->pair(p, label, s);
}

static void pairlist (rb_Page *p, const char *label, const char *const *list) {
  rb_Buffer b = {0};
  rb_page_list(list, &b);
  pair(p, label, b.s);
  rb_buffer_free(&b);
}

static void pairlimits (rb_Page *p, int ref) {
  rb_Buffer b = {0};
  limitstext(p, ref, &b);
  pair(p, "limits", b.s);
  rb_buffer_free(&b);
}

static void pairtime (rb_Page *p, const char *label, double seconds) {
  char s[32];
  rb_duration_text(seconds, s, sizeof s);
  if (seconds > 0) pair(p, label, s);
}

static void function (rb_Page *p, const char *label, int ref) {
  rb_Buffer b = {0};
  if (ref == RB_NOREF) return;
  rb_page_source(p->L, p->o, ref, &b);
  if (b.s != NULL) p->style->code(p, label, b.s);
  else pair(p, label, "(defined in another file)");
  rb_buffer_free(&b);
}

static void pairretry (rb_Page *p, const rb_Step *s) {
  char every[32], s_[64];
  if (s->retries == 0) return;
  rb_duration_text(s->every, every, sizeof every);
  snprintf(s_, sizeof s_, "%d time%s, every %s", s->retries,
           s->retries == 1 ? "" : "s", every);
  pair(p, "retry", s_);
}

static void walkstep (rb_Page *p, const rb_Step *s) {
  static const char *const outcomes[] = {
    NULL, "goes on, and the run exits 1", "warns, and goes on"
  };
  const char *title = words(&s->title);
  p->style->step(p, (int)(s - p->o->steps) + 1,
                 title != NULL ? title : s->id);
  pair(p, "id", s->id);
  if (s->diagnose) pair(p, "diagnose", "skipped when the case is given");
  function(p, rb_fieldnames[RB_WHEN], s->fn[RB_WHEN]);
  pairlist(p, "approve", s->approve);
  pair(p, "manual", words(&s->manual));
  for (int f = RB_PROBEFIELD; f < RB_FIELDS; f++)
    function(p, rb_fieldnames[f], s->fn[f]);
  if (s->undo_asked) pair(p, "undo when", "asked for");
  pair(p, "irreversible", words(&s->irreversible));
  pairtime(p, "timeout", s->timeout);
  pairretry(p, s);
  pair(p, "on failure", outcomes[s->on_failure]);
}

static void walkcase (rb_Page *p, const rb_Case *c) {
  rb_Buffer b = {0};
  const char *title = words(&c->title);
  rb_buffer_printf(&b, "Case %s%s%s", c->id, title != NULL ? ": " : "",
                   title != NULL ? title : "");
  p->style->section(p, b.s != NULL ? b.s : c->id);
  rb_buffer_free(&b);
  if (c->asked) pair(p, "when", "asked for with --case");
  else if (c->when == RB_NOREF) pair(p, "when", "always");
  function(p, "when", c->when);
  pair(p, "severity", c->severity);
  pairlist(p, "approve", c->approve);
  pair(p, "lock", words(&c->lock));
  pairlimits(p, c->limitsref);
  if (c->nparams == 0) return;
  rb_buffer_puts(p->b, "\n");
  p->style->params(p, c->firstparam, c->nparams);
}

static void walkhead (rb_Page *p) {
  const rb_Outline *o = p->o;
  p->style->title(p, o->title);
  p->indent = 2;
  pair(p, "name", o->name);
  pair(p, "use when", o->use_when);
  pair(p, "impact", o->impact);
  pair(p, "severity", o->severity);
  pair(p, "system", o->system);
  pairlist(p, "approve", o->approve);
  pairlist(p, "targets", o->targets);
  pair(p, "lock", words(&o->lock));
  pairlimits(p, o->limitsref);
}

static void walk (rb_Page *p) {
  const rb_Outline *o = p->o;
  int own = o->ncases > 0 ? o->cases[0].firstparam : o->nparams;
  int incase = -1;
  walkhead(p);
  if (own > 0) {
    p->style->section(p, "Parameters");
    p->style->params(p, 0, own);
  }
  p->style->section(p, o->nsteps > 0 && o->steps[0].incase < 0 ? "Steps"
                                                               : "Cases");
  for (int i = 0; i < o->nsteps; i++) {
    const rb_Step *s = &o->steps[i];
    if (s->incase != incase && s->incase >= 0) walkcase(p, &o->cases[s->incase]);
    else if (s->incase != incase) p->style->section(p, "In any case");
    incase = s->incase;
    walkstep(p, s);
  }
}

void rb_page_walk (lua_State *L, const rb_Outline *o, rb_Buffer *b,
                   const rb_Style *style) {
  rb_Page p = {L, o, b, style, 0};
  walk(&p);
  if (style->end != NULL) style->end(&p);
}
