/*
** loop.c - tasks, and the one place where they wait
**
** A turn of the loop: all Lua that can run runs to its next wait; what was
** queued is written out; events that somebody waits for are made durable in
** one commit (others are left to a thread of the tape); then one poll over all
** descriptors and the nearest time.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/clock.h"
#include "vm/drill.h"
#include "vm/replay.h"
#include "vm/gate.h"

#define FLUSHSECONDS 0.25  /* events that nobody waits for */
#define POLLSECONDS 0.01   /* others are looked at, even if one never waits */

rb_Task *rb_self (lua_State *L) { return rb_taskof(L); }

/* -- tasks ------------------------------------------------------------------ */

/* [-0, +0, m]  from the free list, or a new one */
static rb_Task *taketask (lua_State *L, rb_VM *vm) {
  rb_Task *t = vm->free;
  if (t != NULL) {
    vm->free = t->next;
    return t;
  }
  lua_State *co = lua_newthread(L);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  t = calloc(1, sizeof *t);
  if (t == NULL) luaL_error(L, "not enough memory");
  *t = (rb_Task){.vm = vm, .L = co, .ref = ref};
  *(rb_Task **)lua_getextraspace(co) = t;  /* not inherited from the creator */
  return t;
}

rb_Task *rb_task_new (lua_State *L, rb_Task *parent, rb_FieldRun *field,
                      const char *path, int nargs) {
  rb_VM *vm = rb_vm(L);
  rb_Task *t = taketask(L, vm);
  rb_Task clean = {.vm = vm, .L = t->L, .ref = t->ref};
  clean.call.path = t->call.path;       /* their memory is used again */
  clean.call.summary = t->call.summary;
  *t = clean;
  t->parent = parent;
  t->field = field;
  t->watch.fd = -1;
  t->nargs = nargs;
  t->path = strdup(path);
  if (t->path == NULL || !lua_checkstack(t->L, nargs + 1)) {
    t->next = vm->free;
    vm->free = t;
    luaL_error(L, "not enough memory");
  }
  lua_xmove(L, t->L, nargs + 1);
  t->sister = field->tasks;
  if (t->sister != NULL) t->sister->elder = t;
  field->tasks = t;
  field->live++;
  rb_task_ready(t);
  return t;
}

void rb_task_ready (rb_Task *t) {
  rb_VM *vm = t->vm;
  t->state = RB_READY;
  t->next = NULL;
  *vm->readylast = t;
  vm->readylast = &t->next;
}

static void unlist (rb_Task *t) {
  if (!t->inlist) return;
  if (t->before != NULL) t->before->after = t->after;
  else t->vm->waiting = t->after;
  if (t->after != NULL) t->after->before = t->before;
  t->inlist = 0;
}

static void enlist (rb_Task *t) {
  t->before = NULL;
  t->after = t->vm->waiting;
  if (t->after != NULL) t->after->before = t;
  t->vm->waiting = t;
  t->inlist = 1;
}

void rb_task_free (rb_Task *t) {
  rb_VM *vm = t->vm;
  if (t->elder != NULL) t->elder->sister = t->sister;
  else t->field->tasks = t->sister;
  if (t->sister != NULL) t->sister->elder = t->elder;
  unlist(t);
  if (t->watch.fd >= 0) rb_unwatch(&t->watch);
  if (t->calling) rb_call_abandon(t);
  free(t->path);
  free(t->assumes.n);
  t->path = NULL;
  t->assumes = (rb_Assumes){0};
  vm->closing++;
  if (t->state != RB_OVER || t->status != LUA_OK) {
    rb_Guard g = rb_guard(vm, t->L);
    lua_resetthread(t->L);
    rb_unguard(vm, g);
  }
  lua_settop(t->L, 0);  /* a reset leaves the error there */
  vm->closing--;
  lua_sethook(t->L, NULL, 0, 0);
  t->state = RB_OVER;
  t->next = vm->free;
  vm->free = t;
}

void rb_task_freeall (rb_FieldRun *field) {
  while (field->tasks != NULL) rb_task_free(field->tasks);
}

