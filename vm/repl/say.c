/*
** say.c - what the prompt itself says
*/

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm/repl/repl.h"
#include "vm/show/style.h"

void rb_repl_say (rb_Repl *s, const char *fmt, ...) {
  char *text = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&text, fmt, ap);
  va_end(ap);
  if (n < 0) return;
  char *clean = rb_redacted(text, (size_t)n);
  if (clean != NULL) rb_style_say(s->r.vm->show, 0, PLAIN, clean);
  rb_style_flush(s->r.vm->show);
  free(clean);
  free(text);
}

void rb_repl_complain (rb_Repl *s, const char *fmt, ...) {
  char *text = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&text, fmt, ap);
  va_end(ap);
  if (n < 0) return;
  char *clean = rb_redacted(text, (size_t)n);
  if (clean != NULL) rb_show_note(s->r.vm->show, clean);
  free(clean);
  free(text);
}
