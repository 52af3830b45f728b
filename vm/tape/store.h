/*
** store.h - what the files of the tape share (private to vm/tape)
*/

#ifndef rb_store_h
#define rb_store_h

#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>

#include "vm/buffer.h"
#include "vm/tape/tape.h"

enum { HASH = crypto_generichash_BYTES };

/* the texts of an event, in the order in which they are hashed and stored */
enum { KIND, PATH, VERB, TEXT, SEALED, FIELDS };

#define ABSENT UINT64_MAX
#define BUSY 5000         /* milliseconds to wait for another process */

typedef struct Fields {
  int64_t seq, at;
  const void *s[FIELDS];
  uint64_t len[FIELDS];  /* ABSENT: NULL */
} Fields;

/* An event that waits. Its texts lie in 'bytes' of its batch one after the
** other, from 'from' on; of what is to be sealed also the room for it. */
typedef struct Waiting {
  int64_t seq, at;
  size_t from;
  uint64_t len[FIELDS];
  unsigned char hash[HASH];  /* once it is in the chain */
} Waiting;

/* events that become durable together */
typedef struct Batch {
  rb_Buffer bytes;
  Waiting *waiting;
  size_t n, size;
  size_t chained;        /* of these so many are sealed and hashed */
  int deed;              /* has an intent: what it seals must outlive us */
  int64_t ended;         /* when its last event, an "end", came; else 0 */
} Batch;

/* the texts of a run's row, in order */
enum { RUNBOOK, TARGET, MODE, WHO, HOST, VERSION, PARAMS, RUNTEXTS };

