/*
** tape.h - the durable, append-only, hash-chained record of runs
**
** Events wait in memory until they are written, many in one transaction:
** by rb_tape_commit, or by a thread of the tape (rb_tape_flush). Nothing on
** the tape is ever updated; a run's row caches the head of its chain, its
** status and its end. hash = BLAKE2b(previous || event).
** What must be read again by us and by nobody else is sealed (XChaCha20-
** Poly1305, a key per run beside the tape in keys/RUN, mode 0600).
*/

#ifndef rb_tape_h
#define rb_tape_h

#include <stddef.h>
#include <stdint.h>

#include "vm/problem.h"

typedef struct rb_Tape rb_Tape;

#define RB_RUNID 27  /* a ULID and its NUL */

typedef struct rb_TapeRun {
  char id[RB_RUNID];
  const char *runbook, *target, *mode, *who, *host, *version;
  const char *params;    /* JSON object, redacted */
  int64_t started;       /* milliseconds since 1970, UTC */
  /* read back by rb_tape_runs; not looked at by rb_tape_begin */
  int64_t ended;         /* 0: unfinished */
  const char *status;
  int exit;
  int64_t events;
  char head[65];         /* hash of the last one: what an anchor keeps */
  int64_t pruned;        /* when its content was removed; 0: it is there */
  const char *cases;     /* the ids of those that it took, a line each; NULL: none */
} rb_TapeRun;

/* kinds: "start" (script, identities, outline), "step" (one begins, or a case was
** taken), "intent", "outcome", "waited", "note", "finding", "evidence", "failures"
** (of a run:each), "answer", "approval", "secret" (found by an effect), "stepped" (one
** has ended), "lock" (held by this run), "abandon" (by whom), "result" (what the steps
** left), "end" */
typedef struct rb_TapeEvent {
  const char *kind;
  const char *path;    /* of the effect or step; NULL if none */
  const char *verb;    /* "redis.set"; NULL if none */
  const char *text;    /* JSON, already redacted; NULL if none */
  const void *secret;  /* bytes to be sealed; NULL if none */
  size_t secretlen;
  int64_t at;          /* milliseconds since 1970; 0: now */
} rb_TapeEvent;

/* An event read back; pointers live until the callback returns. */
typedef struct rb_TapeRow {
  int64_t seq;
  rb_TapeEvent event;  /* secret: opened, or NULL when its key is gone */
  char hash[65];
} rb_TapeRow;

/* Opens (and creates: folder 0700, file 0600, WAL, synchronous=FULL) the tape.
** NULL and *p (exit 2, kind "tape") when it is locked, read-only, damaged, of
** a newer format, or not ours; the message names the file and says what to do. */
rb_Tape *rb_tape_open (const char *file, rb_Problem *p);

/* The default file: $XDG_STATE_HOME/runbook/tape.db, else
** ~/.local/state/runbook/tape.db. Returns 0 where there is no home. */
int rb_tape_file (char *file, size_t size);

void rb_tape_close (rb_Tape *t);  /* commits nothing; safe on NULL */

/* A new run: its key, its row and the start of its chain. Not yet committed. */
int rb_tape_begin (rb_Tape *t, const rb_TapeRun *run, rb_Problem *p);

/* Goes on with a run of the tape (its whole id): its key, its chain. Exit 2
** where there is no such run or its key is gone. */
int rb_tape_continue (rb_Tape *t, const char *run, rb_Problem *p);
/* Nobody else goes on with that run until the tape is closed, also once another run has
** been begun here. */
void rb_tape_hold (rb_Tape *t);
/* The last of the names of all runs; "" where there are none. */
int rb_tape_newest (rb_Tape *t, char id[RB_RUNID], rb_Problem *p);

/* Queues an event of that run (memory only) and returns its sequence number,
** 1 for the first; 0 when memory ran out. */
int64_t rb_tape_append (rb_Tape *t, const rb_TapeEvent *e);

/* The sequence number of the run's last event. */
int64_t rb_tape_last (const rb_Tape *t);

/* How many events are not durable yet. */
size_t rb_tape_waiting (const rb_Tape *t);

/* Could a run use the tape 'file'? Looks, and makes nothing: 0, or an exit code and *p. */
int rb_tape_look (const char *file, rb_Problem *p);

/* Can it be written now? Tries what the first event will do, and takes it back: 0, or an
** exit code and *p. */
int rb_tape_ready (rb_Tape *t, rb_Problem *p);

/* Makes all that waits durable: 0, or an exit code and *p ("disk full",
** ...). What could not be written still waits. */
int rb_tape_commit (rb_Tape *t, rb_Problem *p);

/* Has what waits written by a thread of the tape, and returns at once: for
** events that nobody waits for. 'due' 0: only when they are many. What failed
** meanwhile is told by the next call, and still waits. Where the thread cannot
** keep up, it is a commit. */
int rb_tape_flush (rb_Tape *t, int due, rb_Problem *p);

/* Appends "end", commits, and closes the run's row. */
int rb_tape_end (rb_Tape *t, const char *status, int exit, rb_Problem *p);

/* Commit from another thread while the main thread is stuck in a C function
** (the hard deadline): takes the tape's lock, gives up after a second. From
** then on nothing is appended or committed: no deed can follow the end. */
int rb_tape_rescue (rb_Tape *t, const char *status, int exit);

enum { RB_CHANCE = 32 };
/* Derived from a seed that is no secret: the same again for the same label. */
void rb_tape_chance (const unsigned char seed[RB_CHANCE], const char *label, void *out,
                     size_t n);

