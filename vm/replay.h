/*
** replay.h - what the tape of an earlier session answers (private to vm/)
**
** A resumed run runs its script from the beginning. An effect that has an outcome on
** the tape is not performed: it gets that outcome, and outcomes are given out in the
** order in which they were taped, one at a time, with all Lua that can run in between,
** as in the session that made them. No effect is performed while anybody still
** waits for the tape, but for what is done again: where another branch could not begin
** before that one had ended, the rest of the tape comes after it.
*/

#ifndef rb_replay_h
#define rb_replay_h

#include <jansson.h>

#include "vm/vm.h"

/* all that the tape says of one path */
typedef struct rb_Taped {
  int64_t seq;         /* of its outcome, or of the end of its wait; 0: none */
  double at;           /* seconds since 1970 */
  char *path, *verb, *summary;
  char *target;        /* "school_erp.redis" */
  char fingerprint[65];
  int deed;            /* a remedy or a notice */
  int notice;
  int waited;          /* not an effect: a wait */
  int within;          /* a statement of a transaction */
  int failed, unchanged;
  int partly;          /* it failed, and what it did by then stays */
  int retried;         /* the gate tried again: the script never saw it */
  int late;            /* the step's time was up: the script was ended */
  int lost;            /* done, but its result is an error */
  char *value; size_t nvalue;    /* result or error, as in value.h */
  char *intent; size_t nintent;  /* a table {facts, image, inverse, ...}; NULL: none */
  int used;
} rb_Taped;

typedef struct rb_Replay {
  rb_Taped *list; int n, size;
  json_t *index;       /* path -> place in list */
  json_t *spoken;      /* "note PATH" -> how many are on the tape */
  json_t *answers;     /* id -> list of texts */
  json_t *approvals;   /* "role for what" -> true */
  json_t *servers;     /* resource -> what it said it was */
  json_t *how;         /* of the start event: files, words, options */
  json_t *dropped;     /* list of [first, last]: what this session does again */
  json_t *skipped;     /* steps that a person left as failed: id -> the event's text */
  int skipping;        /* the step under way is one of them: it ends where its tape does */
  int cameout;         /* the run came to its end, and all that failed was skipped */
  json_t *reopened;    /* branches of which something is done again: path -> true */
  int64_t last;        /* event of the run when it was read */
  int left;            /* outcomes and waits not given out yet */
  int indoubt;         /* deeds that may or may not have happened */
  char kind[24];       /* of its target, as it was then: "production" */
  const char *policy;  /* --in-doubt: "ask", "done", "retry", "skip" */
  const json_t *adopts;  /* a session that was made into a runbook: a list of {n, step, word},
                       ** the field that each statement went to. Arguments are not
                       ** compared then; NULL: a run like any other */
  int offline;         /* nothing is performed: where the tape ends, the run ends */
  int over;            /* the session is live now */
  char *livefrom;      /* path of the first live effect; NULL while there is none */
  void (*golive) (rb_VM *vm);  /* called once before that; NULL: nobody wants to know */
  rb_Task *waiting;    /* for the tape, or for it to be over; linked by tapenext */
  rb_TapeRun run;      /* texts belong to the replay */
  struct rb_Exported *exported;  /* it comes from an export; else NULL */
} rb_Replay;

/* Reads a run of the tape (its whole id). 'again': what ended it is done again. */
rb_Replay *rb_replay_load (rb_Tape *tape, const char *run, int again, rb_Problem *p);
/* The same from an exported run; replayfile.c. Exit 2 where it was edited. */
rb_Replay *rb_replay_file (const char *file, rb_Problem *p);
void rb_replay_free (rb_Replay *r);

/* Where a run comes from: calls rb_replay_setrun with its row, and 'event' with each of its
** events in order; 0, or an exit code and *p. */
typedef int (*rb_ReplaySource) (void *ud, rb_Replay *r,
                                int (*event) (void *ud, const rb_TapeRow *row),
                                void *events, rb_Problem *p);
rb_Replay *rb_replay_make (rb_ReplaySource source, void *ud, int again, rb_Problem *p);
int rb_replay_setrun (void *r, const rb_TapeRun *run);  /* copies its texts */

/* [-0, +?, vy]  What does the tape say of the effect or wait at the path of the task's
** call? Goes on in 'taped' when it is its turn; else in 'live', once nobody waits for
** the tape. The task's 'taped' is what is known (in 'live': a deed in doubt, or
** NULL). */
int rb_replay (lua_State *L, lua_KContext ctx, lua_KFunction taped,
               lua_KFunction live);

/* For the loop, when no Lua can run: wakes who is next. 0: nobody waited. */
int rb_replay_next (rb_VM *vm, rb_FieldRun *field);
/* Wakes the one whose outcome the tape has next. 0: nobody waits for one. */
int rb_replay_turn (rb_VM *vm);

/* The first outcome that nobody asked for; NULL: there is none. */
const rb_Taped *rb_replay_unasked (const rb_Replay *r);

/* Is an answer still to come from the tape? */
static inline int rb_replaying (const rb_VM *vm) {
  return vm->replay != NULL && !vm->replay->over;
}

/* Is this event of the script (a note, a finding, a step) on the tape already? Asked
** once for each. */
int rb_replay_spoken (rb_VM *vm, const char *kind, const char *path);

/* The next taped answer to this question, or NULL. */
const char *rb_replay_answer (rb_VM *vm, const char *id);
int rb_replay_approved (rb_VM *vm, const char *role, const char *what);
/* Why a person went on without that step, which had failed; NULL: nobody did. */
const char *rb_replay_skipped (const rb_VM *vm, const char *step);

/* [-0, +1, m]  Pushes the taped result or error, and puts the effect on the report;
** 1: it is an error. */
int rb_replay_push (lua_State *L);
/* [-0, +1, m]  Pushes its result or error alone; 1: it is an error. */
int rb_replay_value (lua_State *L, const rb_Taped *e);
/* [-0, +1, m]  The table of the task's taped intent; nil: there is none. */
void rb_replay_intent (lua_State *L, const rb_Taped *e);
const rb_Taped *rb_replay_find (rb_VM *vm, const char *path);

#endif
