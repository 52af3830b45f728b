/*
** page.c - an outline as a page to be followed by hand
**
** One walk over the outline, two styles: the terminal's and the wiki's.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/show/page.h"

#define DEPENDS "(depends on the run)"
#define WIDTH 78      /* columns of the terminal's page */
#define LABEL 14      /* columns of a label */

typedef struct Page {
  lua_State *L;
  const rb_Outline *o;
  rb_Buffer *b;
  const struct Style *style;
  int indent;         /* columns, on the terminal */
} Page;

typedef struct Style {
  void (*title) (Page *p, const char *title);
  void (*section) (Page *p, const char *title);
  void (*step) (Page *p, int n, const char *title, const char *id);
  void (*pair) (Page *p, const char *label, const char *text);
  void (*code) (Page *p, const char *label, const char *lines);
  void (*params) (Page *p, int first, int n);
} Style;

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
static void status (Page *p, const rb_Param *q, rb_Buffer *b) {
  if (q->defaultref == RB_NOREF) {
    rb_buffer_puts(b, q->required ? "required" : "optional");
    return;
  }
  lua_rawgeti(p->L, LUA_REGISTRYINDEX, q->defaultref);
  rb_buffer_printf(b, "default %s", luaL_tolstring(p->L, -1, NULL));
  lua_pop(p->L, 2);
}

static void typetext (const rb_Param *q, rb_Buffer *b) {
  if (q->type == RB_CHOICE) rb_page_list(q->choices, b);
  else rb_buffer_puts(b, q->typename);
}

static void limitstext (Page *p, int ref, rb_Buffer *b) {
  if (ref == RB_NOREF) return;
  lua_rawgeti(p->L, LUA_REGISTRYINDEX, ref);
  for (lua_pushnil(p->L); lua_next(p->L, -2); lua_pop(p->L, 1))
    rb_buffer_printf(b, "%s%s %lld", b->n > 0 ? ", " : "",
                     lua_tostring(p->L, -2), lua_tointeger(p->L, -1));
  lua_pop(p->L, 1);
}

/* -- the terminal's style -------------------------------------------------- */

static void spaces (rb_Buffer *b, int n) {
  rb_buffer_printf(b, "%*s", n > 0 ? n : 0, "");
}

/* the columns of n bytes of UTF-8, one for each character */
static int columns (const char *s, size_t n) {
  int c = 0;
  for (size_t i = 0; i < n; i++) c += (s[i] & 0xC0) != 0x80;
  return c;
}

/* words from column 'at' on, the next lines below the first */
static void wrap (rb_Buffer *b, const char *s, int at) {
  for (int column = at, first = 1; *s != '\0'; first = 0) {
    size_t n = strcspn(s, " \n");
    int wide = columns(s, n);
    if (!first && column + 1 + wide > WIDTH) {
      rb_buffer_puts(b, "\n");
      spaces(b, at);
      column = at;
    }
    else if (!first) { rb_buffer_puts(b, " "); column++; }
    rb_buffer_add(b, s, n);
    column += wide;
    s += n + strspn(s + n, " \n");
  }
  rb_buffer_puts(b, "\n");
}

static void text_title (Page *p, const char *title) {
  rb_buffer_printf(p->b, "%s\n\n", title);
}

static void text_section (Page *p, const char *title) {
  rb_buffer_printf(p->b, "\n%s\n", title);
  p->indent = 2;
}

static void text_step (Page *p, int n, const char *title, const char *id) {
  rb_buffer_printf(p->b, "\n  %2d  ", n);
  wrap(p->b, title, 6);
  p->indent = 6;
  p->style->pair(p, "id", id);
}

static void text_pair (Page *p, const char *label, const char *text) {
  spaces(p->b, p->indent);
  rb_buffer_printf(p->b, "%-*s", LABEL, label);
  wrap(p->b, text, p->indent + LABEL);
}

/* do the lines say themselves what they are: "probe = function (run)"? */
static int labelled (const char *label, const char *lines) {
  return strncmp(lines, label, strlen(label)) == 0;
}

static void text_code (Page *p, const char *label, const char *lines) {
  if (!labelled(label, lines)) {
    spaces(p->b, p->indent);
    rb_buffer_printf(p->b, "%s:\n", label);
  }
  while (*lines != '\0') {
    size_t n = strcspn(lines, "\n");
    spaces(p->b, n > 0 ? p->indent : 0);
    rb_buffer_add(p->b, lines, n);
    rb_buffer_puts(p->b, "\n");
    lines += n + (lines[n] == '\n');
  }
}

static void text_params (Page *p, int first, int n) {
  int name = 0, type = 0;
  for (const rb_Param *q = p->o->params + first; q < p->o->params + first + n;
       q++) {
    rb_Buffer t = {0};
    typetext(q, &t);
    if ((int)strlen(q->name) > name) name = (int)strlen(q->name);
    if ((int)t.n > type && t.n < 30) type = (int)t.n;
    rb_buffer_free(&t);
  }
  for (const rb_Param *q = p->o->params + first; q < p->o->params + first + n;
       q++) {
    rb_Buffer t = {0}, s = {0};
    typetext(q, &t);
    status(p, q, &s);
    if (q->help != NULL) rb_buffer_printf(&s, ": %s", q->help);
    spaces(p->b, p->indent);
    rb_buffer_printf(p->b, "%-*s  %-*s  ", name, q->name, type,
                     t.s != NULL ? t.s : "");
    wrap(p->b, s.s != NULL ? s.s : "", p->indent + name + type + 4);
    rb_buffer_free(&t);
    rb_buffer_free(&s);
  }
}

