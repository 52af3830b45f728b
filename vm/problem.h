/*
** problem.h - what went wrong, in the words that the operator will read
*/

#ifndef rb_problem_h
#define rb_problem_h

/* exit codes: the contract with scripts that call us */
enum {
  RB_DONE = 0, RB_FAILED = 1, RB_USAGE = 2, RB_STOPPED = 3, RB_STALE = 4,
  RB_LOCKED = 5, RB_INDOUBT = 6, RB_DEFERRED = 7, RB_INTERRUPTED = 130
};

typedef struct rb_Problem {
  int exit;            /* one of the above; 0: no problem */
  char kind[24];       /* "usage", "config", "script", "parameter", "tape" */
  char message[1024];  /* what was wrong, and what would be right */
  char file[256];      /* "" when it has no place */
  int line;            /* 0 when it has none */
} rb_Problem;

/* Fills *p (file and line empty) and returns the exit code. */
int rb_problem (rb_Problem *p, int exit, const char *kind, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));

/* The word of the NULL-terminated list nearest to 'word', or NULL when none
** is near (Damerau-Levenshtein, at most a third of its length, at least 1). */
const char *rb_nearest (const char *word, const char *const *words);

#endif
