/*
** cli.h - commands, and the one parser of their options
**
** A command is a row of static data (name, what it takes, what it is for, an
** example) and its options are rows beside it: parsing, help and suggestions
** all read the same rows. Each command stands in a file of its own, defines
** its row, `const rb_Command rb_command_list`, and is listed in commands.c.
*/

#ifndef rb_cli_h
#define rb_cli_h

#include <stddef.h>

#include "vm/problem.h"
#include "vm/tape/tape.h"

/* what an option leaves in the command's own struct, at offset 'at' */
typedef enum rb_OptionType {
  RB_SWITCH,  /* int: 1 */
  RB_VALUE,   /* const char *; given twice is an error */
  RB_LIST     /* const char *const *: NULL-terminated, never NULL */
} rb_OptionType;

typedef struct rb_Option {
  const char *name;   /* "dry-run"; NULL ends the table */
  char letter;        /* 'n', or 0 */
  rb_OptionType type;
  const char *value;  /* what it takes, for help: "K=V"; NULL for a switch */
  const char *help;   /* one line, lower case, no full stop */
  size_t at;          /* offsetof(Options, dry_run) */
} rb_Option;

typedef struct rb_Command {
  const char *name;     /* "run" */
  const char *takes;    /* "FILE|NAME [K=V]..."; "" for nothing */
  const char *summary;  /* one line: "run a runbook, or ..." */
  const char *about;    /* more for `help COMMAND`; NULL: nothing more */
  const char *example;  /* one command line, or several with newlines */
  const rb_Option *options;  /* NULL: none of its own */
  int min, max;         /* words that are not options; max -1: any number */
  int (*main) (int argc, char **argv);  /* argv[0] is the command's name */
} rb_Command;

/* All commands, in the order of help; NULL-terminated. */
extern const rb_Command *const rb_commands[];

/* the words that are not options */
typedef struct rb_Arguments {
  const char *const *words;  /* NULL-terminated */
  int n;
  int json;                  /* there is a --json */
  void *memory;
} rb_Arguments;

/* Reads argv[1..] by the rows of 'c' into the struct at 'into' (zeroed by the
** caller; NULL for a command without options of its own) and *a. 0, or the
** problem has been shown (as JSON when --json was given) and its exit code is
** returned: "if (status != 0) return status;". Free *a after success only. */
int rb_options_read (const rb_Command *c, int argc, char **argv, void *into,
                     rb_Arguments *a);
void rb_options_free (rb_Arguments *a);

/* `runbook help COMMAND` on standard output. */
void rb_help_command (const rb_Command *c);

/* -- primitives.c ------------------------------------------------------------ */

/* The row of that primitive ("file.read"), or all of a module. 0: there is none, and
** the problem names the nearest where there is one. */
int rb_help_primitive (const char *word, rb_Problem *p);
/* The reference of all of them, as Markdown. 0, or the exit code. */
int rb_help_primitives (rb_Problem *p);
/* The same, a line each: module, name, effect, signature. */
int rb_help_rows (rb_Problem *p);

/* what `help` knows beside the commands */
typedef struct rb_Topic {
  const char *name, *summary, *text;
  int section;          /* of the manual; 0: no page of its own */
} rb_Topic;
extern const rb_Topic rb_topics[];  /* a row without a name ends it */
const rb_Topic *rb_topic_find (const char *name);

/* man.c: the same as pages of the manual, on standard output */
void rb_man_overview (void);
void rb_man_command (const rb_Command *c);
void rb_man_topic (const rb_Topic *t);

#define RB_EXITCODES \
  "    0  done; or a dry run in which nothing stands in the way\n" \
  "    1  a step failed (or, in a dry run, would fail or be refused)\n" \
  "    2  usage, configuration or script error; nothing was touched\n" \
  "    3  stopped for a person: approval, manual step, or a question\n" \
  "    4  the plan is stale or the world has drifted\n" \
  "    5  the lock is held by another run\n" \
  "    6  in doubt: a remedy may or may not have happened\n" \
  "    7  a dry run that cannot tell all of it\n" \
  "  130  interrupted"

/* The command of that name, or NULL and a problem with the nearest one. */
const rb_Command *rb_command_find (const char *name, rb_Problem *p);

