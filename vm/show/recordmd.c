/*
** recordmd.c - a run of the tape as Markdown, to be pasted into a ticket
*/

#include <string.h>

#include "vm/show/pagestyle.h"
#include "vm/show/recordpage.h"
#include "vm/show/terminal.h"

/* made harmless, then escaped */
static void puttext (rb_Buffer *b, const char *s) {
  rb_Buffer plain = {0};
  rb_style_plain(&plain, s);
  rb_page_mdtext(b, plain.s != NULL ? plain.s : "");
  rb_buffer_free(&plain);
}

static void title (rb_Buffer *b, const char *text) {
  rb_buffer_puts(b, "# ");
  puttext(b, text);
  rb_buffer_puts(b, "\n\n");
}

static void section (rb_Buffer *b, const char *text) {
  rb_buffer_printf(b, "\n## %s\n\n", text);
}

static void table (rb_Buffer *b, const char *const *heads) {
  if (heads == NULL) return;
  for (const char *const *h = heads; *h != NULL; h++)
    rb_buffer_printf(b, "| %s ", *h);
  rb_buffer_puts(b, "|\n");
  for (const char *const *h = heads; *h != NULL; h++) rb_buffer_puts(b, "|---");
  rb_buffer_puts(b, "|\n");
}

/* a cell is one line, whatever it holds */
static void cell (rb_Buffer *b, const char *text) {
  rb_Buffer line = {0};
  while (*text != '\0') {
    size_t n = strcspn(text, "\n");
    rb_buffer_clear(&line);
    rb_buffer_printf(&line, "%.*s", (int)n, text);
    puttext(b, line.s != NULL ? line.s : "");
    text += n + (text[n] == '\n');
    if (*text != '\0') rb_buffer_puts(b, "<br>");
  }
  rb_buffer_free(&line);
}

static void row (rb_Buffer *b, const char *const *cells) {
  for (const char *const *c = cells; *c != NULL; c++) {
    rb_buffer_puts(b, "| ");
    cell(b, *c);
    rb_buffer_puts(b, " ");
  }
  rb_buffer_puts(b, "|\n");
}

static void step (rb_Buffer *b, int n, const char *text, const char *status) {
  rb_buffer_printf(b, "**%d. ", n);
  puttext(b, text);
  rb_buffer_printf(b, "**: %s\n\n", status);
}

static void effect (rb_Buffer *b, const char *verb, const char *text,
                    const char *state) {
  rb_buffer_printf(b, "- `%s` ", verb);
  puttext(b, text);
  if (*state != '\0' && strcmp(state, "done") != 0)
    rb_buffer_printf(b, " (**%s**)", state);
  rb_buffer_puts(b, "\n");
}

static void detail (rb_Buffer *b, const char *label, const char *text) {
  rb_buffer_printf(b, "  - %s: ", label);
  puttext(b, text);
  rb_buffer_puts(b, "\n");
}

/* a block that belongs to the item above it */
static void diff (rb_Buffer *b, const char *text) {
  const char *fence = strstr(text, "```") != NULL ? "~~~~" : "```";
  rb_Buffer plain = {0};
  rb_style_plain(&plain, text);
  rb_buffer_printf(b, "\n  %sdiff\n", fence);
  for (const char *s = plain.s != NULL ? plain.s : ""; *s != '\0'; ) {
    size_t n = strcspn(s, "\n");
    rb_buffer_printf(b, "  %.*s\n", (int)n, s);
    s += n + (s[n] == '\n');
  }
  rb_buffer_printf(b, "  %s\n\n", fence);
  rb_buffer_free(&plain);
}

static void after (rb_Buffer *b) { rb_buffer_puts(b, "\n"); }

static void line (rb_Buffer *b, const char *text) {
  puttext(b, text);
  rb_buffer_puts(b, "\n\n");
}

static void end (rb_Buffer *b) { (void)b; }

static const rb_RecordStyle markdown = {
  title, section, table, row, step, effect, detail, diff, after, line, end
};

void rb_record_markdown (const rb_Report *r, rb_Buffer *b) {
  rb_record_walk(r, &markdown, b);
}
