/*
** options.h - what `runbook run` was asked for
*/

#ifndef rb_options_h
#define rb_options_h

#include <jansson.h>

struct rb_Run;

#define RB_UNDO_OFFERED 2

/* a person looks around inside of the run */
typedef struct rb_Inspect {
  const char *step;              /* before this step, by id or number; NULL: in the field
                                 ** that failed */
  /* called there, with a table of what the script sees at the top of r->L (left) */
  void (*open) (struct rb_Run *r, const char *where, void *ud);
  void *ud;
  int reached;
} rb_Inspect;

/* lists are NULL-terminated and never NULL; texts are NULL when not given */
typedef struct rb_RunOptions {
  const char *file;              /* FILE or NAME */
  const char *const *words;      /* k=v, from the line and from --set */
  int dry_run, yes, no_notify, require_layers, json, nocolor;
  const char *target;
  const char *const *cases;
  const char *only, *from, *to;  /* step ids */
  const char *const *approved_by;  /* ROLE=WHO:NOTE */
  const char *answers;           /* a JSON file */
  const char *const *limits;     /* k=n */
  const char *timeout;           /* a duration */
  const char *config;
  char *id;                      /* room for the run's name (RB_RUNID), once it is on
                                 ** the tape; NULL: not wanted */
  struct rb_Drill *drill;        /* sandboxes only; NULL: none */
  int undo, force;               /* take the run of 'resume' back; RB_UNDO_OFFERED: but for
                                 ** the steps whose undo is only done when it is asked for */
  const char *export;            /* write the run of 'resume' to this file; or NULL */
  const char *plan;              /* a dry run: the file that keeps its plan */
  const json_t *apply;           /* the document of the plan that is applied, or NULL */
  int allow_deferred;            /* apply: what the plan could not know is done unasked */
  json_t *ran;                   /* a test's: gets path -> { how: times } of every function of
                                 ** the script that ran; NULL: not wanted */
  rb_Inspect *inspect;           /* a dry run to a step, or a replay to a failure; or NULL */
  struct rb_World *world;        /* a test's; NULL: the real one */
  struct rb_Replay *resume;      /* an earlier session goes on; NULL: a new run */
} rb_RunOptions;

/* Runs it, prints it, and returns the exit code of design section 5. */
int rb_run (const rb_RunOptions *o);
/* The same, inside of another session: what that knows as secret stays known. */
int rb_run_inside (const rb_RunOptions *o);

#endif
