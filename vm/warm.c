/*
** warm.c - client libraries, loaded while the tape is being opened
**
** Loading libcurl and libpq takes longer than anything else that a short run
** does, and so does the first durable write: a thread does the one while the
** main thread waits for the other. The module's first use waits for it where it
** has not finished; the loader has one lock, and would let it wait for all.
*/

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vm.h"

#define MOST 8

typedef struct rb_Warm {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t loaded;
  int n, done;           /* modules; those that were tried */
  int enough;            /* nobody needs the others any more */
  const rb_Module *module[MOST];
  char name[MOST][24];
  char path[MOST][4096];
} Warm;

/* Only what the module's first use will accept is given anything to do. */
static const rb_Module *load (const char *path, const char *name) {
  void *so = dlopen(path, RB_DLOPEN);
  const rb_Module *m = so != NULL ? dlsym(so, "rb_module") : NULL;
  if (m == NULL || m->interface != RB_INTERFACE || strcmp(m->name, name) != 0)
    return NULL;
  if (m->warm != NULL) m->warm();
  return m;
}

static void *loadall (void *ud) {
  Warm *w = ud;
  for (int i = 0; i < w->n; i++) {
    const rb_Module *m = load(w->path[i], w->name[i]);
    pthread_mutex_lock(&w->lock);
    w->module[i] = m;
    w->done = w->enough ? w->n : i + 1;
    i = w->done - 1;
    pthread_cond_broadcast(&w->loaded);
    pthread_mutex_unlock(&w->lock);
  }
  return NULL;
}

void rb_warm (rb_VM *vm, const char *const *names) {
  Warm *w = vm->warm == NULL ? calloc(1, sizeof *w) : NULL;
  if (w == NULL) return;
  for (; *names != NULL && w->n < MOST; names++) {
    if (!rb_module_path(*names, w->path[w->n], sizeof w->path[0])) continue;
    snprintf(w->name[w->n++], sizeof w->name[0], "%s", *names);
  }
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->loaded, NULL);
  if (w->n > 0 && rb_thread(&w->thread, loadall, w) == 0) vm->warm = w;
  else free(w);
}

const rb_Module *rb_warm_module (rb_VM *vm, const char *name) {
  Warm *w = vm->warm;
  const rb_Module *m = NULL;
  int i = 0;
  while (w != NULL && i < w->n && strcmp(w->name[i], name) != 0) i++;
  if (w == NULL || i == w->n) return NULL;
  pthread_mutex_lock(&w->lock);
  while (w->done <= i) pthread_cond_wait(&w->loaded, &w->lock);
  m = w->module[i];
  pthread_mutex_unlock(&w->lock);
  return m;
}

void rb_warm_end (rb_VM *vm) {
  Warm *w = vm->warm;
  if (w == NULL) return;
  pthread_mutex_lock(&w->lock);
  w->enough = 1;
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->loaded);
  pthread_mutex_destroy(&w->lock);
  free(w);
  vm->warm = NULL;
}
