/*
** stop.c - ending a script that cannot, or will not, end itself
**
** A condition that ends a script is a yield that is never resumed, so that
** no pcall can swallow it. Pure Lua is stopped by a count hook that a signal
** sets (a permanent one would cost 30 to 120 %), and that stays set until the
** stack has unwound. A C function that does not come back (a pathological
** pattern) is beyond a hook: two seconds later a thread says the last words,
** saves the tape and ends the process. While a file is being loaded a timer does
** as well, and costs nothing: there is no tape yet.
*/

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "vm/base.h"
#include "vm/clock.h"
#include "vm/vm.h"

#define TICK_NS 50000000     /* how often the watchdog looks */
#define GRACE 2.0            /* seconds between the hook and the end */

static rb_VM *volatile watched;

/* -- the script's side ------------------------------------------------------- */

int rb_stop_now (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  const char *why = t->field != NULL ? t->field->why : "stopped";
  if (t->field == NULL || !lua_isyieldable(L))
    return luaL_error(L, "%s", why);  /* in sort, gsub: 'stop' stays set */
  t->state = RB_GONE;
  return lua_yield(L, 0);
}

int rb_stop_place (lua_State *L, char *file, size_t size) {
  lua_Debug ar;
  for (int i = 0; lua_getstack(L, i, &ar); i++) {
    lua_getinfo(L, "Sl", &ar);
    if (*ar.source != '@' || ar.currentline <= 0) continue;
    snprintf(file, size, "%s", ar.source + 1);
    return ar.currentline;
  }
  return 0;
}

static void setplace (lua_State *L, rb_FieldRun *f) {
  f->line = rb_stop_place(L, f->file, sizeof f->file);
}

int rb_stop (lua_State *L, rb_Stop why, const char *fmt, ...) {
  rb_FieldRun *f = rb_taskof(L)->field;
  va_list ap;
  va_start(ap, fmt);
  if (f == NULL) {
    lua_pushvfstring(L, fmt, ap);
    va_end(ap);
    return lua_error(L);
  }
  if (f->stop == RB_GO || (why == RB_DOUBT && f->stop != RB_DOUBT)) {
    f->stop = why;  /* doubt is worse than whatever else ended it */
    vsnprintf(f->why, sizeof f->why, fmt, ap);
    setplace(L, f);
  }
  va_end(ap);
  return rb_stop_now(L);
}

int rb_stopped (rb_Task *t) {
  return t->field != NULL && t->field->stop != RB_GO;
}

int rb_stopping (lua_State *L) {
  rb_Task *t = rb_taskof(L);
  if (!t->calling || t->call.effect == RB_PROBE || t->call.pledged || t->vm->dryrun) return 0;
  t->call.asks = 1;
  return t->vm->interrupts > 0;
}

static void reason (rb_VM *vm, rb_FieldRun *f) {
  double until = atomic_load(&vm->until);
  if (vm->interrupts > 0) {
    f->stop = RB_INTERRUPT;
    snprintf(f->why, sizeof f->why, "interrupted");
  } else if (until != 0 && rb_now() >= until) {
    f->stop = RB_TIMEOUT;
    snprintf(f->why, sizeof f->why, "ran out of time");
  } else {
    f->stop = RB_RUNAWAY;
    snprintf(f->why, sizeof f->why, "the script ran for %g s without waiting "
             "for anything: is there an endless loop?", vm->burst);
  }
}

/* Has what runs now run for too long? */
static int overdue (rb_VM *vm, double slice) {
  double until = atomic_load(&vm->until);
  return rb_clock_real() - slice > vm->burst || vm->interrupts > 0
         || (until != 0 && rb_now() > until);
}

/* Is it the module of the effect under way, not the script? An effect ends at
** the gate, which puts its outcome onto the tape. */
static int inmodule (lua_State *L, const rb_Task *t, lua_Debug *ar) {
  return t->calling && lua_getinfo(L, "S", ar) && *ar->what == 'C';
}

