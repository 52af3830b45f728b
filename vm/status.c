/*
** status.c - what a run is doing now, for whoever asks
**
** SIGUSR1 asks. A person's is answered on standard error; that of `runbook status` names
** a pipe of its own, and the answer goes there. The loop answers between two turns, or
** the hook in the middle of Lua; where neither comes by (a question is open, a C function
** does not return), the watchdog says what it can see from outside. Who is never asked
** pays for nothing.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vm/vm.h"

#define PATIENT 0.5  /* seconds that the watchdog leaves to the loop */
#define SHOWN 200    /* tasks that are told one by one */
#define PERSON 1     /* who asks: 1, or a process and its pipe */

/* -- one task ----------------------------------------------------------------- */

static const char *stateof (const rb_Task *t) {
  switch (t->state) {
    case RB_READY: return "ready";
    case RB_RUNNING: return "running";
    case RB_JOINING: return "joining";
    case RB_COMMIT: case RB_DELIVER: return "recording";
    case RB_TAPE: case RB_LIVE: return "replaying";
    default: break;
  }
  if (!t->calling) return "pausing";
  if (t->call.wants != 0) return "turn";
  return t->call.previewing ? "previewing" : t->call.pledged ? "changing" : "waiting";
}

/* a text that is redacted already */
static json_t *text (const char *s) {
  json_t *j = s != NULL ? json_string(s) : NULL;
  return j != NULL ? j : s != NULL ? rb_jsontext(s, strlen(s)) : json_null();
}

static json_t *milliseconds (double seconds) {
  return json_integer((json_int_t)(seconds > 0 ? seconds * 1000 : 0));
}

/* "until" as a time of day, and how long it is until then */
static void setuntil (json_t *o, double until, double now) {
  struct timespec t;
  char stamp[40];
  if (until == 0) return;
  clock_gettime(CLOCK_REALTIME, &t);
  int64_t ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
  rb_report_stamp(ms + (int64_t)((until - now) * 1000), stamp, sizeof stamp);
  json_object_set_new(o, "deadline", json_string(stamp));
  json_object_set_new(o, "left_ms", milliseconds(until - now));
}

static void setcall (json_t *o, const rb_Task *t, double now) {
  static const char *const kinds[] = {
    [RB_PROBE] = "probe", [RB_REMEDY] = "remedy", [RB_NOTICE] = "notice"};
  const rb_Call *c = &t->call;
  const char *words = c->summary.s != NULL ? c->summary.s : "";
  json_object_set_new(o, "effect", json_string(kinds[c->effect]));
  json_object_set_new(o, "verb", json_sprintf("%s.%s", c->module->name, c->reg->name));
  json_object_set_new(o, "target", rb_jsontext(c->box->r.name, strlen(c->box->r.name)));
  json_object_set_new(o, "summary", rb_jsontext(words, strlen(words)));
  json_object_set_new(o, "attempt", json_integer(c->attempt + 1));
  json_object_set_new(o, "for_ms", milliseconds(now - c->started));
}

static void setpause (json_t *o, const rb_Task *t, double now) {
  const char *what = t->pausewhat != NULL ? t->pausewhat : "";
  json_object_set_new(o, "verb", json_string(t->pauseverb));
  json_object_set_new(o, "summary", rb_jsontext(what, strlen(what)));
  json_object_set_new(o, "for_ms", milliseconds(now - t->pausesince));
  json_object_set_new(o, "wakes_ms", milliseconds(t->wake - now));
}

static json_t *taskdoc (const rb_Task *t, double now) {
  long long done, of;
  const char *state = stateof(t);
  json_t *o = json_pack("{s:o,s:s}", "branch", text(t->path), "state", state);
  if (t->calling && t->call.reg != NULL) setcall(o, t, now);
  else if (t->state == RB_JOINING && rb_each_progress(t, &done, &of)) {
    json_object_set_new(o, "verb", json_string("run:each"));
    json_object_set_new(o, "done", json_integer(done));
    json_object_set_new(o, "of", json_integer(of));
  } else if (t->pauseverb != NULL && strcmp(state, "pausing") == 0) setpause(o, t, now);
  setuntil(o, rb_task_deadline(t), now);
  return o;
}

