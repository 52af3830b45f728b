/*
** report.h - what a run did or would do: the model behind screen and JSON
**
** Filled by the engine and the gate, read by vm/show. Every text is already
** redacted. The words of status and verdict are those of the design.
*/

#ifndef rb_report_h
#define rb_report_h

#include <stdint.h>
#include <jansson.h>

#include "vm/problem.h"

/* a deed as a plan keeps it: digests of its arguments and of what it found */
typedef struct rb_Asked {
  char arguments[65], before[65];
} rb_Asked;

typedef struct rb_EffectRow {
  int n;                 /* 1.. over the whole run */
  char *path;            /* "block-its-traffic/remedy/1" */
  const char *kind;      /* "probe", "remedy", "notice" */
  char *verb, *target;   /* "redis.set", "school_erp.redis" */
  char *summary;
  const char *verdict;   /* dry run: "would do", "nothing to do", "would refuse",
                         ** "cannot predict"; NULL for probes and real runs */
  const char *outcome;   /* real run: "done", "failed", "in-doubt", "replayed" */
  const char *read;      /* probe after a planned deed: "predicted", "as planned",
                         ** "real", "as of now"; else NULL */
  char *reason;
  json_t *before, *after;  /* NULL, {value, type, ttl} or {diff} */
  long long rows;        /* -1: none */
  int guarded;           /* 1, 0, or -1: does not apply */
  int *assumes; int nassumes;  /* n of the planned effects it rests on */
  int *provided; int nprovided;  /* n of the steps before it that have to go well,
                         ** of which a dry run does not know that they will */
  char *undo;            /* NULL, "automatic" or words */
  int unchanged;         /* it was already so: nothing was done */
  rb_Asked *asked;       /* NULL for probes */
  double ms;
  struct rb_EffectRow *next;
} rb_EffectRow;

typedef struct rb_StepRow {
  int n;                 /* 1.. in reading order */
  char *id, *title;
  char *incase;          /* id of its case, or NULL */
  const char *status;    /* NULL while it has not been reached */
  const char *verify;    /* "passed", "failed", "deferred", or NULL */
  char *reason;
  char *manual;          /* what a person has to do, rendered, or NULL */
  char *approve;         /* "senior-engineer, cto", or NULL */
  double ms;
  rb_EffectRow *effects, **last;
  int neffects;          /* all; only the first RB_KEEP are kept as rows, with
                         ** every remedy and notice */
  int kept;
  json_t *failures;      /* of each run:each that failed: {of, failed, targets}; NULL */
  int ran;               /* it was begun */
  int left;              /* it failed, and a person went on without it */
  const char *field;     /* the one that failed or stopped it; NULL: none did */
} rb_StepRow;

enum { RB_KEEP = 1000 };

typedef struct rb_Finding {
  char *name;
  json_t *value;
  const char *status;    /* "ok", "warn", "bad", or NULL */
  char *path;            /* of the task that found it, or NULL */
} rb_Finding;

typedef struct rb_CaseRow {
  char *id, *title;
  int taken;             /* 1 taken, 0 not, -1 not looked at */
  char *evidence;        /* what its `when` returned beside true, or NULL */
} rb_CaseRow;

/* what the tape knows of a run beside all this; the lists hold {at, step, ...} */
typedef struct rb_Recorded {
  char *who, *host, *version;
  char ended[32];        /* "": it has not */
  json_t *evidence;      /* name, value */
  json_t *notes;         /* text */
  json_t *approvals;     /* role, who, note, attested */
  json_t *answers;       /* id, text */
  json_t *resumed;       /* by, host, version */
  int whole;             /* it came to its end, and wrote down what it was */
  int pruned;            /* what it did is not on the tape any more */
} rb_Recorded;

typedef struct rb_Report {
  char run[27];
  char *runbook, *title, *use_when, *impact, *approve, *severity;
  char *target, *kind;
  const char *mode;      /* "run", "dry-run", ... */
  const char *status;    /* "done", "planned", "failed", ... */
  int exit;
  char *digest;          /* "sha256:...", or NULL */
  int script, gate, kernel;       /* layers that hold */
  char *kernelwhy;                /* why not, or NULL */
  json_t *protocol;               /* ["redis", ...] */
  char *protocolwhy;              /* "pg: same role as remedies", or NULL */
  char *lockscope;                /* "this machine only", ...: how far it reaches; or NULL */
  json_t *params;                 /* redacted */
  char started[32];               /* ISO 8601 UTC */
  int64_t startedms;              /* the same, in milliseconds since 1970 */
  double ms;
  rb_CaseRow *cases; int ncases;
  rb_Finding *findings; int nfindings;
  rb_StepRow *steps; int nsteps;
  int next;                       /* number of the next effect */
  rb_Problem error;               /* exit 0: none */
  char certainty[12];             /* "not done", "partly", "unknown", or "" */
  char *errorstep;                /* id, or NULL */
  int before;                     /* the plan that a real run shows first */
  const char *kept;               /* file in which the plan was kept, or NULL */
  int resumed;                    /* an earlier session went on */
  char *resumedfrom;              /* path of its first effect that was not replayed */
  rb_Recorded *recorded;          /* NULL, unless it was read from the tape */
} rb_Report;

void rb_report_close (rb_Report *r);
/* A finding more (name and value are taken). Those of a run:each stand in the order of
** its list, whoever was first. 0: no memory. */
int rb_report_addfinding (rb_Report *r, const char *path, char *name, json_t *value,
                          const char *status);
/* Milliseconds since 1970 as ISO 8601 in UTC; "" for 0. */
void rb_report_stamp (int64_t ms, char *out, size_t size);

#endif
