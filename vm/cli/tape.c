/*
** tape.c - `runbook tape`: what is done with the tape itself
*/

#include <string.h>

#include "vm/cli/cli.h"
#include "vm/cli/tape.h"
#include "vm/show/show.h"

typedef struct Options {
  int json, dry;
  const char *anchor, *output, *config, *older;
} Options;

static const rb_Option options[] = {
  {"anchor", 'a', RB_VALUE, "FILE", "verify: hold all runs against this file, then add to it",
   offsetof(Options, anchor)},
  {"output", 'o', RB_VALUE, "FILE", "export: where to; - is standard output",
   offsetof(Options, output)},
  {"config", 0, RB_VALUE, "FILE", "export: the configuration (also: RUNBOOK_CONFIG)",
   offsetof(Options, config)},
  {"older-than", 0, RB_VALUE, "TIME", "prune: runs that ended longer ago than this: 90d",
   offsetof(Options, older)},
  {"dry-run", 'n', RB_SWITCH, NULL, "prune: show which runs, and change nothing",
   offsetof(Options, dry)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

static const char about[] =
  "verify [RUN]           recompute the hash chains; the same as runbook verify\n"
  "verify --anchor FILE   ... and hold them against FILE, then bring that up to date\n"
  "export [RUN] -o FILE   write a run to a file that may leave: runbook replay FILE runs\n"
  "                       its script again from that alone\n"
  "prune --older-than D   remove what old runs did, and their keys; their rows and the\n"
  "                       heads of their chains stay\n"
  "\n"
  "An export is made of lines of JSON, each with a hash over the one before, compressed\n"
  "(zcat FILE | jq). Secrets, tokens and what was there before are not in it. A FILE that\n"
  "is there is replaced, once the export is whole.\n"
  "\n"
  "A pruned run is still listed and verified; it cannot be reported in full, resumed,\n"
  "taken back or replayed any more. A run that is under way, and one that keeps its lock\n"
  "because it was not finished, is left alone. --dry-run shows which would go.";

const rb_Command rb_command_tape = {
  .name = "tape", .takes = "verify|export|prune [RUN]",
  .summary = "verify the tape, export a run of it, or prune old ones",
  .about = about,
  .example = "runbook tape verify --anchor /mnt/audit/kim.anchor\n"
             "runbook tape export 0A822503 -o incident.tape\n"
             "runbook tape prune --older-than 90d --dry-run",
  .options = options, .min = 1, .max = 2, .main = rb_cmd_tape
};

/* an option that belongs to another verb is a mistake */
static int check (const Options *o, const char *verb, rb_Problem *p) {
  const struct { const char *verb, *option, *value; } rows[] = {
    {"verify", "anchor", o->anchor}, {"export", "output", o->output},
    {"export", "config", o->config}, {"prune", "older-than", o->older},
    {"prune", "dry-run", o->dry ? "" : NULL}
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].value != NULL && strcmp(rows[i].verb, verb) != 0)
      return rb_problem(p, RB_USAGE, "usage", "--%s belongs to tape %s, not to tape %s",
                        rows[i].option, rows[i].verb, verb);
  return 0;
}

static int perform (const Options *o, const char *verb, const char *run, rb_Problem *p) {
  if (check(o, verb, p) != 0) return p->exit;
  if (strcmp(verb, "verify") == 0) return rb_verify(run, o->anchor, o->json);
  if (strcmp(verb, "export") == 0) return rb_tape_export(run, o->output, o->config, o->json);
  if (strcmp(verb, "prune") != 0)
    return rb_problem(p, RB_USAGE, "usage", "tape takes verify, export or prune, not '%s'",
                      verb);
  if (run != NULL)
    return rb_problem(p, RB_USAGE, "usage", "tape prune does not take '%s': it is about all "
                      "runs that are old enough", run);
  return rb_tape_prunes(o->older, o->dry, o->json);
}

int rb_cmd_tape (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_tape, argc, argv, &o, &a);
  if (status != 0) return status;
  status = perform(&o, a.words[0], a.n > 1 ? a.words[1] : NULL, &p);
  if (p.exit != 0) rb_show_problem(&p, o.json);
  rb_options_free(&a);
  return status;
}
