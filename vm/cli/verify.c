/*
** verify.c - `runbook verify`: do the chains of the tape still fit?
*/

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "vm/cli/cli.h"
#include "vm/show/show.h"

typedef struct Options {
  int json;
} Options;

static const rb_Option options[] = {
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_verify = {
  .name = "verify", .takes = "[RUN]",
  .summary = "recompute the hash chains of the tape, or of one run",
  .about = "Every event's hash holds the one before it, so what was changed, dropped or\n"
           "put elsewhere is found: exit code 1, naming the first event that does not fit.\n"
           "Whoever may write the file can make all of it anew, though: keep the head of a\n"
           "run (verify RUN prints it) where they cannot. Also: runbook tape verify.",
  .example = "runbook verify\n"
             "runbook verify 0A822503",
  .options = options, .max = 1, .main = rb_cmd_verify
};

typedef struct Sum {
  const char *run;      /* "": all of them */
  long long runs, events;
  char head[65];
} Sum;

static int add (void *ud, const rb_TapeRun *run) {
  Sum *s = ud;
  if (*s->run != '\0' && strcmp(run->id, s->run) != 0) return 0;
  s->runs++;
  s->events += run->events;
  snprintf(s->head, sizeof s->head, "%s", run->head);
  return *s->run != '\0';
}

static void print (const Sum *s, int json) {
  if (json) {
    json_t *doc = json_pack("{s:i, s:I, s:I, s:s?, s:s?, s:n}", "exit", 0, "runs",
                            (json_int_t)s->runs, "events", (json_int_t)s->events,
                            "run", *s->run != '\0' ? s->run : NULL, "head",
                            *s->run != '\0' ? s->head : NULL, "error");
    json_dumpf(doc, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(doc);
  }
  else if (*s->run != '\0')
    printf("run %s fits: %lld events, head %s\n", s->run, s->events, s->head);
  else
    printf("the tape fits: %lld run%s, %lld events\n", s->runs,
           s->runs == 1 ? "" : "s", s->events);
}

static int verify (const char *name, Sum *s, rb_Problem *p) {
  static char id[RB_RUNID];
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  if (name == NULL || rb_pick_run(t, name, NULL, id, p) == 0) {
    s->run = id;
    if (rb_tape_verify(t, name != NULL ? id : NULL, p) == 0)
      rb_tape_runs(t, add, s, p);
  }
  rb_tape_close(t);
  return p->exit;
}

static int command (const rb_Command *c, int argc, char **argv, int skip) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  Sum sum = {.run = ""};
  int status = rb_options_read(c, argc, argv, &o, &a);
  if (status != 0) return status;
  if (skip > 0 && strcmp(a.words[0], "verify") != 0)
    rb_problem(&p, RB_USAGE, "usage", "tape takes verify, not '%s'", a.words[0]);
  else if (verify(a.n > skip ? a.words[skip] : NULL, &sum, &p) == 0) print(&sum, o.json);
  if (p.exit != 0) rb_show_problem(&p, o.json);
  rb_options_free(&a);
  return p.exit;
}

int rb_cmd_verify (int argc, char **argv) {
  return command(&rb_command_verify, argc, argv, 0);
}

const rb_Command rb_command_tape = {
  .name = "tape", .takes = "verify [RUN]",
  .summary = "the same as verify",
  .example = "runbook tape verify",
  .options = options, .min = 1, .max = 2, .main = rb_cmd_tape
};

int rb_cmd_tape (int argc, char **argv) {
  return command(&rb_command_tape, argc, argv, 1);
}
