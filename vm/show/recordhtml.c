/*
** recordhtml.c - a run of the tape for a browser and a printer
**
** One file that fetches nothing and runs nothing.
*/

#include <string.h>

#include "vm/show/pagestyle.h"
#include "vm/show/recordpage.h"
#include "vm/show/terminal.h"

/* made harmless, then escaped */
static void puttext (rb_Buffer *b, const char *s) {
  rb_Buffer plain = {0};
  rb_style_plain(&plain, s);
  rb_page_htmltext(b, plain.s != NULL ? plain.s : "");
  rb_buffer_free(&plain);
}

static void element (rb_Buffer *b, const char *tag, const char *text) {
  rb_buffer_printf(b, "<%s>", tag);
  puttext(b, text);
  rb_buffer_printf(b, "</%s>\n", tag);
}

static void title (rb_Buffer *b, const char *text) {
  rb_buffer_puts(b, rb_page_htmlhead);
  puttext(b, text);
  rb_buffer_puts(b, "</title>\n");
  element(b, "h1", text);
}

static void section (rb_Buffer *b, const char *text) { element(b, "h2", text); }

static void table (rb_Buffer *b, const char *const *heads) {
  rb_buffer_puts(b, heads != NULL ? "<table>\n" : "</table>\n");
}

static void row (rb_Buffer *b, const char *const *cells) {
  rb_buffer_puts(b, "<tr>");
  for (const char *const *c = cells; *c != NULL; c++) element(b, "td", *c);
  rb_buffer_puts(b, "</tr>\n");
}

static void step (rb_Buffer *b, int n, const char *text, const char *status) {
  rb_buffer_printf(b, "<h3>%d. ", n);
  puttext(b, text);
  rb_buffer_puts(b, "</h3>\n");
  element(b, "p", status);
}

static void effect (rb_Buffer *b, const char *verb, const char *text,
                    const char *state) {
  rb_buffer_printf(b, "<p><b>%s</b> ", verb);
  puttext(b, text);
  if (*state != '\0' && strcmp(state, "done") != 0)
    rb_buffer_printf(b, " <b>%s</b>", state);
  rb_buffer_puts(b, "</p>\n");
}

static void detail (rb_Buffer *b, const char *label, const char *text) {
  rb_buffer_printf(b, "<p><b>%s</b> ", label);
  puttext(b, text);
  rb_buffer_puts(b, "</p>\n");
}

static void diff (rb_Buffer *b, const char *text) { element(b, "pre", text); }

static void after (rb_Buffer *b) { (void)b; }

static void line (rb_Buffer *b, const char *text) { element(b, "p", text); }

static void end (rb_Buffer *b) { rb_buffer_puts(b, "</html>\n"); }

static const rb_RecordStyle html = {
  title, section, table, row, step, effect, detail, diff, after, line, end
};

void rb_record_html (const rb_Report *r, rb_Buffer *b) {
  rb_record_walk(r, &html, b);
}
