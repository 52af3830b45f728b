/*
** session.h - what the files of `runbook drill` share (private to vm/cli)
*/

#ifndef rb_session_h
#define rb_session_h

#include <jansson.h>

#include "vm/cli/proxy.h"
#include "vm/run/options.h"
#include "vm/tape/tape.h"

typedef struct rb_DrillOptions {
  rb_RunOptions o;
  const char *reset, *output;
  const char *const *files, *const *varies;
  int crashes, faults, probes, json, markdown;
} rb_DrillOptions;

/* -- session.c: one process ------------------------------------------------------ */

typedef enum rb_SessionKind {
  RB_SESSION_RUN, RB_SESSION_DRYRUN, RB_SESSION_RESUME, RB_SESSION_UNDO, RB_SESSION_VERIFY
} rb_SessionKind;

typedef struct rb_Session {
  const rb_DrillOptions *o;
  const char *file;      /* in place of the drilled runbook; NULL: that one */
  const char *policy;    /* resume: --in-doubt; NULL: ask */
  int loud;              /* its progress and errors are shown */
  rb_Drill drill;        /* what is done to it */
  /* after it: */
  int exit;              /* -1: it was killed */
  char said[600];        /* the crash point, or why it could not begin */
  json_t *doc;           /* the JSON that it printed, or NULL */
} rb_Session;

/* Runs it to its end; returns s->exit. */
int rb_session (rb_Session *s, rb_SessionKind kind);
/* why it failed, in its own words; "" */
const char *rb_session_why (const rb_Session *s);
void rb_session_free (rb_Session *s);

/* -- world.c: what servers and files hold ------------------------------------------- */

/* The folders whose files are compared: "file /path" -> content. */
typedef struct rb_Folders { char **list; int n; } rb_Folders;
void rb_folders_add (rb_Folders *f, const char *folder, int parent);
void rb_folders_free (rb_Folders *f);

/* An object {name: content} of every table, key and file; what cannot be looked at is in
** 'unseen' (name: why). NULL and *p. */
json_t *rb_world_look (const rb_DrillOptions *o, const rb_Folders *f, const char *script,
                       json_t *unseen, rb_Problem *p);
/* The runbook that looks at these resources ("a.pg"), as a file. 0, or *p. */
int rb_world_script (const char *file, const json_t *resources, rb_Problem *p);
/* Names that differ, and are in neither of the two sets (NULL: none). */
json_t *rb_world_differ (const json_t *a, const json_t *b, const json_t *moving,
                         const json_t *stays);

/* -- drill.c -------------------------------------------------------------------------- */

typedef struct rb_DrillEffect {
  char *path, *verb, *target;
  int deed;
} rb_DrillEffect;

typedef struct rb_DrillRun {
  rb_DrillOptions *o;
  rb_DrillEffect *effects; int n;  /* of an undisturbed run, in their order */
  rb_Proxy proxy;
  rb_Route routes[RB_MAXROUTES]; int nroutes;
  rb_Folders folders;
  char runbook[256], target[128];
  char script[64];       /* the file that looks at the world */
  json_t *before, *after;  /* the world as it was, and once the run was through */
  json_t *moving;        /* names: what changes by itself */
  json_t *varying;       /* ... what two undisturbed runs leave differently */
  json_t *stays;         /* ... what undo leaves, and says that it does */
  json_t *unseen;        /* name: why it could not be looked at */
  json_t *left;          /* effects that no fault can meet: "pg.exec of a.pg": why */
  json_t *rows;          /* the table */
  int points, pointsheld, faults, faultsheld, asked, lookedat, wenton;
} rb_DrillRun;

/* The last run on the drill's tape; "" when there is none. */
void rb_drill_last (char id[RB_RUNID]);
/* The sandbox as it was, by --reset or by undo: 0, or *p. */
int rb_drill_reset (rb_DrillRun *d, rb_Problem *p);
/* Are the changes of the last run those of the undisturbed one, each once? */
int rb_drill_same (const rb_DrillRun *d);
/* What differs from 'was', in words; malloc'ed, NULL: nothing. 'but' : names, or NULL. */
char *rb_drill_differs (rb_DrillRun *d, const json_t *was, const json_t *but);

/* faults.c: the servers behind ports of our own; then a row for each fault. 0, or *p
** where the drill cannot go on. */
int rb_drill_routes (rb_DrillRun *d, rb_Problem *p);
int rb_drill_faults (rb_DrillRun *d, rb_Problem *p);

/* -- drilled.c: the table --------------------------------------------------------------- */

typedef struct rb_DrillRow {
  const char *path, *verb, *target;
  const char *kind, *what;     /* "crash" "after the deed", "fault" "refused" */
  int exit;                    /* of the run that met it; -1: none */
  const char *message;         /* with which it failed; NULL */
  const char *result;          /* "held", "held, asked", "DID NOT HOLD: ..." */
  int held;
} rb_DrillRow;

/* Adds a row, and shows it where that is wanted. */
void rb_drilled_row (rb_DrillRun *d, const rb_DrillRow *r);
/* Before the drill: can the table be written? After it: 0, or the exit code and *p. */
int rb_drilled_check (const rb_DrillOptions *o, rb_Problem *p);
int rb_drilled_write (const rb_DrillRun *d, int64_t started, int status, rb_Problem *p);

#endif