static void settasks (json_t *o, const rb_FieldRun *f, double now) {
  json_t *list = json_array();
  int more = 0;
  for (const rb_Task *t = f != NULL ? f->tasks : NULL; t != NULL; t = t->sister) {
    if (t->state == RB_OVER || t->state == RB_GONE) continue;
    if (json_array_size(list) < SHOWN) json_array_insert_new(list, 0, taskdoc(t, now));
    else more++;
  }
  json_object_set_new(o, "tasks", list);
  json_object_set_new(o, "more", json_integer(more));
}

/* -- the run -------------------------------------------------------------------- */

static json_t *stepdoc (const rb_StepRow *s, const rb_FieldRun *f, double since,
                        double now) {
  return json_pack("{s:i,s:o,s:o,s:o,s:o,s:o}", "n", s->n, "id", text(s->id), "title",
                   text(s->title), "case", text(s->incase), "field",
                   text(f != NULL ? f->word : NULL), "for_ms", milliseconds(now - since));
}

/* 'inside': by the thread of the run itself, which knows its tasks */
static json_t *document (rb_VM *vm, int inside) {
  const rb_Report *r = vm->report;
  const rb_StepRow *s = atomic_load(&vm->step);
  double now = rb_now(), slice = atomic_load(&vm->slice);
  char host[65] = "";
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  gethostname(host, sizeof host - 1);
  double age = (double)t.tv_sec + (double)t.tv_nsec / 1e9 - (double)r->startedms / 1000;
  json_t *o = json_pack("{s:s,s:o,s:o,s:o,s:s,s:i,s:s,s:s,s:o,s:b}", "run", r->run,
    "runbook", text(r->runbook), "title", text(r->title), "target", text(r->target),
    "mode", r->mode, "pid", (int)getpid(), "host", host, "started", r->started, "for_ms",
    milliseconds(age), "stopping", vm->interrupts > 0);
  if (o == NULL) return NULL;
  const rb_FieldRun *f = inside ? vm->field : NULL;
  json_object_set_new(o, "step", s != NULL ? stepdoc(s, f, atomic_load(&vm->stepsince), now)
                                           : json_null());
  if (!inside) {
    int asking = rb_asking;
    json_object_set_new(o, "asking", json_boolean(asking));
    if (slice != 0 && !asking)
      json_object_set_new(o, "computing_ms", milliseconds(now - slice));
  } else settasks(o, f, now);
  return o;
}

void rb_status_step (rb_VM *vm, const rb_StepRow *row) {
  atomic_store(&vm->stepsince, rb_now());
  atomic_store(&vm->step, row);
}

/* -- answering ------------------------------------------------------------------- */

/* The pipe is one of a process of this user, or it could not be opened. */
static void sendto_ (uint64_t who, const json_t *doc) {
  char path[64], *s = json_dumps(doc, JSON_COMPACT);
  struct stat st;
  snprintf(path, sizeof path, "/proc/%u/fd/%u", (unsigned)(who >> 32), (unsigned)who);
  int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  size_t n = s != NULL ? strlen(s) : 0;
  if (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && n > 0) {
    s[n] = '\n';  /* in place of its end: one write */
    (void)!write(fd, s, n + 1);
  }
  if (fd >= 0) close(fd);
  free(s);
}

static void answer (rb_VM *vm, int inside) {
  uint64_t who = atomic_exchange(&vm->asked, 0);
  if (who == 0 || vm->report == NULL) return;
  json_t *doc = document(vm, inside);
  if (who != PERSON) sendto_(who, doc);
  else rb_show_status(inside ? vm->show : NULL, doc);
  json_decref(doc);
}

void rb_status_answer (rb_VM *vm) { answer(vm, 1); }

void rb_status_ask (rb_VM *vm, pid_t by, int fd) {
  atomic_store(&vm->asked, by == 0 ? PERSON : (uint64_t)by << 32 | (unsigned)fd);
}

void rb_status_watch (rb_VM *vm) {
  static double since;
  double now = rb_now();
  if (atomic_load(&vm->asked) == 0) since = 0;
  else if (since == 0) {
    since = now;
    pthread_kill(vm->main, SIGUSR1);  /* it came just before the loop began to wait */
  } else if (now - since > PATIENT) answer(vm, 0);
}
