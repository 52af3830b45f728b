/*
** report.c - `runbook report`: what a run was, from the tape alone
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/run/recorded.h"
#include "vm/show/show.h"

typedef struct Options {
  int json;
  const char *format;
} Options;

static const rb_Option options[] = {
  {"format", 'f', RB_VALUE, "text|json|md|html", "how it is written (default: text)",
   offsetof(Options, format)},
  {"json", 0, RB_SWITCH, NULL, "the same as --format json", offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_report = {
  .name = "report", .takes = "[RUN]",
  .summary = "what a run did: for a ticket, a browser or a program",
  .about = "RUN is a run's name, or an ending of it that no other run has (runbook\n"
           "history lists them); without one it is your last real run. Everything comes\n"
           "from the tape: nothing is run again, and nothing is connected. What was secret\n"
           "was taken out before it was written down.",
  .example = "runbook report\n"
             "runbook report 0A822503 --format md >incident.md\n"
             "runbook report --json | jq '.steps[] | {title, status}'",
  .options = options, .max = 1, .main = rb_cmd_report
};

static int document (const char *name, rb_Format format, int terminal, rb_Buffer *b,
                     rb_Problem *p) {
  char id[RB_RUNID];
  rb_Report r = {0};
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  if (rb_pick_run(t, name, NULL, id, p) == 0 && rb_recorded(t, id, &r, p) == 0)
    rb_show_document(&r, format, terminal, b);
  rb_report_close(&r);
  rb_tape_close(t);
  if (p->exit == 0 && b->failed)
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
  return p->exit;
}

int rb_cmd_report (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  rb_Buffer b = {0};
  int status = rb_options_read(&rb_command_report, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_Format format = o.format != NULL ? rb_format_named(o.format)
                   : o.json ? RB_JSON : RB_TEXT;
  if (format == RB_NOFORMAT)
    rb_problem(&p, RB_USAGE, "usage", "--format takes text, json, md or html, not '%s'",
               o.format);
  else if (document(a.n > 0 ? a.words[0] : NULL, format, 1, &b, &p) == 0)
    fwrite(b.s, 1, b.n, stdout);
  if (p.exit != 0) rb_show_problem(&p, o.json || format == RB_JSON);
  rb_buffer_free(&b);
  rb_options_free(&a);
  return p.exit;
}

/* -- --report FILE ---------------------------------------------------------------- */

/* Said before anything is run: what could not be written afterwards. */
int rb_report_check (const char *file, rb_Problem *p) {
  char folder[4096];
  struct stat st;
  if (rb_format_of(file) == RB_NOFORMAT)
    return rb_problem(p, RB_USAGE, "usage", "--report %.500s: the name says what is "
                      "written: .txt, .json, .md or .html", file);
  snprintf(folder, sizeof folder, "%s", file);
  char *slash = strrchr(folder, '/');
  if (slash != NULL) slash[slash == folder] = '\0';
  else snprintf(folder, sizeof folder, ".");
  if (stat(folder, &st) != 0 || access(folder, W_OK | X_OK) != 0)
    return rb_problem(p, RB_USAGE, "usage", "--report %.500s: cannot write into %.400s: "
                      "%s", file, folder, strerror(errno));
  if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
    return rb_problem(p, RB_USAGE, "usage", "--report %.500s: that is no file", file);
  return 0;
}

static int writeall (const char *file, const rb_Buffer *b) {
  FILE *f = fopen(file, "we");
  if (f == NULL) return 0;
  int whole = fwrite(b->s, 1, b->n, f) == b->n;
  return fclose(f) == 0 && whole;
}

/* Whole or not at all: it is written beside its place, and renamed. */
int rb_report_write (const char *id, const char *file, rb_Problem *p) {
  char beside[4200];
  rb_Buffer b = {0};
  snprintf(beside, sizeof beside, "%s.%s", file, id);
  if (document(id, rb_format_of(file), 0, &b, p) == 0
      && (!writeall(beside, &b) || rename(beside, file) != 0)) {
    rb_problem(p, RB_FAILED, "report", "the report cannot be written to %.500s: %s; "
               "'runbook report %s' shows it", file, strerror(errno), id);
    unlink(beside);
  }
  rb_buffer_free(&b);
  return p->exit;
}

/* A run that went well is not told from one whose report was lost. */
int rb_report_after (const char *file, const char *id, int status) {
  rb_Problem p = {0};
  if (file == NULL || *id == '\0') return status;
  if (rb_report_write(id, file, &p) == 0) return status;
  rb_show_problem(&p, 0);
  return status == RB_DONE ? RB_FAILED : status;
}