void rb_loop_free (rb_VM *vm) {
  for (rb_Task *t = vm->free; t != NULL; ) {
    rb_Task *next = t->next;
    luaL_unref(vm->L, LUA_REGISTRYINDEX, t->ref);
    rb_buffer_free(&t->call.path);
    rb_buffer_free(&t->call.summary);
    free(t);
    t = next;
  }
  vm->free = NULL;
  free(vm->deliver);
  free(vm->fds);
  free(vm->fdwatch);
  vm->fdwatch = NULL;
  vm->fdsize = 0;  /* modules unwatch after this */
}

/* -- waiting ------------------------------------------------------------------ */

int rb_waitstate (lua_State *L, rb_TaskState state, lua_KContext ctx,
                  lua_KFunction k) {
  rb_taskof(L)->state = state;
  return lua_yieldk(L, 0, ctx, k);
}

int rb_enqueue (lua_State *L, rb_TaskState state, lua_KContext ctx,
                lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  rb_VM *vm = t->vm;
  if (vm->ndeliver == vm->sizedeliver) {
    int size = vm->sizedeliver > 0 ? vm->sizedeliver * 2 : 64;
    rb_Task **list = realloc(vm->deliver, (size_t)size * sizeof *list);
    if (list == NULL) return luaL_error(L, "not enough memory");
    vm->deliver = list;
    vm->sizedeliver = size;
  }
  vm->deliver[vm->ndeliver++] = t;
  return rb_waitstate(L, state, ctx, k);
}