/* subkeys of the key of a run */
typedef struct Keys {
  int known;
  unsigned char seal[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
  unsigned char derive[crypto_generichash_KEYBYTES];
  unsigned char mark[crypto_generichash_KEYBYTES];
  unsigned char nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
} Keys;

enum { BEGIN, COMMIT, ADDRUN, ADDEVENT, SETRUN, STATEMENTS };

/* the thread that writes what nobody waits for */
typedef struct Writer {
  int running, asked, quit, failed;
  pthread_t thread;
  pthread_cond_t bell;
  rb_Problem problem;    /* of the last batch, if it failed */
} Writer;

struct rb_Tape {
  sqlite3 *db;
  char *file;
  pthread_mutex_t lock;  /* over db and all below, but for what 'door' guards */
  pthread_mutex_t door;  /* never held for long; the lock, if both, comes first */
  sqlite3_stmt *stmt[STATEMENTS];
  int frames;            /* in the write-ahead log */
  unsigned long format;  /* of the file when it was opened */
  /* the run under way */
  char run[RB_RUNID];
  char *row[RUNTEXTS];   /* until its row is written */
  int64_t started;
  int isnew;             /* its row is not written yet */
  int keyfd;             /* its key is not durable yet; else -1 */
  int held;              /* the key of another run, locked until the tape is closed; or -1 */
  int claim;             /* its key, locked as long as a session of it lives; or -1 */
  Keys keys;
  unsigned char head[HASH];
  int64_t chained;       /* the event that it is the hash of */
  char status[32];
  int exit;
  Batch back;            /* being written; or it could not be */
  /* behind the door */
  Batch front;           /* what has come since */
  size_t unwritten;      /* events of both */
  int64_t seq;           /* of the last one */
  int64_t ended;         /* when it came, if it is an "end"; else 0 */
  int rescued;
  Writer writer;
};

/* open.c: says in words what SQLite complains about; returns the exit code */
int rb_tape_complain (rb_Tape *t, rb_Problem *p);
int rb_tape_nomemory (rb_Problem *p);
int rb_tape_damaged (rb_Problem *p, const char *file, const char *how);
/* The folder of 'file' cannot be used, and why. */
int rb_tape_noplace (rb_Problem *p, const char *file, int error);

/* format.c: what makes a new tape; is the file one that we read; and what an older one
** lacks */
extern const char rb_format_schema[];
int rb_format_marks (rb_Tape *t, rb_Problem *p);
int rb_format_grow (rb_Tape *t, rb_Problem *p);
/* writes what stands there already */
void rb_format_touch (rb_Tape *t);
/* the cases of all runs; its WHERE is that of the index, word by word */
#define RB_TAKEN "WHERE kind = 'step' AND substr(text, 1, 8) = '{\"case\":' "
#define RB_CASES "SELECT run, path FROM event " RB_TAKEN

/* tape.c: writes a batch: what could not be written, else what has come since;
** under the lock */
int rb_tape_write (rb_Tape *t, rb_Problem *p);

/* writer.c */
void rb_writer_stop (rb_Tape *t);

/* chain.c */
void rb_chain_start (unsigned char hash[HASH], const char *run,
                     const char *const text[RUNTEXTS], int64_t started);
void rb_chain_next (unsigned char hash[HASH], const Fields *f);
/* The event at the row of a SELECT of seq, at, kind, path, verb, text,
** sealed from column 0 on. */
void rb_chain_fields (sqlite3_stmt *s, Fields *f);
/* One run (its whole id) or all (NULL), under the lock and in a transaction. */
int rb_chain_verify (rb_Tape *t, const char *id, rb_Problem *p);
/* What a "pruned" event says of the chain that it goes on from. 0: it does not. */
typedef struct Marker {
  int64_t events, ended;
  unsigned char head[HASH], row[HASH];
  char status[32];
  int exit;
} Marker;
int rb_chain_marker (const char *text, Marker *m);
/* The hash of the row of a run: columns as in rb_chain_row's statement. */
#define RB_ROW "id, runbook, target, mode, who, host, version, params, started"
void rb_chain_row (sqlite3_stmt *s, unsigned char hash[HASH]);
/* The text of an "end" event. */
void rb_chain_end (char *text, size_t size, const char *status, int exit);

/* seal.c: keys/RUN beside the tape */
int rb_seal_create (rb_Tape *t, rb_Problem *p);  /* t->run, keys, keyfd */
int rb_seal_sync (rb_Tape *t, rb_Problem *p);    /* makes the key durable */
/* Says that this process is the run's session, until it ends: 0, or RB_LOCKED where
** another one is. */
int rb_seal_claim (rb_Tape *t, rb_Problem *p);
/* Keeps other sessions away from a run that is not ours: a descriptor to close; -1: there
** is one under way; -2: it has no key. */
int rb_seal_keepout (rb_Tape *t, const char *run);
void rb_seal_shred (rb_Tape *t, const char *run);
/* The file of a run's key, or (NULL) the folder of all; 0: too long. */
int rb_seal_path (const rb_Tape *t, const char *run, char path[PATH_MAX]);
/* 1; 0: the key is gone or not a key of ours. */
int rb_seal_load (rb_Tape *t, const char *run, Keys *keys);
/* what stands before and after sealed bytes */
enum {
  SEALHEAD = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
  SEALTAIL = crypto_aead_xchacha20poly1305_ietf_ABYTES
};
/* Seals in place the n bytes at s, but for the room at both ends. That it was squeezed is
** sealed with it. */
void rb_seal (Keys *keys, const char *run, int64_t seq, int squeezed, unsigned char *s,
              size_t n);
/* What it was before it was squeezed, malloc'ed, with a NUL after it; NULL: not the key, or
** not these bytes, or no memory. */
void *rb_seal_open (const Keys *keys, const char *run, int64_t seq,
                    const void *sealed, size_t n, size_t *len);

/* squeeze.c: compresses what is long, in place: the new length, or n where it stays as it is */
size_t rb_squeeze (unsigned char *s, size_t n);
/* malloc'ed, with a NUL after it; NULL: damaged, larger than anything may be, or no memory */
void *rb_unsqueeze (const void *squeezed, size_t n, size_t *len);

#endif
