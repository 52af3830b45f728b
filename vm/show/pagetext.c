/*
** pagetext.c - the page of an outline for the terminal
*/

#include <string.h>

#include "vm/show/pagestyle.h"

#define WIDTH 78      /* columns */
#define LABEL 14      /* columns of a label */

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

static void title_ (rb_Page *p, const char *title) {
  rb_buffer_printf(p->b, "%s\n\n", title);
}

static void section (rb_Page *p, const char *title) {
  rb_buffer_printf(p->b, "\n%s\n", title);
  p->indent = 2;
}

static void step (rb_Page *p, int n, const char *title) {
  rb_buffer_printf(p->b, "\n  %2d  ", n);
  wrap(p->b, title, 6);
  p->indent = 6;
}

static void pair (rb_Page *p, const char *label, const char *text) {
  spaces(p->b, p->indent);
  rb_buffer_printf(p->b, "%-*s", LABEL, label);
  wrap(p->b, text, p->indent + LABEL);
}

static void code (rb_Page *p, const char *label, const char *lines) {
  if (!rb_page_labelled(label, lines)) {
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

static void params (rb_Page *p, int first, int n) {
  int name = 0, type = 0;
  for (const rb_Param *q = p->o->params + first; q < p->o->params + first + n;
       q++) {
    rb_Buffer t = {0};
    rb_page_type(q, &t);
    if ((int)strlen(q->name) > name) name = (int)strlen(q->name);
    if ((int)t.n > type && t.n < 30) type = (int)t.n;
    rb_buffer_free(&t);
  }
  for (const rb_Param *q = p->o->params + first; q < p->o->params + first + n;
       q++) {
    rb_Buffer t = {0}, s = {0};
    rb_page_type(q, &t);
    rb_page_status(p, q, &s);
    if (q->help != NULL) rb_buffer_printf(&s, ": %s", q->help);
    spaces(p->b, p->indent);
    rb_buffer_printf(p->b, "%-*s  %-*s  ", name, q->name, type,
                     t.s != NULL ? t.s : "");
    wrap(p->b, s.s != NULL ? s.s : "", p->indent + name + type + 4);
    rb_buffer_free(&t);
    rb_buffer_free(&s);
  }
}

static const rb_Style text = {
  title_, section, step, pair, code, params, NULL
};

void rb_page_text (lua_State *L, const rb_Outline *o, rb_Buffer *b) {
  rb_page_walk(L, o, b, &text);
}
