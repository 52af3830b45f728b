/*
** pagehtml.c - the page of an outline for a browser and a printer
**
** One file that fetches nothing and runs nothing.
*/

#include "vm/show/pagestyle.h"

const char rb_page_htmlhead[] =
  "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n"
  "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
  ":root { color-scheme: light dark }\n"
  "body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem;\n"
  "  margin: 2rem auto; padding: 0 1rem }\n"
  "h2 { margin-top: 2.5rem; border-bottom: 1px solid }\n"
  "h3 { margin: 2rem 0 .5rem }\n"
  "p { margin: .2rem 0 }\n"
  "p b { display: inline-block; min-width: 7rem; font-weight: 600 }\n"
  "pre { overflow-x: auto; padding: .6rem .8rem; border: 1px solid #8886;\n"
  "  font-size: 14px }\n"
  "td { padding: .1rem 1rem .1rem 0; vertical-align: top }\n"
  "@media print { pre { white-space: pre-wrap } h3 { break-after: avoid } }\n"
  "</style>\n<title>";

void rb_page_htmltext (rb_Buffer *b, const char *s) {
  for (; *s != '\0'; s++)
    if (*s == '<') rb_buffer_puts(b, "&lt;");
    else if (*s == '>') rb_buffer_puts(b, "&gt;");
    else if (*s == '&') rb_buffer_puts(b, "&amp;");
    else if (*s == '"') rb_buffer_puts(b, "&quot;");
    else rb_buffer_add(b, s, 1);
}

/* <tag>text</tag> */
static void element (rb_Page *p, const char *tag, const char *text) {
  rb_buffer_printf(p->b, "<%s>", tag);
  rb_page_htmltext(p->b, text);
  rb_buffer_printf(p->b, "</%s>\n", tag);
}

static void title_ (rb_Page *p, const char *title) {
  rb_buffer_puts(p->b, rb_page_htmlhead);
  rb_page_htmltext(p->b, title);
  rb_buffer_puts(p->b, "</title>\n");
  element(p, "h1", title);
}

static void section (rb_Page *p, const char *title) {
  element(p, "h2", title);
}

static void step (rb_Page *p, int n, const char *title) {
  rb_buffer_printf(p->b, "<h3>%d. ", n);
  rb_page_htmltext(p->b, title);
  rb_buffer_puts(p->b, "</h3>\n");
}

static void pair (rb_Page *p, const char *label, const char *text) {
  rb_buffer_printf(p->b, "<p><b>%s</b> ", label);
  rb_page_htmltext(p->b, text);
  rb_buffer_puts(p->b, "</p>\n");
}

static void code (rb_Page *p, const char *label, const char *lines) {
  if (!rb_page_labelled(label, lines))
    rb_buffer_printf(p->b, "<p><b>%s</b></p>\n", label);
  element(p, "pre", lines);
}

static void cell (rb_Page *p, rb_Buffer *text) {
  rb_buffer_puts(p->b, "<td>");
  rb_page_htmltext(p->b, text->s != NULL ? text->s : "");
  rb_buffer_free(text);
}

static void params (rb_Page *p, int first, int n) {
  const rb_Param *q = p->o->params + first;
  rb_buffer_puts(p->b, "<table>\n");
  for (int i = 0; i < n; i++, q++) {
    rb_Buffer t = {0};
    rb_buffer_printf(p->b, "<tr><td><code>%s</code>", q->name);
    rb_page_type(q, &t);
    cell(p, &t);
    rb_page_status(p, q, &t);
    cell(p, &t);
    if (q->help != NULL) rb_buffer_puts(&t, q->help);
    cell(p, &t);
    rb_buffer_puts(p->b, "\n");
  }
  rb_buffer_puts(p->b, "</table>\n");
}

static void end (rb_Page *p) {
  rb_buffer_puts(p->b, "</html>\n");
}

static const rb_Style html = {
  title_, section, step, pair, code, params, end
};

void rb_page_html (lua_State *L, const rb_Outline *o, rb_Buffer *b) {
  rb_page_walk(L, o, b, &html);
}
