/*
** history.c - `runbook history`: the runs on the tape, newest first
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
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
           "(a dry run), failed, stopped, interrupted, in-doubt or unfinished.",
  .example = "runbook history -n 10\n"
             "runbook history --runbook tenant_isolation --status failed --since 7d\n"
             "runbook history --json | jq '.[] | select(.status == \"failed\")'",
  .options = options, .max = 0, .main = rb_cmd_history
};

/* -- reading --------------------------------------------------------------- */

typedef struct List {
  const Options *o;
  rb_Tape *tape;
  rb_Problem *p;
  int64_t since;   /* milliseconds since 1970 */
  json_t *rows;
  long long left;  /* how many more are wanted */
} List;

/* ISO 8601 in UTC, or null */
static json_t *timestamp (int64_t ms) {
  char text[40];
  rb_report_stamp(ms, text, sizeof text);
  return *text != '\0' ? json_string(text) : json_null();
}

static int differs (const char *wanted, const char *s) {
  return wanted != NULL && (s == NULL || strcmp(wanted, s) != 0);
}

static void addcase (void *ud, const char *id) {
  json_array_append_new(ud, json_string(id));
}

/* The tape's own words; the keys are those of the design. */
static int add (void *ud, const rb_TapeRun *run) {
  List *list = ud;
  int ended = run->ended != 0;
  if (differs(list->o->runbook, run->runbook) || differs(list->o->target, run->target)
      || differs(list->o->status, ended ? run->status : "unfinished")) return 0;
  if (run->started < list->since) return 1;  /* all that follow are older */
  json_t *params = run->params != NULL ? json_loads(run->params, 0, NULL) : NULL;
  json_t *cases = json_array();
  if (rb_tape_cases(list->tape, run->id, addcase, cases, list->p) != 0) {
    json_decref(cases);
    return 1;
  }
  json_t *row = json_pack("{s:s, s:s?, s:o, s:s?, s:s?, s:s?, s:o, s:s?, s:o, s:o, s:o}",
      "run", run->id, "runbook", run->runbook, "cases", cases, "target", run->target,
      "mode", run->mode, "status", ended ? run->status : NULL,
      "exit", ended ? json_integer(run->exit) : json_null(), "operator", run->who,
      "params", params != NULL ? params : json_object(),
      "started", timestamp(run->started), "ended", timestamp(run->ended));
  json_array_append_new(list->rows, row);
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
  list->tape = tape;
  list->p = p;
  int status = rb_tape_runs(tape, add, list, p);
  rb_tape_close(tape);
  return status != 0 ? status : p->exit;
}

/* -- the table ------------------------------------------------------------- */

enum { STARTED, RUN, RUNBOOK, CASES, TARGET, MODE, STATUS, WHO, PARAMS, COLUMNS };

static const char *const heads[COLUMNS] = {
  "started", "run", "runbook", "case", "target", "mode", "status", "by", "parameters"
};
static const char *const keys[COLUMNS] = {
  "started", "run", "runbook", "cases", "target", "mode", "status", "operator", "params"
};

/* a text from the tape, made harmless for a terminal */
static void puttext (rb_Buffer *b, const char *s) {
  for (; *s != '\0'; s++) {
    int control = (unsigned char)*s < ' ' || *s == 0x7f;
    rb_buffer_add(b, control ? "?" : s, 1);
  }
}

/* "tenant=greenwood_high block=1h" */
static void putparams (rb_Buffer *b, json_t *params) {
  const char *name;
  json_t *value;
  json_object_foreach(params, name, value) {
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    if (b->n > 0) rb_buffer_puts(b, " ");
    puttext(b, name);
    rb_buffer_puts(b, "=");
    puttext(b, text != NULL ? text : json_string_value(value));
    free(text);
  }
}

/* "isolate", "a, b", or "-" */
static void putcases (rb_Buffer *b, json_t *cases) {
  size_t i;
  json_t *id;
  json_array_foreach(cases, i, id) {
    if (i > 0) rb_buffer_puts(b, ", ");
    puttext(b, json_string_value(id));
  }
  if (json_array_size(cases) == 0) rb_buffer_puts(b, "-");
}

/* "2026-05-04T03:12:00.123Z" as "2026-05-04 03:12:00" of the local zone */
static void puttime (rb_Buffer *b, const char *iso) {
  struct tm tm = {0}, local;
  char text[40];
  if (strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) return;
  time_t s = timegm(&tm);
  if (localtime_r(&s, &local) == NULL) return;
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  rb_buffer_puts(b, text);
}

static const char *cell (json_t *row, int column, rb_Buffer *b) {
  json_t *value = json_object_get(row, keys[column]);
  const char *s = json_string_value(value);
  rb_buffer_clear(b);
  if (column == PARAMS) putparams(b, value);
  else if (column == CASES) putcases(b, value);
  else if (column == STARTED && s != NULL) puttime(b, s);
  else puttext(b, s != NULL ? s : column == STATUS ? "unfinished" : "-");
  return b->s != NULL ? b->s : "";
}

static void print (json_t *rows) {
  int width[COLUMNS];
  rb_Buffer b = {0};
  size_t i;
  json_t *row;
  for (int k = 0; k < COLUMNS; k++) {
    width[k] = (int)strlen(heads[k]);
    json_array_foreach(rows, i, row) {
      int n = (int)strlen(cell(row, k, &b));
      if (n > width[k]) width[k] = n;
    }
  }
  for (int k = 0; k < PARAMS; k++) printf("%-*s  ", width[k], heads[k]);
  puts(heads[PARAMS]);
  json_array_foreach(rows, i, row) {
    for (int k = 0; k < PARAMS; k++) printf("%-*s  ", width[k], cell(row, k, &b));
    puts(cell(row, PARAMS, &b));
  }
  rb_buffer_free(&b);
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
  "done", "planned", "failed", "stopped", "interrupted", "in-doubt", "unfinished", NULL
};

static int checkstatus (const Options *o, rb_Problem *p) {
  const char *const *words = rb_history_statuses, *const *w = words;
  while (o->status != NULL && *w != NULL && strcmp(*w, o->status) != 0) w++;
  if (o->status == NULL || *w != NULL) return 0;
  const char *near = rb_nearest(o->status, words);
  return rb_problem(p, RB_USAGE, "usage", near != NULL ? "--status '%s': did you mean "
                    "'%s'?" : "--status takes done, planned, failed, stopped, "
                    "interrupted, in-doubt or unfinished, not '%s'", o->status, near);
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

int rb_cmd_history (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_history, argc, argv, &o, &a);
  if (status != 0) return status;
  List list = {.o = &o, .rows = json_array(), .left = -1};
  if (readlast(&o, &list, &p) != 0 || checkstatus(&o, &p) != 0
      || readsince(&o, &list, &p) != 0 || collect(&list, &p) != 0)
    rb_show_problem(&p, o.json);
  else if (o.json) {
    json_dumpf(list.rows, stdout, JSON_INDENT(2));
    putchar('\n');
  }
  else if (json_array_size(list.rows) > 0) print(list.rows);
  else fprintf(stderr, o.runbook != NULL || o.target != NULL || o.status != NULL
               || o.since != NULL ? "no run is like that\n"
               : "nothing has been run yet\n");
  json_decref(list.rows);
  rb_options_free(&a);
  return p.exit;
}
