/*
** pagemd.c - the page of an outline for a wiki
*/

#include <string.h>

#include "vm/show/pagestyle.h"

/* what would be taken for markup is escaped */
void rb_page_mdtext (rb_Buffer *b, const char *s) {
  for (; *s != '\0'; s++) {
    if (strchr("\\`*_<>[]|#", *s) != NULL) rb_buffer_puts(b, "\\");
    rb_buffer_add(b, *s == '\n' ? " " : s, 1);
  }
}

static void title_ (rb_Page *p, const char *title) {
  rb_buffer_puts(p->b, "# ");
  rb_page_mdtext(p->b, title);
  rb_buffer_puts(p->b, "\n\n");
}

static void section (rb_Page *p, const char *title) {
  rb_buffer_puts(p->b, "\n## ");
  rb_page_mdtext(p->b, title);
  rb_buffer_puts(p->b, "\n\n");
}

static void step (rb_Page *p, int n, const char *title) {
  rb_buffer_printf(p->b, "\n### %d. ", n);
  rb_page_mdtext(p->b, title);
  rb_buffer_puts(p->b, "\n\n");
}

static void pair (rb_Page *p, const char *label, const char *s) {
  rb_buffer_printf(p->b, "- **%s**: ", label);
  rb_page_mdtext(p->b, s);
  rb_buffer_puts(p->b, "\n");
}

static void code (rb_Page *p, const char *label, const char *lines) {
  const char *fence = strstr(lines, "```") != NULL ? "~~~~" : "```";
  if (!rb_page_labelled(label, lines)) rb_buffer_printf(p->b, "\n**%s**:\n", label);
  rb_buffer_printf(p->b, "\n%slua\n%s%s\n", fence, lines, fence);
}

static void params (rb_Page *p, int first, int n) {
  rb_buffer_puts(p->b, "| parameter | type | | |\n|---|---|---|---|\n");
  for (const rb_Param *q = p->o->params + first; q < p->o->params + first + n;
       q++) {
    rb_Buffer t = {0};
    rb_page_type(q, &t);
    rb_buffer_printf(p->b, "| `%s` | ", q->name);
    rb_page_mdtext(p->b, t.s != NULL ? t.s : "");
    rb_buffer_puts(p->b, " | ");
    rb_buffer_clear(&t);
    rb_page_status(p, q, &t);
    rb_page_mdtext(p->b, t.s != NULL ? t.s : "");
    rb_buffer_puts(p->b, " | ");
    rb_page_mdtext(p->b, q->help != NULL ? q->help : "");
    rb_buffer_puts(p->b, " |\n");
    rb_buffer_free(&t);
  }
}

static const rb_Style markdown = {
  title_, section, step, pair, code, params, NULL
};

void rb_page_markdown (lua_State *L, const rb_Outline *o, rb_Buffer *b) {
  rb_page_walk(L, o, b, &markdown);
}
