/*
** abandon.c - `runbook abandon`: an unfinished run is left as it is, and its locks go free
*/

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "vm/cli/cli.h"
#include "vm/run/run.h"
#include "vm/show/show.h"

typedef struct Options {
  int yes, json;
} Options;

#define at(field) offsetof(Options, field)

static const rb_Option options[] = {
  {"yes", 'y', RB_SWITCH, NULL, "do not ask", at(yes)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_abandon = {
  .name = "abandon", .takes = "RUN",
  .summary = "leave an unfinished run as it is, so that its lock is free",
  .about =
    "RUN is a run's name, or an ending of it that no other run has (runbook history\n"
    "lists them).\n"
    "\n"
    "A run that failed, stopped, was interrupted or killed after it had changed something\n"
    "keeps its lock, so that nobody changes the same thing over a half-done one. Resume it,\n"
    "undo it, or abandon it: what it changed then stays, and it cannot be resumed any more.\n"
    "That is put on its tape, with your name. A run that is under way cannot be abandoned,\n"
    "nor one that is done.",
  .example = "runbook abandon 0A822503\nrunbook abandon 0A822503 --yes",
  .options = options, .min = 1, .max = 1, .main = rb_cmd_abandon
};

static const char *me (void) {
  struct passwd *pw = getpwuid(getuid());
  return pw != NULL ? pw->pw_name : "unknown";
}

/* may it be? */
static int check (const rb_TapeClaim *c, rb_Problem *p) {
  const char *what = strcmp(c->mode, "dry-run") == 0 ? "is a dry run: it changed nothing"
    : strcmp(c->status, "abandoned") == 0 ? "is abandoned already"
    : c->undone ? "was taken back" : "is done";
  if (strcmp(c->mode, "undo") == 0)
    return rb_problem(p, RB_USAGE, "usage", "run %s takes another one back: abandon that "
                      "one (runbook report %s names it)", c->run, c->run + 18);
  if (c->unfinished) return 0;
  return rb_problem(p, RB_USAGE, "usage", "run %s %s: there is nothing to abandon", c->run,
                    what);
}

static int look (rb_Tape *t, const char *id, rb_TapeClaim *c, rb_Problem *p) {
  return rb_tape_claim(t, id, c, p) != 0 ? p->exit : check(c, p);
}

static int confirm (const Options *o, const rb_TapeClaim *c, rb_Problem *p) {
  char question[400];
  rb_ShowOptions how = {0};
  if (o->yes) return 0;
  rb_Show *show = rb_show_open(&how);
  snprintf(question, sizeof question, "Abandon run %s of %s (%s)? %s", c->run, c->runbook,
           c->ended ? c->status : "ended from outside", c->changed ? "What it changed stays "
           "as it is, and it cannot be resumed any more." : "It changed nothing.");
  int yes = rb_ask_yes(show, question);
  rb_show_close(show);
  if (yes > 0) return 0;
  return rb_problem(p, RB_STOPPED, "confirmation", yes == 0 ? "not confirmed: run %s is as it "
                    "was" : "to abandon run %s, say so on a terminal, or with --yes", c->run);
}

/* -- locks that others look at -------------------------------------------------------- */

/* the file that an event "lock" names, where it still speaks of that run */
static int release (void *ud, const rb_TapeRow *row) {
  const char *run = ud;
  rb_LockText t;
  if (strcmp(row->event.kind, "lock") != 0 || row->event.text == NULL) return 0;
  json_t *o = json_loads(row->event.text, 0, NULL);
  const char *file = json_string_value(json_object_get(o, "file"));
  int fd = file != NULL ? open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
    rb_lock_read(fd, &t);
    if (strcmp(t.claim, run) == 0 && ftruncate(fd, 0) != 0)
      fprintf(stderr, "runbook: the lock %s cannot be emptied\n", file);
  }
  if (fd >= 0) close(fd);
  json_decref(o);
  return 0;
}

/* -- the command ------------------------------------------------------------------------ */

static int record (rb_Tape *t, const rb_TapeClaim *c, rb_Problem *p) {
  char host[64] = "", *text;
  gethostname(host, sizeof host - 1);
  json_t *o = json_pack("{s:o}", "text", json_sprintf("abandoned by %s on %s%s", me(), host,
                        c->changed ? ": what it changed stays as it is" : ""));
  text = json_dumps(o, JSON_COMPACT);
  rb_TapeEvent e = {.kind = "abandon", .text = text};
  int64_t seq = text != NULL ? rb_tape_append(t, &e) : 0;
  free(text);
  json_decref(o);
  if (seq == 0) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  return rb_tape_end(t, "abandoned", c->exit >= 0 ? c->exit : RB_FAILED, p);
}

static int abandon (const Options *o, const char *name, rb_TapeClaim *c, rb_Problem *p) {
  char id[RB_RUNID];
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  if (rb_pick_run(t, name, NULL, id, p) == 0 && look(t, id, c, p) == 0
      && rb_tape_continue(t, id, p) == 0  /* from here on nobody else goes on with it */
      && look(t, id, c, p) == 0 && confirm(o, c, p) == 0 && record(t, c, p) == 0) {
    rb_Problem q = {0};
    rb_tape_events(t, id, release, id, &q);
  }
  rb_tape_close(t);
  return p->exit;
}

int rb_cmd_abandon (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  rb_TapeClaim c;
  int status = rb_options_read(&rb_command_abandon, argc, argv, &o, &a);
  if (status != 0) return status;
  if (abandon(&o, a.words[0], &c, &p) != 0) rb_show_problem(&p, a.json);
  else if (o.json) {
    json_t *doc = json_pack("{s:s,s:s,s:b}", "run", c.run, "status", "abandoned",
                            "changed", c.changed);
    json_dumpf(doc, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(doc);
  } else fprintf(stderr, "run %s is abandoned%s\n", c.run, c.changed ?
                 ": what it changed stays as it is" : "; it had changed nothing");
  rb_options_free(&a);
  return p.exit;
}
