/*
** status.c - `runbook status`: what the runs under way are doing, and what was left unfinished
**
** A run is asked by a signal that names our pipe; it answers there (vm/status.c). Before
** that it is made sure, by a descriptor of the process, that it is the session of that
** run and listens: to anything else the signal would be the end.
*/

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <jansson.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/show/show.h"

#define TIMES 12      /* that a run is asked */
#define PAUSE 250     /* milliseconds that it has for each */
#define ROOM (1 << 20)  /* bytes of an answer */

typedef struct Options { int json; } Options;

static const rb_Option options[] = {
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_status = {
  .name = "status", .takes = "[RUN]",
  .summary = "what the runs under way are doing now, and what is left unfinished",
  .about =
    "Each run of this user that is under way on this machine says where it is: its step,\n"
    "and for each branch the primitive that it waits in, with its target, for how long, and\n"
    "when its time is over. Below them stand the runs that were not finished after they had\n"
    "changed something, and what can be done with them. A run that does not answer within\n"
    "three seconds is named with its process, and the exit code is 1.\n"
    "\n"
    "RUN is a run's name, or an ending of it that no other run has. kill -USR1 of a run's\n"
    "process has it say the same on its own standard error.",
  .example = "runbook status\n"
             "runbook status 0A822503\n"
             "runbook status --json | jq -r '.live[].tasks[] | [.branch, .verb, .for_ms] | @tsv'",
  .options = options, .max = 1, .main = rb_cmd_status
};

typedef struct Status {
  rb_Tape *tape;
  json_t *live, *unfinished, *ended;
  const char *only;    /* the run that was named; NULL: all of them */
  int silent;          /* one of them did not answer */
} Status;

/* -- asking ---------------------------------------------------------------------- */

/* What /proc says of a process: does it listen, and its state, "T (stopped)". */
static int listens (int pid, char *state, size_t size) {
  char path[64], line[200];
  unsigned long long caught = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  snprintf(state, size, "gone");
  FILE *f = fopen(path, "re");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, "State:", 6) == 0)
      snprintf(state, size, "%.*s", (int)strcspn(line + 7, "\n"), line + 7);
    if (strncmp(line, "SigCgt:", 7) == 0) caught = strtoull(line + 7, NULL, 16);
  }
  if (f != NULL) fclose(f);
  return (caught >> (SIGUSR1 - 1) & 1) != 0;
}

static int sendquestion (int process, int fd) {
  siginfo_t info = {0};
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = fd;
  return (int)syscall(SYS_pidfd_send_signal, process, SIGUSR1, &info, 0) == 0;
}

/* the answer up to its newline; NULL: none came in time */
static json_t *hear (int process, const int ends[2], char *room) {
  size_t n = 0;
  for (int i = 0; i < TIMES; i++) {
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    if (n == 0 && !sendquestion(process, ends[1])) return NULL;
    if (poll(&p, 1, PAUSE) <= 0) continue;
    ssize_t got = read(ends[0], room + n, ROOM - n);
    if (got > 0) n += (size_t)got;
    char *end = memchr(room, '\n', n);
    if (end != NULL) return json_loadb(room, (size_t)(end - room), 0, NULL);
  }
  return NULL;
}

static json_t *ask (Status *s, const char *run, int pid) {
  char state[40];
  int ends[2], process = (int)syscall(SYS_pidfd_open, pid, 0);
  char *room = malloc(ROOM);
  json_t *doc = NULL;
  if (process >= 0 && room != NULL && rb_tape_holds(s->tape, run, pid)
      && listens(pid, state, sizeof state) && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    (void)fcntl(ends[1], F_SETPIPE_SZ, ROOM);
    doc = hear(process, ends, room);
    close(ends[0]);
    close(ends[1]);
  }
  if (process >= 0) close(process);
  free(room);
  return doc;
}

static int live (void *ud, const char *run, int pid) {
  Status *s = ud;
  char state[40];
  if (s->only != NULL && strcmp(s->only, run) != 0) return 0;
  json_t *doc = ask(s, run, pid);
  if (doc == NULL && !rb_tape_holds(s->tape, run, pid)) return 0;  /* it has just ended */
  if (doc == NULL) {
    listens(pid, state, sizeof state);
    doc = json_pack("{s:s,s:i,s:s}", "run", run, "pid", pid, "silent", state);
    s->silent = 1;
  }
  json_array_append_new(s->live, doc);
  return 0;
}

static int islive (const Status *s, const char *run) {
  size_t i;
  json_t *doc;
  json_array_foreach(s->live, i, doc)
    if (strcmp(json_string_value(json_object_get(doc, "run")), run) == 0) return 1;
  return 0;
}

/* -- what was left ----------------------------------------------------------------- */

static json_t *advice (const rb_TapeClaim *c) {
  json_t *list = json_array();
  const char *id = c->run + 18;
  int half = c->undo[0] != '\0';
  if (!half && strcmp(c->mode, "repl") != 0)
    json_array_append_new(list, json_sprintf("runbook resume %s", id));
  if (strcmp(c->mode, "repl") != 0)
    json_array_append_new(list, json_sprintf("runbook undo %s", id));
  json_array_append_new(list, json_sprintf("runbook abandon %s", id));
  return list;
}