/* Derived from the run's key: the same again for the same run and path. */
void rb_tape_derive (rb_Tape *t, const char *label, void *out, size_t n);

/* Keyed hash (BLAKE2b: SHA-256 costs three times as much) of the arguments
** with the run's key, as 64 hex digits and a NUL. */
void rb_tape_fingerprint (rb_Tape *t, const void *data, size_t n,
                          char out[65]);

/* Newest first. 'row' returns non-zero to stop. */
int rb_tape_runs (rb_Tape *t, int (*row) (void *ud, const rb_TapeRun *run),
                  void *ud, rb_Problem *p);

/* One of them, by its whole id; 'row' is not called where there is none. */
int rb_tape_run (rb_Tape *t, const char *id, int (*row) (void *ud, const rb_TapeRun *run),
                 void *ud, rb_Problem *p);

/* The whole name from a unique ending, in either case; exit 2 names what fits. */
int rb_tape_find (rb_Tape *t, const char *ending, char id[RB_RUNID],
                  rb_Problem *p);

/* What a run has left behind (claim.c). */
typedef struct rb_TapeClaim {
  char run[RB_RUNID];
  int known;             /* it is on this tape */
  int ended;             /* 0: it runs, or was ended from outside */
  int unfinished;        /* neither done, nor taken back, nor abandoned */
  int changed;           /* a remedy of it was done, or may have been */
  int open;              /* both: it keeps what it locked */
  int undone;            /* all that could be was taken back */
  char undo[RB_RUNID];   /* the last undo of it that took something back, or "" */
  int exit;              /* -1: it has not ended */
  int64_t started;
  char who[64], host[64], mode[16], status[16], runbook[128];
} rb_TapeClaim;

/* Of that run (its whole id); *c says so where it is not on this tape. 0, or exit 2. */
int rb_tape_claim (rb_Tape *t, const char *run, rb_TapeClaim *c, rb_Problem *p);

/* The sessions of this user that are under way on this machine (live.c): 'each' gets a
** run and its process, and returns non-zero to stop. 0, or exit 2. */
int rb_tape_live (rb_Tape *t, int (*each) (void *ud, const char *run, int pid), void *ud,
                  rb_Problem *p);
/* Is that process the session of that run? */
int rb_tape_holds (rb_Tape *t, const char *run, int pid);

/* Among the last runs of that runbook on that target: is one neither under way nor ended,
** after it had changed something? 1, and the newest of them. Never an error. */
int rb_tape_killed (rb_Tape *t, const char *runbook, const char *target, const char *but,
                    rb_TapeClaim *c);

/* All events of a run (a ULID or its unique ending), in order. */
int rb_tape_events (rb_Tape *t, const char *run,
                    int (*row) (void *ud, const rb_TapeRow *row), void *ud,
                    rb_Problem *p);

/* The same without what is sealed, whose opening costs as much as all the rest. */
int rb_tape_texts (rb_Tape *t, const char *run,
                   int (*row) (void *ud, const rb_TapeRow *row), void *ud,
                   rb_Problem *p);

/* Recomputes every chain (run NULL) or one; exit 1 and *p names the first
** event that does not fit. */
int rb_tape_verify (rb_Tape *t, const char *run, rb_Problem *p);

/* what an anchor came to */
typedef struct rb_Anchored {
  int made;              /* there was none */
  long long held, added; /* runs that are as they were anchored, and new ones */
  long long grown;       /* of the held ones, those that have more events now */
  long long unseen;      /* of these, those that went on and were pruned: only their row */
                         /* and its mark are left to be looked at */
  char all[65];          /* the hash over all of them */
} rb_Anchored;

/* Verifies all of the tape, and that every run of the anchor is still there with the
** events that it had; then the file (a new one, if it is missing) holds the heads of
** today. Where something does not hold, exit 1, and the file stays as it is. */
int rb_tape_anchor (rb_Tape *t, const char *file, rb_Anchored *sum, rb_Problem *p);

/* what pruning came to */
typedef struct rb_Pruned {
  long long runs, events;  /* whose content is gone (or would be), and how much it was */
  long long kept;          /* old ones that are not finished, or under way */
  long long keys;          /* of runs that were killed before any of them was written */
  int64_t was, is;         /* bytes of the tape before and after */
} rb_Pruned;

/* Removes the content of each run whose last session ended (or, unfinished, which began)
** before that time (milliseconds), and its key; the row stays, with the head of its chain
** and an event "pruned". A run that is under way or keeps its locks is left alone, and so
** is the undo of one. Keys of that age whose runs are not on the tape go, too. 'dry': only
** says so. 'each' is called with every old run, and why it is kept, or NULL. Room
** is given back in steps, so that a run that writes meanwhile waits for none of them long. */
int rb_tape_prune (rb_Tape *t, int64_t before, int dry, const char *who,
                   void (*each) (void *ud, const char *run, const char *kept), void *ud,
                   rb_Pruned *sum, rb_Problem *p);

/* A new ULID: time and random, sorted by time also within a millisecond. */
void rb_ulid (char id[RB_RUNID]);
/* From now on they come after that one, whatever the clock says. */
void rb_ulid_after (const char *id);
/* The time in it, milliseconds since 1970; 0: it is none. */
int64_t rb_ulid_time (const char *id);

/* SHA-256 of a text, as 64 hex digits and a NUL. */
void rb_sha256 (const void *data, size_t n, char out[65]);

#endif
