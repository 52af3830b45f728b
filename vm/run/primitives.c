/*
** primitives.c - what there is to call, without loading the modules
**
** To load them takes client libraries, which takes longer than all the rest of a check. Their
** rows are in a file beside them, which the build prints (`runbook help --rows`): module, name,
** effect and signature, with tabs between.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/run/lint.h"
#include "vm/vm.h"

#define MOST 1000
#define MAXFILE ((size_t)256 << 10)

static rb_Primitive list[MOST];
static int count = -1;  /* not read yet */

/* the next of the fields of *line, which loses it */
static char *field (char **line) {
  char *s = *line, *tab = s != NULL ? strchr(s, '\t') : NULL;
  *line = tab != NULL ? tab + 1 : NULL;
  if (tab != NULL) *tab = '\0';
  return s;
}

static void add (char *line) {
  const char *module = field(&line), *name = field(&line), *effect = field(&line);
  int first = count > 0 ? count - list[count - 1].place - 1 : 0;
  if (line == NULL || count == MOST) return;
  int place = count > 0 && strcmp(list[first].module, module) == 0 ? count - first : 0;
  list[count++] = (rb_Primitive){module, name, *effect, line, place, 1};
  if (place > 0) list[first].together++;
}

static void readlist (void) {
  static char text[MAXFILE];  /* the rows point into it */
  char path[4096], *save = NULL;
  count = 0;
  FILE *f = rb_module_rows(path, sizeof path) ? fopen(path, "r") : NULL;
  size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f != NULL) fclose(f);
  text[n] = '\0';
  for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
    add(line);
}

const rb_Primitive *rb_primitives (const char *module, int *n) {
  int first = 0;
  if (count < 0) readlist();
  while (first < count && strcmp(list[first].module, module) != 0) first += list[first].together;
  *n = first < count ? list[first].together : 0;
  return *n > 0 ? &list[first] : NULL;
}