static void addleft (Status *s, const rb_TapeRun *run, const rb_TapeClaim *c) {
  char started[40];
  rb_report_stamp(c->started, started, sizeof started);
  json_array_append_new(s->unfinished, json_pack("{s:s,s:s,s:s?,s:s,s:s,s:s,s:s,s:o}",
    "run", c->run, "runbook", c->runbook, "target", run->target, "operator", c->who, "host",
    c->host, "started", started, "how", c->undo[0] != '\0' ? "was taken back in part"
    : !c->ended ? "was ended from outside" : c->status, "next", advice(c)));
}

static int left (void *ud, const rb_TapeRun *run) {
  Status *s = ud;
  rb_TapeClaim c;
  rb_Problem p = {0};
  const char *status = run->ended != 0 && run->status != NULL ? run->status : "";
  if (s->only != NULL && strcmp(run->id, s->only) != 0) return 0;
  if (islive(s, run->id)) return 0;
  int settled = strcmp(status, "abandoned") == 0 || run->pruned != 0 || run->mode == NULL
                || strcmp(run->mode, "dry-run") == 0 || strcmp(run->mode, "undo") == 0;
  if (!settled && rb_tape_claim(s->tape, run->id, &c, &p) == 0 && c.open) {
    addleft(s, run, &c);
    return 0;
  }
  if (s->only != NULL)
    json_array_append_new(s->ended, json_pack("{s:s,s:s?,s:s?,s:o}", "run", run->id,
      "runbook", run->runbook, "status", run->ended != 0 ? run->status : NULL, "exit",
      run->ended != 0 ? json_integer(run->exit) : json_null()));
  return 0;
}

static int collect (Status *s, const char *name, char id[RB_RUNID], rb_Problem *p) {
  if (name != NULL && rb_tape_find(s->tape, name, id, p) != 0) return p->exit;
  if (name != NULL) s->only = id;
  if (rb_tape_live(s->tape, live, s, p) != 0) return p->exit;
  return s->only != NULL ? rb_tape_run(s->tape, id, left, s, p)
                         : rb_tape_runs(s->tape, left, s, p);
}

/* -- printing -------------------------------------------------------------------------- */

static const char *words (const json_t *o, const char *name) {
  const char *s = json_string_value(json_object_get(o, name));
  return s != NULL ? s : "?";
}

static void printlive (rb_Buffer *b, const json_t *doc) {
  if (json_object_get(doc, "silent") == NULL) rb_show_doing(b, doc);
  else rb_buffer_printf(b, "run %s does not say what it is doing: process %lld, %s\n",
                        words(doc, "run"),
                        (long long)json_integer_value(json_object_get(doc, "pid")),
                        words(doc, "silent"));
}

static void printleft (rb_Buffer *b, const json_t *o) {
  size_t i;
  json_t *next;
  rb_buffer_printf(b, "run %s of %s on %s, by %s on %s since %s, is not finished: %s%s\n ",
                   words(o, "run"), words(o, "runbook"), words(o, "target"),
                   words(o, "operator"), words(o, "host"), words(o, "started"),
                   words(o, "how"), " after it had changed something");
  json_array_foreach(json_object_get(o, "next"), i, next)
    rb_buffer_printf(b, "%s%s", i > 0 ? ", or " : " ", json_string_value(next));
  rb_buffer_puts(b, "\n");
}

static void print (const Status *s) {
  rb_Buffer b = {0};
  size_t i;
  json_t *o;
  json_array_foreach(s->live, i, o) printlive(&b, o);
  json_array_foreach(s->unfinished, i, o) printleft(&b, o);
  json_array_foreach(s->ended, i, o)
    rb_buffer_printf(&b, json_is_string(json_object_get(o, "status"))
                     ? "run %s of %s is not under way: it ended, %s\n"
                     : "run %s of %s is not under way: it was ended from outside, and had "
                     "changed nothing\n", words(o, "run"), words(o, "runbook"),
                     words(o, "status"));
  if (b.n > 0) fwrite(b.s, 1, b.n, stdout);
  else fprintf(stderr, "nothing is under way, and nothing was left unfinished\n");
  rb_buffer_free(&b);
}

static void printjson (const Status *s) {
  json_t *doc = json_pack("{s:O,s:O,s:O}", "live", s->live, "unfinished", s->unfinished,
                          "ended", s->ended);
  json_dumpf(doc, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(doc);
}

/* no tape: nothing has been run, unless it was asked for by name */
static int status (Status *s, const char *name, rb_Problem *p) {
  char file[4096], id[RB_RUNID] = "";
  int none = rb_tape_file(file, sizeof file) && access(file, F_OK) != 0
             && (errno == ENOENT || errno == ENOTDIR);
  if (none && name == NULL) return 0;
  s->tape = rb_pick_tape(p);
  if (s->tape == NULL) return p->exit;
  int rc = collect(s, name, id, p);
  rb_tape_close(s->tape);
  return rc;
}

int rb_cmd_status (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int rc = rb_options_read(&rb_command_status, argc, argv, &o, &a);
  if (rc != 0) return rc;
  Status s = {.live = json_array(), .unfinished = json_array(), .ended = json_array()};
  if (status(&s, a.n > 0 ? a.words[0] : NULL, &p) != 0) rb_show_problem(&p, o.json);
  else if (o.json) printjson(&s);
  else print(&s);
  json_decref(s.live);
  json_decref(s.unfinished);
  json_decref(s.ended);
  rb_options_free(&a);
  return p.exit != 0 ? p.exit : s.silent ? RB_FAILED : 0;
}
