/*
** warm.c - client libraries, loaded while the tape is being opened
**
** Loading libcurl and libpq takes longer than anything else that a short run
** does, and so does the first durable write: a thread does the one while the
** main thread waits for the other. It only loads; what it loaded is found
** by the module's first use, which waits for it where it has not finished.
*/

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vm.h"

#define MOST 8

typedef struct rb_Warm {
  pthread_t thread;
  int n;
  char path[MOST][4096];
} Warm;

static void *load (void *ud) {
  Warm *w = ud;
  for (int i = 0; i < w->n; i++) dlopen(w->path[i], RTLD_NOW | RTLD_LOCAL);
  return NULL;
}

void rb_warm (rb_VM *vm, const char *const *names) {
  sigset_t all, before;
  Warm *w = calloc(1, sizeof *w);
  if (w == NULL || vm->warm != NULL) {
    free(w);
    return;
  }
  for (; *names != NULL && w->n < MOST; names++)
    w->n += rb_module_path(*names, w->path[w->n], sizeof w->path[0]);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  /* signals are the main thread's */
  int started = w->n > 0 && pthread_create(&w->thread, NULL, load, w) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started) vm->warm = w;
  else free(w);
}

void rb_warm_end (rb_VM *vm) {
  if (vm->warm == NULL) return;
  pthread_join(vm->warm->thread, NULL);
  free(vm->warm);
  vm->warm = NULL;
}
