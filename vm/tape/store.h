/*
** store.h - what the files of the tape share (private to vm/tape)
*/

#ifndef rb_store_h
#define rb_store_h

#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>

#include "vm/buffer.h"
#include "vm/tape/tape.h"

enum { HASH = crypto_hash_sha256_BYTES };

/* the texts of an event, in the order in which they are hashed and stored */
enum { KIND, PATH, VERB, TEXT, SEALED, FIELDS };

#define ABSENT UINT64_MAX

typedef struct Fields {
  int64_t seq, at;
  const void *s[FIELDS];
  uint64_t len[FIELDS];  /* ABSENT: NULL */
} Fields;

/* An event that waits: sealed and hashed already; its texts lie in 'bytes'
** of the tape one after the other, from 'from' on. */
typedef struct Waiting {
  int64_t seq, at;
  size_t from;
  uint64_t len[FIELDS];
  unsigned char hash[HASH];
} Waiting;

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

struct rb_Tape {
  sqlite3 *db;
  char *file;
  pthread_mutex_t lock;  /* over all below, and over db */
  sqlite3_stmt *stmt[STATEMENTS];
  int frames;            /* in the write-ahead log */
  /* the run under way */
  char run[RB_RUNID];
  char *row[RUNTEXTS];   /* until its row is written */
  int64_t started;
  int isnew;             /* its row is not written yet */
  int keyfd;             /* its key is not durable yet; else -1 */
  int deed;              /* from here on what it seals must outlive us */
  Keys keys;
  unsigned char head[HASH];
  int64_t seq;
  int64_t ended;
  char status[32];
  int exit;
  int rescued;
  /* its events that wait */
  rb_Buffer bytes;
  Waiting *waiting;
  size_t nwaiting, size;
};

/* open.c: says in words what SQLite complains about; returns the exit code */
int rb_tape_complain (rb_Tape *t, rb_Problem *p);
int rb_tape_nomemory (rb_Problem *p);

/* chain.c */
void rb_chain_start (unsigned char hash[HASH], const char *run,
                     const char *const text[RUNTEXTS], int64_t started);
void rb_chain_next (unsigned char hash[HASH], const Fields *f);
/* The event at the row of a SELECT of seq, at, kind, path, verb, text,
** sealed from column 0 on. */
void rb_chain_fields (sqlite3_stmt *s, Fields *f);
/* The text of an "end" event. */
void rb_chain_end (char *text, size_t size, const char *status, int exit);

/* seal.c: keys/RUN beside the tape */
int rb_seal_create (rb_Tape *t, rb_Problem *p);  /* t->run, keys, keyfd */
int rb_seal_sync (rb_Tape *t, rb_Problem *p);    /* makes the key durable */
void rb_seal_shred (rb_Tape *t, const char *run);
/* 1; 0: the key is gone or not a key of ours. */
int rb_seal_load (rb_Tape *t, const char *run, Keys *keys);
/* Bytes that the sealed form of n bytes needs. */
size_t rb_seal_size (size_t n);
void rb_seal (Keys *keys, const char *run, int64_t seq,
              const void *secret, size_t n, unsigned char *out);
/* malloc'ed, with a NUL after it; NULL: not the key, or not these bytes. */
void *rb_seal_open (const Keys *keys, const char *run, int64_t seq,
                    const void *sealed, size_t n, size_t *len);

/* read.c: the whole id from a unique ending */
int rb_tape_find (rb_Tape *t, const char *ending, char id[RB_RUNID],
                  rb_Problem *p);

#endif
