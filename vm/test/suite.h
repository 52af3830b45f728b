/*
** suite.h - tests of runbooks: their files, their cases, and what became of them
*/

#ifndef rb_suite_h
#define rb_suite_h

#include <limits.h>

#include <jansson.h>
#include <lua.h>

#include "vm/config/config.h"
#include "vm/problem.h"

/* one test file, loaded; its cases are run in processes that begin as a copy of this one */
typedef struct rb_Suite {
  char *file;           /* as it was named */
  char *runbook;        /* absolute; NULL: it was not found */
  lua_State *W;         /* the test's own: its words, and the worlds of its cases */
  json_t *cases;        /* list of {name, line}, then of what became of each: 'status' ("passed",
                        ** "failed", "broken"), 'failures' [{what, expected, seen, line}],
                        ** 'ms', 'said', 'ran' */
  json_t *info;         /* the runbook, for the file's cases and its coverage; or NULL */
  rb_Problem problem;   /* why it was not run; exit 0: it was */
} rb_Suite;

/* what to run, and how it is shown */
typedef enum rb_TestFormat { RB_TESTTEXT, RB_TESTJSON, RB_TESTJUNIT, RB_TESTTAP } rb_TestFormat;

typedef struct rb_TestOptions {
  int json, junit, tap, watch;
  const char *config;
  const char *folder;   /* of rb_pool_run, in which each case has one of its own */
} rb_TestOptions;

/* -- words.c: the state of a test file ----------------------------------- */

/* With the words of tests; NULL: out of memory. */
lua_State *rb_test_state (void);
/* [-n, +0]  Calls T.name with the n strings at the top; its result, malloc'ed, or NULL and
** *p: a mistake of the test's author has its line. */
char *rb_test_call (lua_State *W, const char *file, const char *name, int n, rb_Problem *p);

/* -- load.c -------------------------------------------------------------- */

/* Loads the file, and looks at its runbook; the problem is the suite's. */
void rb_suite_load (rb_Suite *s, rb_Config *config, const char *file);
void rb_suite_free (rb_Suite *s);
/* Is it NAME.tape, a test of NAME.lua by itself? */
int rb_suite_istape (const char *file);

/* -- case.c: one case, in a process of its own --------------------------- */

/* Runs it, and writes what became of it to 'fd', as JSON. */
void rb_case_run (rb_Suite *s, int i, const rb_TestOptions *o, int fd);

/* -- pool.c -------------------------------------------------------------- */

/* Runs all cases of all suites, as many at a time as there are processors; calls 'each'
** with a suite once it is through, in their order. 0, or 130: interrupted. */
int rb_pool_run (rb_Suite *list, int n, const rb_TestOptions *o,
                 void (*each) (void *ud, const rb_Suite *s), void *ud);

/* -- cover.c ----------------------------------------------------------------- */

/* What all tests of this suite's runbook ran, among the suites: {runbook, steps, cases,
** branches, remedies, undos: {ran, of}, never: list of texts}. NULL where an earlier suite is of
** the same runbook, or none of its tests was run. */
json_t *rb_cover (const rb_Suite *list, int n, int suite);

/* -- watch.c ----------------------------------------------------------------- */

/* A descriptor (-1 and *p), to which the folders are added in which these files stand. */
int rb_watch_open (rb_Problem *p);
void rb_watch_beside (int fd, const char *file);
/* Waits until a file of Lua, or a tape, is written there; 0, or 130: interrupted. */
int rb_watch_wait (int fd);

/* -- shown.c ------------------------------------------------------------- */

/* document.c: all of it, on standard output */
void rb_document_json (const rb_Suite *list, int n, int exit, double ms);
void rb_document_junit (const rb_Suite *list, int n);
void rb_document_tap (const rb_Suite *list, int n);

typedef struct rb_Shown rb_Shown;
rb_Shown *rb_shown_open (rb_TestFormat format);
void rb_shown_suite (void *shown, const rb_Suite *s);
/* The end: totals and coverage, or the document; the exit code. Frees it. */
int rb_shown_close (rb_Shown *shown, const rb_Suite *list, int n);

#endif
