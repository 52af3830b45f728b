/*
** once.c - a request that comes again with its Idempotency-Key gets its first answer again
**
** Answers are kept for as long as the process lives; those of 500 and above are not.
*/

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vouchers.h"

typedef struct Kept {
  char *key;
  Reply reply;
  struct Kept *next;
} Kept;

static Kept *kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void keep (const char *key, const Reply *reply) {
  Kept *k = reply->status < 500 ? calloc(1, sizeof *k) : NULL;
  if (!k) return;
  k->key = strdup(key);
  k->reply = *reply;
  k->reply.body = json_deep_copy(reply->body);
  k->next = kept;
  kept = k;
}

/* one at a time, so that two of one key are not served at once */
Reply vouchers_once (App *app, const Request *r, Reply (*serve) (App *app, const Request *r)) {
  const Kept *k;
  Reply reply;
  if (!r->key) return serve(app, r);
  pthread_mutex_lock(&lock);
  for (k = kept; k && (!k->key || strcmp(k->key, r->key) != 0); ) k = k->next;
  if (k) {
    reply = k->reply;
    reply.body = json_deep_copy(k->reply.body);
  } else {
    reply = serve(app, r);
    keep(r->key, &reply);
  }
  pthread_mutex_unlock(&lock);
  return reply;
}