static const Style text = {
  text_title, text_section, text_step, text_pair, text_code, text_params
};

/* -- the wiki's style ------------------------------------------------------ */

/* what would be taken for markup is escaped */
static void escape (rb_Buffer *b, const char *s) {
  for (; *s != '\0'; s++) {
    if (strchr("\\`*_<>[]|#", *s) != NULL) rb_buffer_puts(b, "\\");
    rb_buffer_add(b, *s == '\n' ? " " : s, 1);
  }
}

static void md_title (Page *p, const char *title) {
  rb_buffer_puts(p->b, "# ");
  escape(p->b, title);
  rb_buffer_puts(p->b, "\n\n");
}

static void md_section (Page *p, const char *title) {
  rb_buffer_puts(p->b, "\n## ");
  escape(p->b, title);
  rb_buffer_puts(p->b, "\n\n");
}

static void md_step (Page *p, int n, const char *title, const char *id) {
  rb_buffer_printf(p->b, "\n### %d. ", n);
  escape(p->b, title);
  rb_buffer_puts(p->b, "\n\n");
  p->style->pair(p, "id", id);
}

static void md_pair (Page *p, const char *label, const char *s) {
  rb_buffer_printf(p->b, "- **%s**: ", label);
  escape(p->b, s);
  rb_buffer_puts(p->b, "\n");
}

static void md_code (Page *p, const char *label, const char *lines) {
  const char *fence = strstr(lines, "```") != NULL ? "~~~~" : "```";
  if (!labelled(label, lines)) rb_buffer_printf(p->b, "\n**%s**:\n", label);
  rb_buffer_printf(p->b, "\n%slua\n%s%s\n", fence, lines, fence);
}

static void md_params (Page *p, int first, int n) {
  rb_buffer_puts(p->b, "| parameter | type | | |\n|---|---|---|---|\n");
  for (const rb_Param *q = p->o->params + first; q < p->o->params + first + n;
       q++) {
    rb_Buffer t = {0};
    typetext(q, &t);
    rb_buffer_printf(p->b, "| `%s` | ", q->name);
    escape(p->b, t.s != NULL ? t.s : "");
    rb_buffer_puts(p->b, " | ");
    rb_buffer_clear(&t);
    status(p, q, &t);
    escape(p->b, t.s != NULL ? t.s : "");
    rb_buffer_puts(p->b, " | ");
    escape(p->b, q->help != NULL ? q->help : "");
    rb_buffer_puts(p->b, " |\n");
    rb_buffer_free(&t);
  }
}

static const Style markdown = {
  md_title, md_section, md_step, md_pair, md_code, md_params
};

/* -- the walk -------------------------------------------------------------- */

static void pair (Page *p, const char *label, const char *s) {
  if (s != NULL && *s != '\0') p->style->pair(p, label, s);
}

static void pairlist (Page *p, const char *label, const char *const *list) {
  rb_Buffer b = {0};
  rb_page_list(list, &b);
  pair(p, label, b.s);
  rb_buffer_free(&b);
}

static void pairlimits (Page *p, int ref) {
  rb_Buffer b = {0};
  limitstext(p, ref, &b);
  pair(p, "limits", b.s);
  rb_buffer_free(&b);
}

static void pairtime (Page *p, const char *label, double seconds) {
  char s[32];
  rb_duration_text(seconds, s, sizeof s);
  if (seconds > 0) pair(p, label, s);
}

static void function (Page *p, const char *label, int ref) {
  rb_Buffer b = {0};
  if (ref == RB_NOREF) return;
  rb_page_source(p->L, p->o, ref, &b);
  if (b.s != NULL) p->style->code(p, label, b.s);
  else pair(p, label, "(defined in another file)");
  rb_buffer_free(&b);
}

static void pairretry (Page *p, const rb_Step *s) {
  char every[32], s_[64];
  if (s->retries == 0) return;
  rb_duration_text(s->every, every, sizeof every);
  snprintf(s_, sizeof s_, "%d time%s, every %s", s->retries,
           s->retries == 1 ? "" : "s", every);
  pair(p, "retry", s_);
}

static void walkstep (Page *p, const rb_Step *s) {
  static const char *const outcomes[] = {
    NULL, "goes on, and the run exits 1", "warns, and goes on"
  };
  const char *title = words(&s->title);
  p->style->step(p, (int)(s - p->o->steps) + 1,
                 title != NULL ? title : s->id, s->id);
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

static void walkcase (Page *p, const rb_Case *c) {
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

static void walkhead (Page *p) {
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

static void walk (Page *p) {
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

void rb_page_text (lua_State *L, const rb_Outline *o, rb_Buffer *b) {
  Page p = {L, o, b, &text, 0};
  walk(&p);
}

void rb_page_markdown (lua_State *L, const rb_Outline *o, rb_Buffer *b) {
  Page p = {L, o, b, &markdown, 0};
  walk(&p);
}
