/*
** thread.c - a thread beside the loop's: signals are the main thread's
*/

#include <pthread.h>
#include <signal.h>

#include "vm/vm.h"

int rb_thread (pthread_t *thread, void *(*fn) (void *ud), void *ud) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, fn, ud);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}