static void onhook (lua_State *L, lua_Debug *ar) {
  rb_Task *t = rb_taskof(L);
  rb_VM *vm = t->vm;
  if (t->field == NULL) {
    luaL_error(L, "%s", vm->interrupts > 0 ? "interrupted" :
               "loading took too long: is there an endless loop?");
    return;
  }
  if (inmodule(L, t, ar)) return;
  if (rb_status_asked(vm)) rb_status_answer(vm);
  if (t->field->stop == RB_GO) {
    if (!overdue(vm, atomic_load(&vm->slice))) {
      lua_sethook(L, NULL, 0, 0);  /* what took so long has ended meanwhile */
      return;
    }
    reason(vm, t->field);
    setplace(L, t->field);
  }
  if (vm->closing || !lua_isyieldable(L)) {
    luaL_error(L, "%s", t->field->why);
    return;
  }
  t->state = RB_GONE;
  lua_yield(L, 0);
}

/* -- what is not a task ------------------------------------------------------ */

rb_Guard rb_guard (rb_VM *vm, lua_State *L) {
  rb_Guard g = {vm->hooked, atomic_load(&vm->slice)};
  vm->hooked = L;
  if (g.slice == 0) atomic_store(&vm->slice, rb_clock_real());
  return g;
}

void rb_unguard (rb_VM *vm, rb_Guard g) {
  lua_State *L = vm->hooked;
  atomic_store(&vm->slice, g.slice);
  vm->hooked = g.hooked;
  if (L != g.hooked) lua_sethook(L, NULL, 0, 0);
}

int rb_guarded_call (lua_State *L, int n) {
  rb_VM *vm = rb_vm(L);
  rb_Guard g = rb_guard(vm, L);
  int status = lua_pcall(L, n, 1, 0);
  rb_unguard(vm, g);
  return status;
}

static int totext (lua_State *L) {
  rb_tolstring(L, 1, NULL);
  return 1;
}

const char *rb_guarded_text (lua_State *L, int idx, size_t *len) {
  lua_pushvalue(L, idx);
  lua_pushcfunction(L, totext);
  lua_insert(L, -2);
  if (rb_guarded_call(L, 1) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushliteral(L, "an error that cannot say what it is");
  }
  return lua_tolstring(L, -1, len);
}

/* -- signals -------------------------------------------------------------------- */

