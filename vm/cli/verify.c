/*
** verify.c - `runbook verify`: do the chains of the tape still fit, and an anchor of them?
*/

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "vm/cli/cli.h"
#include "vm/cli/tape.h"
#include "vm/show/show.h"

typedef struct Options {
  int json;
  const char *anchor;
} Options;

static const rb_Option options[] = {
  {"anchor", 'a', RB_VALUE, "FILE", "hold all runs against this file, then add to it "
   "(a new one is made)", offsetof(Options, anchor)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_verify = {
  .name = "verify", .takes = "[RUN]",
  .summary = "recompute the hash chains of the tape, or of one run",
  .about = "Every event's hash holds the one before it, so what was changed, dropped or\n"
           "put elsewhere is found: exit code 1, naming the first event that does not fit.\n"
           "Whoever may write the file can make all of it anew, though. --anchor FILE keeps\n"
           "the heads of all runs in a text file. A FILE that is there is checked first: each\n"
           "run that it knows must still be there with the events that it had, else exit 1,\n"
           "naming it, and FILE stays as it is. Where all holds, FILE is brought up to date.\n"
           "Keep it where they cannot write. Also: runbook tape verify.",
  .example = "runbook verify\n"
             "runbook verify 0A822503\n"
             "runbook verify --anchor /mnt/audit/kim.anchor",
  .options = options, .max = 1, .main = rb_cmd_verify
};

typedef struct Sum {
  const char *run;      /* "": all of them */
  long long runs, events, pruned;
  char head[65];
  int anchored;
  rb_Anchored anchor;
} Sum;

static int add (void *ud, const rb_TapeRun *run) {
  Sum *s = ud;
  s->runs++;
  s->events += run->events;
  s->pruned += run->pruned != 0;
  snprintf(s->head, sizeof s->head, "%s", run->head);
  return 0;
}

static json_t *anchorjson (const Sum *s) {
  const rb_Anchored *a = &s->anchor;
  return !s->anchored ? json_null()
    : json_pack("{s:I, s:I, s:I, s:I, s:s}", "held", (json_int_t)a->held, "added",
                (json_int_t)a->added, "grown", (json_int_t)a->grown, "unseen",
                (json_int_t)a->unseen, "all", a->all);
}

static void printjson (const Sum *s) {
  const char *one = *s->run != '\0' ? s->run : NULL;
  json_t *doc = json_pack("{s:i, s:I, s:I, s:I, s:s?, s:s?, s:o, s:n}", "exit", 0, "runs",
                          (json_int_t)s->runs, "events", (json_int_t)s->events, "pruned",
                          (json_int_t)s->pruned, "run", one,
                          "head", one != NULL ? s->head : NULL, "anchor", anchorjson(s),
                          "error");
  json_dumpf(doc, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(doc);
}

static void print (const Sum *s, const char *file) {
  const rb_Anchored *a = &s->anchor;
  if (*s->run != '\0')
    printf("run %s fits: %lld events, head %s\n", s->run, s->events, s->head);
  else
    printf("the tape fits: %lld run%s, %lld events\n", s->runs, s->runs == 1 ? "" : "s",
           s->events);
  if (s->pruned > 0)
    printf("%lld run%s pruned: of %s only the row and the head are left\n", s->pruned,
           s->pruned == 1 ? " was" : "s were", s->pruned == 1 ? "it" : "them");
  if (!s->anchored) return;
  if (a->made) printf("anchor %s is made: %lld run%s\n", file, a->added,
                      a->added == 1 ? "" : "s");
  else printf("anchor %s holds: %lld run%s as anchored (%lld went on), %lld added\n", file,
              a->held, a->held == 1 ? "" : "s", a->grown, a->added);
  if (a->unseen > 0)
    printf("%lld of them went on before they were pruned: nothing is left to be compared\n",
           a->unseen);
  printf("all of it: %s\n", a->all);
}

/* To have lost the whole tape is the worst that an anchor can show. */
static int gone (const char *anchor, rb_Problem *p) {
  if (anchor == NULL || strcmp(p->kind, "usage") != 0 || access(anchor, F_OK) != 0)
    return p->exit;
  return rb_problem(p, RB_FAILED, "anchor", "the tape is missing, and %.400s knows runs of "
                    "it", anchor);
}

static int verify (const char *name, const char *anchor, Sum *s, rb_Problem *p) {
  static char id[RB_RUNID];
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return gone(anchor, p);
  s->anchored = anchor != NULL;
  if (name == NULL || rb_pick_run(t, name, NULL, id, p) == 0) {
    s->run = id;
    int bad = anchor != NULL ? rb_tape_anchor(t, anchor, &s->anchor, p)
                             : rb_tape_verify(t, name != NULL ? id : NULL, p);
    if (!bad && name != NULL) rb_tape_run(t, id, add, s, p);
    else if (!bad) rb_tape_runs(t, add, s, p);
  }
  rb_tape_close(t);
  return p->exit;
}

int rb_verify (const char *run, const char *anchor, int json) {
  rb_Problem p = {0};
  Sum sum = {.run = ""};
  if (run != NULL && anchor != NULL)
    rb_problem(&p, RB_USAGE, "usage", "--anchor is about all runs: leave out '%s'", run);
  else if (verify(run, anchor, &sum, &p) == 0) {
    if (json) printjson(&sum);
    else print(&sum, anchor);
  }
  if (p.exit != 0) rb_show_problem(&p, json);
  return p.exit;
}

int rb_cmd_verify (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  int status = rb_options_read(&rb_command_verify, argc, argv, &o, &a);
  if (status != 0) return status;
  status = rb_verify(a.n > 0 ? a.words[0] : NULL, o.anchor, o.json);
  rb_options_free(&a);
  return status;
}