static double nearer (double a, double b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

/* CLOCK_MONOTONIC at which the script has to be over; 0: never */
static double scriptdeadline (const rb_Task *t) {
  double d = t->vm->rundeadline;
  return t->field != NULL ? nearer(d, t->field->deadline) : d;
}

/* the same for the running call, which may have a time of its own */
double rb_task_deadline (const rb_Task *t) {
  if (t->call.grace != 0) return t->call.grace;
  double d = scriptdeadline(t);
  return t->calling ? nearer(d, t->call.deadline) : d;
}

double rb_person_begin (rb_VM *vm) {
  if (vm->running != NULL) atomic_store(&vm->slice, 0);
  return rb_now();
}

void rb_person_end (rb_VM *vm, double began) {
  rb_Task *t = vm->running;
  double now = rb_now();
  if (t == NULL) return;
  if (t->field != NULL && t->field->deadline != 0)
    t->field->deadline += now - began;
  atomic_store(&vm->until, rb_task_deadline(t));
  atomic_store(&vm->slice, rb_clock_real());
}

double rb_timeleft (lua_State *L) {
  double d = rb_task_deadline(rb_taskof(L));
  if (d == 0) return 86400;
  double left = d - rb_now();
  return left > 0 ? left : 0;
}

void rb_timeout (lua_State *L, double seconds) {
  rb_Task *t = rb_taskof(L);
  if (t->calling) t->call.deadline = rb_now() + seconds;
}

void rb_grace (lua_State *L, double seconds) {
  rb_taskof(L)->call.grace = seconds > 0 ? rb_now() + seconds : 0;
}

static int park (lua_State *L, double wake, lua_KContext ctx,
                 lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  if (!lua_isyieldable(L))
    return luaL_error(L, "nothing can wait here (inside sort, gsub or load)");
  t->wake = wake;
  enlist(t);
  return rb_waitstate(L, RB_WAITING, ctx, k);
}

int rb_park (lua_State *L, lua_KContext ctx, lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  if (t->woken) {
    t->woken = 0;
    return k(L, LUA_YIELD, ctx);
  }
  return park(L, rb_task_deadline(t), ctx, k);
}

int rb_sleep (lua_State *L, double seconds, lua_KContext ctx,
              lua_KFunction k) {
  return park(L, nearer(rb_task_deadline(rb_taskof(L)), rb_now() + seconds), ctx, k);
}

void rb_wake (rb_Task *t) {
  if (t->state != RB_WAITING) {
    t->woken = 1;
    return;
  }
  t->call.asks = 0;
  unlist(t);
  if (t->watch.fd >= 0) rb_unwatch(&t->watch);
  rb_task_ready(t);
}

static void wakeup (void *ud, short revents) {
  (void)revents;
  rb_wake(ud);
}

/* -- descriptors ---------------------------------------------------------------- */

static void link_ (rb_VM *vm, rb_Watch *w) {
  w->vm = vm;
  w->prev = vm->watches.prev;
  w->next = &vm->watches;
  w->prev->next = w;
  vm->watches.prev = w;
  vm->nwatches++;
}

int rb_wait (lua_State *L, int fd, short events, lua_KContext ctx,
             lua_KFunction k) {
  rb_Task *t = rb_taskof(L);
  if (!lua_isyieldable(L)) return park(L, 0, ctx, k);  /* raises */
  t->watch = (rb_Watch){.fd = fd, .events = events, .ready = wakeup, .ud = t};
  link_(t->vm, &t->watch);
  return park(L, rb_task_deadline(t), ctx, k);
}

rb_Watch *rb_watch (lua_State *L, int fd, short events,
                    void (*ready) (void *ud, short revents), void *ud) {
  rb_Watch *w = calloc(1, sizeof *w);
  if (w == NULL) return NULL;
  *w = (rb_Watch){.fd = fd, .events = events, .ready = ready, .ud = ud};
  link_(rb_vm(L), w);
  return w;
}

void rb_rewatch (rb_Watch *w, short events) { w->events = events; }

void rb_unwatch (rb_Watch *w) {
  rb_VM *vm = w->vm;
  w->prev->next = w->next;
  w->next->prev = w->prev;
  vm->nwatches--;
  for (int i = 0; i < vm->fdsize; i++)  /* it may be in the turn's dispatch */
    if (vm->fdwatch[i] == w) vm->fdwatch[i] = NULL;
  if (w->ready == wakeup) w->fd = -1;   /* a part of its task */
  else free(w);
}

void rb_onturn (lua_State *L, void (*turn) (void *ud), void *ud) {
  rb_VM *vm = rb_vm(L);
  for (int i = 0; i < vm->nturns; i++)
    if (vm->turns[i].fn == turn && vm->turns[i].ud == ud) return;
  if (vm->nturns == (int)(sizeof vm->turns / sizeof *vm->turns))
    luaL_error(L, "too many connections want a turn of the loop");
  vm->turns[vm->nturns++] = (rb_Turn){turn, ud};
}

void rb_setpoller (lua_State *L,
    int (*wait) (void *ud, struct pollfd *fds, unsigned n, int ms), void *ud) {
  rb_VM *vm = rb_vm(L);
  vm->poller = wait;
  vm->pollerud = ud;
}

/* makes room for all watches; 0 when out of memory */
static int growfds (rb_VM *vm) {
  if (vm->nwatches <= vm->fdsize) return 1;
  int size = vm->nwatches * 2;
  struct pollfd *fds = realloc(vm->fds, (size_t)size * sizeof *fds);
  if (fds != NULL) vm->fds = fds;
  rb_Watch **w = realloc(vm->fdwatch, (size_t)size * sizeof *w);
  if (w != NULL) vm->fdwatch = w;
  if (fds == NULL || w == NULL) return 0;
  memset(w, 0, (size_t)size * sizeof *w);
  vm->fdsize = size;
  return 1;
}

static int milliseconds (rb_VM *vm) {
  double now = rb_now(), at = 0;
  for (rb_Task *t = vm->waiting; t != NULL; t = t->after)
    at = nearer(at, t->wake);
  if (rb_clock_isvirtual() && vm->nwatches == 0 && at != 0) {
    rb_clock_skip(at);  /* nothing is waited for: it is that time */
    return 0;
  }
  if (vm->tape != NULL && rb_tape_waiting(vm->tape) > 0)
    at = nearer(at, vm->lastcommit + FLUSHSECONDS);
  if (at == 0) return 1000;
  if (at <= now) return 0;
  return at - now > 1 ? 1000 : (int)((at - now) * 1000) + 1;
}

static void dispatch (rb_VM *vm, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    rb_Watch *w = vm->fdwatch[i];
    if (w != NULL && vm->fds[i].revents != 0) w->ready(w->ud, vm->fds[i].revents);
  }
}

