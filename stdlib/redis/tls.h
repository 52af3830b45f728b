/*
** tls.h - what redis asks of its part that speaks TLS (redis-tls.so)
*/

#ifndef rb_redis_tls_h
#define rb_redis_tls_h

#include <stddef.h>

#include "vm/module.h"

typedef struct rb_RedisTls rb_RedisTls;

/* files, or NULL; 'ca' may be a folder: NULL is what the machine trusts */
typedef struct rb_RedisTrust {
  char *ca, *cert, *key, *password;
} rb_RedisTrust;

typedef enum rb_RedisStep {
  RB_REDISDONE,             /* all of it, or some of it */
  RB_REDISREAD,             /* goes on when the descriptor can be read */
  RB_REDISWRITE,            /* ... or written */
  RB_REDISEND,              /* the server hung up */
  RB_REDISUNTRUSTED,        /* one of the two does not accept the other: see words */
  RB_REDISFAILED            /* see words */
} rb_RedisStep;

typedef struct rb_RedisPart {
  /* TLS over a non-blocking descriptor (not closed by it) with the server of that
  ** name. NULL, and words in 'why', where it cannot begin. */
  rb_RedisTls *(*open) (int fd, const char *name, const rb_RedisTrust *trust,
                        char *why, size_t size);
  int (*queue) (rb_RedisTls *t, const char *s, size_t n);  /* 0: no memory */
  /* Writes what is queued; shakes hands first. RB_REDISDONE: nothing is left. */
  rb_RedisStep (*flush) (rb_RedisTls *t);
  /* RB_REDISDONE: *n bytes were read. */
  rb_RedisStep (*read) (rb_RedisTls *t, char *s, size_t size, size_t *n);
  const char *(*words) (const rb_RedisTls *t);
  void (*close) (rb_RedisTls *t);
} rb_RedisPart;

extern RB_API const rb_RedisPart rb_part;

#endif
