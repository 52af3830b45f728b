/*
** commands.c - the commands there are, and the way to each of them
*/

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/show/show.h"

const rb_Command *const rb_commands[] = {
  &rb_command_run, &rb_command_plan, &rb_command_apply, &rb_command_list,
  &rb_command_show, &rb_command_check, &rb_command_test, &rb_command_resume, &rb_command_undo,
  &rb_command_abandon, &rb_command_replay, &rb_command_drill, &rb_command_status,
  &rb_command_history, &rb_command_report,
  &rb_command_verify, &rb_command_tape,
  &rb_command_repl, &rb_command_new, &rb_command_types, &rb_command_doctor, &rb_command_completion,
  &rb_command_version, &rb_command_help, NULL
};

/* what people type out of habit */
static const struct { const char *word, *command; } habits[] = {
  {"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}
};

static const rb_Command *byname (const char *name) {
  for (const rb_Command *const *c = rb_commands; *c != NULL; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}

const rb_Command *rb_command_find (const char *name, rb_Problem *p) {
  const char *names[64];
  size_t n = 0;
  const rb_Command *found = byname(name);
  if (found != NULL) return found;
  for (; rb_commands[n] != NULL && n < 63; n++) names[n] = rb_commands[n]->name;
  names[n] = NULL;
  const char *near = rb_nearest(name, names);
  if (near != NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no command '%s' (did you mean '%s'?)",
               name, near);
  else
    rb_problem(p, RB_USAGE, "usage", "there is no command '%s' (runbook help lists "
               "them)", name);
  return NULL;
}

/* "#!/usr/bin/env runbook": a file as first word is run */
static int isscript (const char *word) {
  size_t n = strlen(word);
  int named = strchr(word, '/') != NULL || (n > 4 && strcmp(word + n - 4, ".lua") == 0);
  return named && access(word, F_OK) == 0;
}

/* A runbook's name where a command's is expected: what was meant is clear. */
static void meantrun (const char *word, rb_Problem *p) {
  char path[PATH_MAX];
  rb_Problem q = {0};
  if (strstr(p->message, "did you mean") != NULL) return;
  rb_Config *c = rb_config_load(NULL, &q);
  if (c != NULL && rb_config_find(c, word, path, sizeof path, &q) == 0)
    rb_problem(p, RB_USAGE, "usage", "there is no command '%s', but a runbook: runbook "
               "run %s --dry-run", word, word);
  rb_config_free(c);
}

static int unknown (const char *word, int json, rb_Problem *p) {
  if (*word == '-')
    rb_problem(p, RB_USAGE, "usage", "the command comes first, then its options: runbook "
               "COMMAND %s ...", word);
  else meantrun(word, p);
  rb_show_problem(p, json);
  return p->exit;
}

static int asked (int argc, char **argv, const char *word) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], word) == 0) return 1;
  return 0;
}

int rb_cli (int argc, char **argv) {
  rb_Problem p = {0};
  if (argc < 2) {
    rb_problem(&p, RB_USAGE, "usage", "which command? runbook help lists them; "
               "runbook run FILE --dry-run shows what a runbook would do");
    rb_show_problem(&p, 0);
    return p.exit;
  }
  const char *word = argv[1];
  if (strcmp(word, "__complete") == 0) return rb_complete(argc - 2, argv + 2);
  for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
    if (strcmp(word, habits[i].word) == 0) word = habits[i].command;
  const rb_Command *c = byname(word);
  if (c == NULL && isscript(word)) return rb_command_run.main(argc, argv);
  if (c == NULL) c = rb_command_find(word, &p);
  if (c == NULL) return unknown(word, asked(argc, argv, "--json"), &p);
  if (asked(argc - 1, argv + 1, "--help") || asked(argc - 1, argv + 1, "-h")) {
    rb_help_command(c);
    return RB_DONE;
  }
  return c->main(argc - 1, argv + 1);
}