/* at a prompt: what takes long */
static void tell (const rb_VM *vm, double began) {
  const rb_Task *t = vm->waiting;
  char what[128] = "waiting";
  if (t == NULL || !vm->impatient || vm->hushed) return;
  if (t->calling && t->call.reg != NULL)
    snprintf(what, sizeof what, "%s.%s", t->call.module->name, t->call.reg->name);
  rb_show_waiting(vm->show, what, rb_now() - began);
}

/* busy: somebody has more to do, so nothing is waited for */
static void pollonce (rb_VM *vm, int busy) {
  unsigned n = 0;
  if (!growfds(vm)) return;
  for (rb_Watch *w = vm->watches.next; w != &vm->watches; w = w->next, n++) {
    vm->fds[n] = (struct pollfd){.fd = w->fd, .events = w->events};
    vm->fdwatch[n] = w;
  }
  int ms = busy ? 0 : milliseconds(vm);
  int got = vm->poller != NULL ? vm->poller(vm->pollerud, vm->fds, n, ms)
                               : poll(vm->fds, n, ms);
  if (got > 0) dispatch(vm, n);
  double now = vm->lastpoll = rb_now();
  for (rb_Task *t = vm->waiting, *after; t != NULL; t = after) {
    after = t->after;
    if (t->wake != 0 && t->wake <= now) rb_wake(t);
  }
}

/* -- turning ----------------------------------------------------------------------- */

static void over (rb_Task *t, rb_TaskState state) {
  t->state = state;
  t->field->live--;
  if (t->parent != NULL) rb_each_over(t);
}

static void resume (rb_VM *vm, rb_Task *t) {
  int n = 0, nargs = t->nargs;
  if (t->field->stop != RB_GO && !t->calling) {
    over(t, RB_GONE);
    return;
  }
  t->nargs = 0;
  t->state = RB_RUNNING;
  vm->running = t;
  vm->hooked = t->L;
  atomic_store(&vm->until, scriptdeadline(t));
  atomic_store(&vm->slice, rb_clock_real());
  int status = lua_resume(t->L, NULL, nargs, &n);
  atomic_store(&vm->slice, 0);
  vm->hooked = NULL;
  vm->running = NULL;
  if (status == LUA_YIELD) {
    lua_pop(t->L, n);
    if (t->state == RB_GONE || t->state == RB_RUNNING) over(t, RB_GONE);
    return;
  }
  t->status = status;
  if (status == LUA_ERRMEM && t->field->stop == RB_GO) {
    t->field->stop = RB_MEMORY;
    snprintf(t->field->why, sizeof t->field->why,
             "the script used more memory than it may (%zu MB)",
             vm->maxmemory >> 20);
    t->field->line = rb_stop_place(t->L, t->field->file, sizeof t->field->file);
  }
  over(t, RB_OVER);
}

static void runready (rb_VM *vm) {
  while (vm->ready != NULL) {
    rb_Task *t = vm->ready;
    vm->ready = t->next;
    if (vm->ready == NULL) vm->readylast = &vm->ready;
    resume(vm, t);
  }
}

/* The tape cannot be written. What was about to be done will not be; a deed that
** was, and whose outcome did not get there, is in doubt. */
static void broken (rb_VM *vm, rb_FieldRun *field, const char *why) {
  int doubt = 0;
  for (int i = 0; i < vm->ndeliver; i++)
    doubt |= vm->deliver[i]->state == RB_DELIVER && vm->deliver[i]->call.pledged;
  if (field->stop == RB_DOUBT) return;
  if (field->stop == RB_GO || doubt)
    snprintf(field->why, sizeof field->why, "%s%.900s", doubt ? "something was done "
             "whose outcome is not on the tape: " : "", why);
  field->stop = doubt ? RB_DOUBT : RB_UNTAPED;
}

/* everything queued becomes durable; 0: it did not */
static int commit (rb_VM *vm, rb_FieldRun *field) {
  rb_Problem p = {0};
  vm->lastcommit = rb_now();
  if (vm->tape == NULL || rb_tape_commit(vm->tape, &p) == 0) return 1;
  broken(vm, field, p.message);
  return 0;
}

