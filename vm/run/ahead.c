/*
** ahead.c - what the run will need is begun while the tape is being opened
*/

#include <stdio.h>
#include <string.h>

#include "vm/run/run.h"
#include "vm/state.h"

typedef struct Named {
  const char *kinds[16];
  int named[16];
} Named;

/* does a file of the script say ".pg"? */
static void look (void *ud, const char *path, const char *text, size_t n) {
  Named *all = ud;
  char word[40];
  (void)path;
  for (int i = 0; all->kinds[i] != NULL; i++) {
    int len = snprintf(word, sizeof word, ".%s", all->kinds[i]);
    if (memmem(text, n, word, (size_t)len) != NULL) all->named[i] = 1;
  }
}

/* Loading client libraries overlaps with opening the tape. */
void rb_ahead (rb_Run *r) {
  const char *const *have = r->outline.system == NULL ? NULL
    : rb_target_resources(r->vm->target, r->outline.system);
  const char *names[17];
  Named all = {0};
  int n = 0;
  for (int i = 0; have != NULL && have[i] != NULL && i < 15; i++)
    all.kinds[i] = have[i];
  rb_state_files(r->L, look, &all);
  for (int i = 0; all.kinds[i] != NULL; i++)
    if (all.named[i]) names[n++] = all.kinds[i];
  names[n] = NULL;
  if (n > 0) rb_warm(r->vm, names);
}
