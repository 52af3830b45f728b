/*
** history.c - `runbook history`: the runs on the tape, newest first
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/cli/runs.h"
#include "vm/module.h"
#include "vm/show/show.h"
#include "vm/tape/tape.h"

typedef struct Options {
  int json;
  const char *last, *runbook, *target, *status, *since;
} Options;

static const rb_Option options[] = {
  {"last", 'n', RB_VALUE, "N", "only the N newest", offsetof(Options, last)},
  {"runbook", 'r', RB_VALUE, "NAME", "only runs of this runbook",
   offsetof(Options, runbook)},
  {"target", 't', RB_VALUE, "TARGET", "only runs on this target",
   offsetof(Options, target)},
  {"status", 's', RB_VALUE, "STATUS", "only those that ended so: done, failed, ...",
   offsetof(Options, status)},
  {"since", 0, RB_VALUE, "WHEN", "only those that began since then: 2h, 7d, 2026-05-04",
   offsetof(Options, since)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_history = {
  .name = "history", .takes = "", .summary = "list the runs on the tape, newest first",
  .about = "Every run of this user on this machine, dry runs included. An unfinished\n"
           "one is still running, or was ended from outside. --since takes how long ago,\n"
           "or a local time: 2026-05-04, \"2026-05-04 03:12\". --status takes done, planned\n"
           "(a dry run), failed, stopped, interrupted, in-doubt, abandoned or unfinished.",
  .example = "runbook history -n 10\n"
             "runbook history --runbook tenant_isolation --status failed --since 7d\n"
             "runbook history --json | jq '.[] | select(.status == \"failed\")'",
  .options = options, .max = 0, .main = rb_cmd_history
};

/* -- reading --------------------------------------------------------------- */

typedef struct List {
  const Options *o;
  rb_Runs runs;
  rb_Buffer out;   /* the rows as JSON */
  int64_t since;   /* milliseconds since 1970 */
  long long left;  /* how many more are wanted */
} List;

static int differs (const char *wanted, const char *s) {
  return wanted != NULL && (s == NULL || strcmp(wanted, s) != 0);
}

/* The tape's own words; the keys are those of the design. */
static int add (void *ud, const rb_TapeRun *run) {
  List *list = ud;
  int ended = run->ended != 0;
  if (differs(list->o->runbook, run->runbook) || differs(list->o->target, run->target)
      || differs(list->o->status, ended ? run->status : "unfinished")) return 0;
  if (run->started < list->since) return 1;  /* all that follow are older */
  if (list->o->json) rb_runs_json(&list->out, run);
  else rb_runs_row(&list->runs, run);
  return --list->left == 0;
}

/* No tape is an empty history; looking must not make one. */
static int collect (List *list, rb_Problem *p) {
  char file[4096];
  if (!rb_tape_file(file, sizeof file))
    return rb_problem(p, RB_USAGE, "tape", "there is no place for the tape: set HOME "
                      "or XDG_STATE_HOME");
  if (access(file, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) return 0;
  rb_Tape *tape = rb_tape_open(file, p);
  if (tape == NULL) return p->exit;
  int status = rb_tape_runs(tape, add, list, p);
  rb_tape_close(tape);
  return status != 0 ? status : p->exit;
}

/* -- the command ----------------------------------------------------------- */

static int readlast (const Options *o, List *list, rb_Problem *p) {
  char *end;
  if (o->last == NULL) return 0;
  list->left = strtoll(o->last, &end, 10);
  if (*end == '\0' && list->left > 0) return 0;
  return rb_problem(p, RB_USAGE, "usage", "--last takes a number from 1 on, not '%s'",
                    o->last);
}

const char *const rb_history_statuses[] = {
  "done", "planned", "failed", "stopped", "interrupted", "in-doubt", "abandoned",
  "unfinished", NULL
};

static int checkstatus (const Options *o, rb_Problem *p) {
  const char *const *words = rb_history_statuses, *const *w = words;
  while (o->status != NULL && *w != NULL && strcmp(*w, o->status) != 0) w++;
  if (o->status == NULL || *w != NULL) return 0;
  const char *near = rb_nearest(o->status, words);
  return rb_problem(p, RB_USAGE, "usage", near != NULL ? "--status '%s': did you mean "
                    "'%s'?" : "--status takes done, planned, failed, stopped, "
                    "interrupted, in-doubt, abandoned or unfinished, not '%s'", o->status,
                    near);
}

/* "2h", or a date, with or without a time of day */
static int readsince (const Options *o, List *list, rb_Problem *p) {
  static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", NULL};
  double seconds;
  if (o->since == NULL) return 0;
  if (rb_duration(o->since, &seconds)) {
    list->since = (int64_t)((double)time(NULL) - seconds) * 1000;
    return 0;
  }
  for (const char *const *f = forms; *f != NULL; f++) {
    struct tm tm = {.tm_isdst = -1};
    const char *end = strptime(o->since, *f, &tm);
    if (end == NULL || *end != '\0') continue;
    list->since = (int64_t)mktime(&tm) * 1000;
    return 0;
  }
  return rb_problem(p, RB_USAGE, "usage", "--since takes how long ago (2h, 7d) or when "
                    "(2026-05-04, \"2026-05-04 03:12\"), not '%s'", o->since);
}

static void print (List *list) {
  const Options *o = list->o;
  if (o->json) rb_buffer_puts(&list->out, list->out.n > 0 ? "\n]\n" : "[]\n");
  else if (list->runs.n > 0) rb_runs_table(&list->out, &list->runs);
  else fprintf(stderr, o->runbook != NULL || o->target != NULL || o->status != NULL
               || o->since != NULL ? "no run is like that\n"
               : "nothing has been run yet\n");
  if (list->out.n > 0) fwrite(list->out.s, 1, list->out.n, stdout);
}

int rb_cmd_history (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_history, argc, argv, &o, &a);
  if (status != 0) return status;
  List list = {.o = &o, .left = -1};
  if (readlast(&o, &list, &p) == 0 && checkstatus(&o, &p) == 0
      && readsince(&o, &list, &p) == 0 && collect(&list, &p) == 0) print(&list);
  if (p.exit == 0 && (list.out.failed || list.runs.cells.failed))
    rb_problem(&p, RB_USAGE, "memory", "not enough memory");
  if (p.exit != 0) rb_show_problem(&p, o.json);
  rb_buffer_free(&list.out);
  rb_buffer_free(&list.runs.cells);
  rb_options_free(&a);
  return p.exit;
}