static void sethook (rb_VM *vm) {
  lua_State *L = vm->hooked;
  if (L != NULL)
    lua_sethook(L, onhook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static void onsignal (int sig) {
  rb_VM *vm = watched;
  int error = errno;
  if (vm == NULL) return;
  if (sig != SIGUSR2) vm->interrupts++;
  if (vm->slice != 0) sethook(vm);
  if (sig != SIGUSR2 && vm->interrupts == 1 && !rb_asking && !vm->impatient
      && isatty(STDERR_FILENO)) {
    static const char said[] = "\nstopping after what is under way "
                               "(Ctrl-C again: at once)\n";
    if (write(STDERR_FILENO, said, sizeof said - 1) < 0) errno = error;
  }
  errno = error;
}

/* A question that is open stays so: what it reads is read on. */
static void onquestion (int sig, siginfo_t *info, void *context) {
  rb_VM *vm = watched;
  int error = errno;
  (void)context;
  if (vm == NULL) return;
  if (info->si_code == SI_QUEUE) rb_status_ask(vm, info->si_pid, info->si_value.sival_int);
  else if (info->si_code != SI_TKILL) rb_status_ask(vm, 0, 0);
  if (!pthread_equal(pthread_self(), vm->main)) pthread_kill(vm->main, sig);
  else if (vm->slice != 0) sethook(vm);
  errno = error;
}

/* -- the watchdog ------------------------------------------------------------------ */

static pthread_t thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static int running, quit;

/* A deed beyond its pledge is not ended in its middle, unless a person insists. */
static int indeed (const rb_VM *vm) {
  const rb_Task *t = vm->running;
  return t != NULL && t->calling && t->call.pledged && vm->interrupts < 2;
}

static void tick (rb_VM *vm) {
  static double since, which;  /* when the hook was asked for, for which slice */
  double now = rb_clock_real(), slice = atomic_load(&vm->slice);
  if (slice == 0 || !overdue(vm, slice)) return;
  if (which != slice) {
    which = slice;
    since = now;
    atomic_store(&vm->stopping, 1);
    pthread_kill(vm->main, SIGUSR2);
    return;
  }
  if (now - since < GRACE || indeed(vm)) return;
  int code = RB_USAGE;
  if (vm->lastwords != NULL) code = vm->lastwords(vm);
  else fputs("runbook: the script did not stop: a function of Lua's own "
             "never came back\n", stderr);
  fflush(NULL);
  _exit(code);
}

static void *watch (void *ud) {
  rb_VM *vm = ud;
  struct timespec at;
  pthread_mutex_lock(&mutex);
  while (!quit) {
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += TICK_NS;
    if (at.tv_nsec >= 1000000000) { at.tv_sec++; at.tv_nsec -= 1000000000; }
    pthread_cond_timedwait(&wake, &mutex, &at);
    if (quit) break;
    tick(vm);
    rb_status_watch(vm);
  }
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void startthread (rb_VM *vm) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&wake, &attr);
  pthread_condattr_destroy(&attr);
  quit = 0;
  running = rb_thread(&thread, watch, vm) == 0;
}

static void handle (int sig, void (*handler) (int sig)) {
  struct sigaction sa = {.sa_handler = handler};
  sigemptyset(&sa.sa_mask);
  sigaction(sig, &sa, NULL);
}

static void opensignals (rb_VM *vm) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR2};
  struct sigaction ask = {.sa_sigaction = onquestion, .sa_flags = SA_SIGINFO | SA_RESTART};
  watched = vm;
  sigemptyset(&ask.sa_mask);
  sigaction(SIGUSR1, &ask, NULL);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    handle(signals[i], onsignal);
}

void rb_stop_open (rb_VM *vm) {
  if (running) return;
  opensignals(vm);
  startthread(vm);
}

void rb_stop_close (rb_VM *vm) {
  if (watched != vm) return;
  if (!running) {
    watched = NULL;
    return;
  }
  pthread_mutex_lock(&mutex);
  quit = 1;
  pthread_cond_signal(&wake);
  pthread_mutex_unlock(&mutex);
  pthread_join(thread, NULL);
  pthread_cond_destroy(&wake);
  running = 0;
  watched = NULL;
}

/* -- while a file is being loaded ------------------------------------------------- */

static void settimer (double seconds, double again) {
  struct itimerval t = {.it_value.tv_sec = (time_t)seconds,
                        .it_interval.tv_sec = (time_t)again};
  setitimer(ITIMER_REAL, &t, NULL);
}

/* first the hook; when that did not help, the end */
static void onalarm (int sig) {
  static const char words[] = "runbook: the script did not stop: a function of Lua's "
                              "own never came back\n";
  rb_VM *vm = watched;
  (void)sig;
  if (vm == NULL || vm->slice == 0) return;
  if (atomic_exchange(&vm->stopping, 1) == 0) {
    sethook(vm);
    return;
  }
  int code = vm->interrupts > 0 ? RB_INTERRUPTED : RB_USAGE;
  if (write(STDERR_FILENO, words, sizeof words - 1) < 0) _exit(code);
  _exit(code);
}

void rb_stop_load (rb_VM *vm, double seconds) {
  if (running) return;
  opensignals(vm);
  handle(SIGALRM, onalarm);
  settimer(seconds, GRACE);
}

void rb_stop_loaded (void) {
  if (!running) settimer(0, 0);
}
