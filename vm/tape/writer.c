/*
** writer.c - the thread that writes what nobody waits for
**
** Sealing, hashing and writing the answer of a probe costs as much as asking
** for it. The thread is started when there is much to write; it takes the
** tape's lock for a batch at a time, and whoever commits meanwhile waits for
** it. What it cannot write stays where it is, for the next who tries.
*/

#include <signal.h>

#include "vm/tape/store.h"

#define MANY ((size_t)256 << 10)  /* bytes that are worth a transaction */
#define FEW 64                    /* events that are not worth a thread */
#define MOST (8 * MANY)           /* bytes: then even probes wait */

/* [door]  waits for work; 0: there will be none */
static int wanted (rb_Tape *t) {
  Writer *w = &t->writer;
  while (!w->asked && !w->quit) pthread_cond_wait(&w->bell, &t->door);
  return !w->quit;
}

static void *write_ (void *ud) {
  rb_Tape *t = ud;
  Writer *w = &t->writer;
  pthread_mutex_lock(&t->door);
  while (wanted(t)) {
    rb_Problem p = {0};
    pthread_mutex_unlock(&t->door);
    pthread_mutex_lock(&t->lock);
    int bad = rb_tape_write(t, &p) != 0;
    pthread_mutex_lock(&t->door);
    w->asked = 0;
    w->failed = bad;
    if (bad) w->problem = p;
    pthread_mutex_unlock(&t->lock);
  }
  pthread_mutex_unlock(&t->door);
  return NULL;
}

static int start (rb_Tape *t) {
  Writer *w = &t->writer;
  sigset_t all, before;
  if (w->running) return 1;
  pthread_cond_init(&w->bell, NULL);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  /* signals are the main thread's */
  w->running = pthread_create(&w->thread, NULL, write_, t) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!w->running) pthread_cond_destroy(&w->bell);
  return w->running;
}

void rb_writer_stop (rb_Tape *t) {
  Writer *w = &t->writer;
  if (!w->running) return;
  pthread_mutex_lock(&t->door);
  w->quit = 1;
  pthread_cond_signal(&w->bell);
  pthread_mutex_unlock(&t->door);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->bell);
  w->running = 0;
}

/* [door]  what to do with the front batch */
enum { NOTHING, ASK, FAIL, WRITE };

static int decide (rb_Tape *t, int due) {
  size_t bytes = t->front.bytes.n;
  if (t->writer.failed) return FAIL;
  if (bytes > MOST) return WRITE;
  if (t->unwritten == 0 || (!due && bytes < MANY)) return NOTHING;
  if (t->writer.asked) return NOTHING;
  return t->front.n < FEW || !start(t) ? WRITE : ASK;
}

int rb_tape_flush (rb_Tape *t, int due, rb_Problem *p) {
  Writer *w = &t->writer;
  pthread_mutex_lock(&t->door);
  int what = decide(t, due);
  if (what == ASK) {
    w->asked = 1;
    pthread_cond_signal(&w->bell);
  } else if (what == FAIL) {
    *p = w->problem;
    w->failed = 0;
  }
  pthread_mutex_unlock(&t->door);
  if (what == WRITE) return rb_tape_commit(t, p);
  return what == FAIL ? p->exit : 0;
}