/* The program: argv as main has it; returns the exit code. */
int rb_cli (int argc, char **argv);

/* pick.c: the tape that is there, and the run that is meant on it: a ULID or a
** unique ending of one; NULL: the operator's last real run to which the command
** applies (NULL: to any). */
typedef int (*rb_Applies) (rb_Tape *t, const rb_TapeRun *run);
rb_Tape *rb_pick_tape (rb_Problem *p);
int rb_pick_run (rb_Tape *t, const char *name, rb_Applies applies, char id[RB_RUNID],
                 rb_Problem *p);

/* again.c: a run of the tape and what it was asked for (again: what ended it counts no
** more; NULL and *p where it cannot be read), and it once more, with 'file' (NULL: its
** own script) */
struct rb_Replay;
struct rb_RunOptions;
struct rb_Replay *rb_again_load (const char *name, int again, rb_Applies applies,
                                 rb_Problem *p);
struct rb_Replay *rb_again_file (const char *file, rb_Problem *p);  /* of an export */
/* resume.c: goes on with it; 'with': with this script, or NULL. */
int rb_resume_run (struct rb_RunOptions *o, struct rb_Replay *r, const char *with,
                   rb_Problem *p);
/* offer.c: on a terminal, asks what to do with a real run that ended so, and does it; the exit
** code that it comes to then. */
int rb_offer (const struct rb_RunOptions *o, const char *id, int exit);
/* --in-doubt as it was given, or "ask": 0, or RB_USAGE. */
int rb_again_policy (const char **policy, rb_Problem *p);
int rb_again_isrun (rb_Tape *t, const rb_TapeRun *run);  /* neither an undo nor a replay */
int rb_again_run (struct rb_RunOptions *o, struct rb_Replay *r, const char *file,
                  rb_Problem *p);

/* run.c: --approved-by that names no role */
int rb_approved_check (const char *const *given, rb_Problem *p);

/* report.c: --report FILE, looked at before the run and written after it */
int rb_report_check (const char *file, rb_Problem *p);
int rb_report_write (const char *id, const char *file, rb_Problem *p);
/* Writes it, where one is wanted and there was a run; the exit code, then. */
int rb_report_after (const char *file, const char *id, int status);

/* complete.c: what may stand at the last of the words (without "runbook") */
int rb_complete (int argc, char **argv);

/* history.c: the words that --status takes */
extern const char *const rb_history_statuses[];

int rb_cmd_run (int argc, char **argv);
int rb_cmd_plan (int argc, char **argv);
int rb_cmd_apply (int argc, char **argv);
int rb_cmd_list (int argc, char **argv);
int rb_cmd_show (int argc, char **argv);
int rb_cmd_check (int argc, char **argv);
int rb_cmd_test (int argc, char **argv);
int rb_cmd_history (int argc, char **argv);
int rb_cmd_resume (int argc, char **argv);
int rb_cmd_undo (int argc, char **argv);
int rb_cmd_abandon (int argc, char **argv);
int rb_cmd_replay (int argc, char **argv);
int rb_cmd_drill (int argc, char **argv);
int rb_cmd_status (int argc, char **argv);
int rb_cmd_report (int argc, char **argv);
int rb_cmd_verify (int argc, char **argv);
int rb_cmd_tape (int argc, char **argv);
int rb_cmd_doctor (int argc, char **argv);
int rb_cmd_completion (int argc, char **argv);
int rb_cmd_repl (int argc, char **argv);
int rb_cmd_new (int argc, char **argv);
int rb_cmd_types (int argc, char **argv);
int rb_cmd_version (int argc, char **argv);
int rb_cmd_help (int argc, char **argv);

extern const rb_Command rb_command_run, rb_command_plan, rb_command_apply,
  rb_command_list, rb_command_show, rb_command_check, rb_command_test, rb_command_resume,
  rb_command_undo, rb_command_abandon, rb_command_replay, rb_command_drill,
  rb_command_status, rb_command_history, rb_command_report,
  rb_command_verify, rb_command_tape, rb_command_doctor, rb_command_completion, rb_command_version,
  rb_command_repl, rb_command_new, rb_command_types, rb_command_help;

#endif