/* must somebody's last event be durable before he goes on? */
static int awaited (const rb_VM *vm) {
  if (vm->dryrun) return 0;
  for (int i = 0; i < vm->ndeliver; i++)
    if (vm->deliver[i]->state == RB_COMMIT
        || vm->deliver[i]->call.effect != RB_PROBE) return 1;
  return 0;
}

/* Its intent is not on the tape, so it will not be done: nothing is in doubt. */
static void unpledge (rb_Task *t) {
  t->call.pledged = 0;
  t->field->deeds--;
}

/* Those who are in the queue go on one after the other, in the order of the tape,
** and all Lua that can run runs in between: so will a replay. Who waits
** for what is not durable does not go on, whatever else ended the field. */
static void deliver (rb_VM *vm, rb_FieldRun *field, int durable) {
  int n = vm->ndeliver;
  for (int i = 0; i < n; i++) {
    rb_Task *t = vm->deliver[i];
    if (!durable || field->stop == RB_BROKEN || field->stop == RB_UNTAPED) {
      if (!durable && t->state == RB_COMMIT) unpledge(t);
      over(t, RB_GONE);
      continue;
    }
    if (t->state == RB_DELIVER) vm->lastdelivered = t->call.at;
    if (t->state == RB_COMMIT) rb_drill_point(t, RB_POINT_INTENDED);
    else rb_drill_point(t, RB_POINT_OUTCOME);
    rb_task_ready(t);
    do runready(vm);  /* what the tape has is older than what is new */
    while (vm->replay != NULL && rb_replay_turn(vm));
  }
  vm->ndeliver -= n;
  memmove(vm->deliver, vm->deliver + n, (size_t)vm->ndeliver * sizeof *vm->deliver);
}

/* Events that nobody waits for are written when they are many, or old. */
static void flush (rb_VM *vm, rb_FieldRun *field) {
  rb_Problem p = {0};
  double now = rb_now();
  int due = now - vm->lastcommit > FLUSHSECONDS;
  if (vm->tape == NULL) return;
  if (due) vm->lastcommit = now;
  if (rb_tape_flush(vm->tape, due, &p) != 0) broken(vm, field, p.message);
}

static void checkinterrupt (rb_VM *vm, rb_FieldRun *field) {
  if (vm->interrupts > 1) vm->abandoned = 1;
  if (vm->interrupts > 0 && field->stop == RB_GO) {
    field->stop = RB_INTERRUPT;
    snprintf(field->why, sizeof field->why, "interrupted");
    for (rb_Task *t = vm->waiting, *after; t != NULL; t = after) {
      after = t->after;
      if (!t->calling || t->call.asks) rb_wake(t);
      else if (vm->impatient && !t->call.pledged) t->wake = t->call.deadline = rb_now();
    }
  }
}

static void turn (rb_VM *vm, rb_FieldRun *field) {
  double began = rb_now();
  for (;;) {
    checkinterrupt(vm, field);  /* before anything starts */
    if (rb_status_asked(vm)) rb_status_answer(vm);
    runready(vm);
    if (field->live == 0 || vm->abandoned) return;
    for (int i = 0; i < vm->nturns; i++) vm->turns[i].fn(vm->turns[i].ud);
    if (vm->ready != NULL) continue;
    if (vm->replay != NULL && rb_replay_next(vm, field)) continue;
    int durable = 1, busy = vm->ndeliver > 0;
    if (awaited(vm)) durable = commit(vm, field);
    else flush(vm, field);
    if (busy) deliver(vm, field, durable);
    if (field->live == 0) return;
    if (busy && rb_now() - vm->lastpoll < POLLSECONDS) continue;
    checkinterrupt(vm, field);
    if (vm->ready == NULL) pollonce(vm, busy);
    if (!busy) tell(vm, began);
  }
}

void rb_loop_run (rb_VM *vm, rb_FieldRun *field) {
  rb_FieldRun *outer = vm->field;
  if (vm->lastcommit == 0) vm->lastcommit = rb_now();
  vm->field = field;
  turn(vm, field);
  vm->field = outer;
}
