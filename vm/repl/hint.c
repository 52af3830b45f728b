/*
** hint.c - what else a Tab knows: the signature of the call that is begun, names of
** runbooks behind :run, paths inside the text of a call on files
*/

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/config/config.h"
#include "vm/repl/complete.h"

/* -- the call -------------------------------------------------------------------- */

#define DEPTH 64

static const char closing[] = ")]}", opening[] = "([{";

/* where brackets stand that are open before 'n', the innermost last: how many */
static int brackets (const char *line, size_t n, size_t open[DEPTH]) {
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < n; i++) {
    if (quote != 0) { if (line[i] == quote) quote = 0; continue; }
    if (line[i] == '"' || line[i] == '\'') quote = line[i];
    else if (strchr(opening, line[i]) != NULL && depth < DEPTH) open[depth++] = i;
    else if (strchr(closing, line[i]) != NULL && depth > 0) depth--;
  }
  return depth;
}

/* Where "erp.redis:get" begins that ends at 'end', and where its last name does; 'end': there
** is none. */
static size_t calleeat (const char *line, size_t end, size_t *last) {
  size_t begin = end, name;
  while (begin > 0 && rb_repl_iswordchar(line[begin - 1])) begin--;
  name = begin;
  if (begin == 0 || (line[begin - 1] != ':' && line[begin - 1] != '.')) return end;
  begin--;
  while (begin > 0 && (rb_repl_iswordchar(line[begin - 1]) || line[begin - 1] == '.')) begin--;
  *last = name;
  return begin;
}

/* the call whose bracket stands at 'end' */
static char *hintat (rb_Repl *s, const char *line, size_t end) {
  size_t last = 0;
  while (end > 0 && line[end - 1] == ' ') end--;
  size_t begin = calleeat(line, end, &last);
  if (begin >= end) return NULL;
  const rb_Reg *r = rb_repl_primitives(s, line + begin, last - 1 - begin);
  for (; r != NULL && r->name != NULL; r++)
    if (strlen(r->name) == end - last && strncmp(r->name, line + last, end - last) == 0) {
      const char *stop = strstr(r->doc, " : ");
      return strndup(r->doc, stop != NULL ? (size_t)(stop - r->doc) : strlen(r->doc));
    }
  return NULL;
}

char *rb_repl_hint (rb_Repl *s, const char *line, size_t cursor) {
  size_t open[DEPTH];
  char *hint = NULL;
  for (int i = brackets(line, cursor, open); i > 0 && hint == NULL; i--)
    hint = hintat(s, line, open[i - 1]);
  return hint;
}

/* -- names of runbooks ---------------------------------------------------------------- */

static int offername (void *ud, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  char plain[256];
  size_t n = strlen(name);
  if (n > 4 && strcmp(name + n - 4, ".lua") == 0) n -= 4;
  snprintf(plain, sizeof plain, "%.*s", (int)n, name);
  rb_repl_offer(ud, plain, " ");
  return 0;
}

void rb_repl_offerrunbooks (rb_Repl *s, rb_Found *f) {
  rb_Problem p = {0};
  rb_config_each(s->r.vm->config, offername, f, &p);
}

/* -- paths ---------------------------------------------------------------------------- */

/* Is the text at 'quote' an argument of file.* or csv.*? */
int rb_repl_inpath (const char *line, size_t quote) {
  size_t last = 0, end = quote;
  while (end > 0 && strchr(" ({,", line[end - 1]) != NULL) end--;
  size_t begin = calleeat(line, end, &last);
  return begin < end && (strncmp(line + begin, "file.", 5) == 0
                         || strncmp(line + begin, "csv.", 4) == 0);
}

void rb_repl_offerpaths (rb_Found *f) {
  char folder[PATH_MAX] = ".", word[PATH_MAX];
  char *slash = memrchr(f->begin, '/', f->n);
  int n = slash != NULL ? (int)(slash + 1 - f->begin) : 0;
  if (n > 0) snprintf(folder, sizeof folder, "%.*s", n, f->begin);
  DIR *d = opendir(folder);
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; ) {
    int hidden = e->d_name[0] == '.' && (f->n == (size_t)n || f->begin[n] != '.');
    if (hidden || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (snprintf(word, sizeof word, "%.*s%s", n, f->begin, e->d_name) < (int)sizeof word)
      rb_repl_offer(f, word, e->d_type == DT_DIR ? "/" : "\"");
  }
  if (d != NULL) closedir(d);
}
