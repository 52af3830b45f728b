/*
** tls.h - what net asks of its part that knows TLS (NAME-tls.so)
*/

#ifndef rb_net_tls_h
#define rb_net_tls_h

#include "vm/module.h"

typedef struct rb_NetTls rb_NetTls;

typedef enum rb_NetStep {
  RB_NETDONE, RB_NETREAD, RB_NETWRITE, RB_NETFAILED
} rb_NetStep;

typedef struct rb_NetPart {
  /* A handshake on a connected, non-blocking descriptor (not closed by it) with the
  ** server of that name; 'ca': a file of certificates to trust, NULL: the machine's.
  ** NULL and words in 'why' where it cannot begin. */
  rb_NetTls *(*open) (int fd, const char *name, const char *ca, char *why, size_t size);
  /* Goes on: done, or what to wait for. RB_NETFAILED: see words. */
  rb_NetStep (*step) (rb_NetTls *t);
  const char *(*words) (const rb_NetTls *t);
  /* Has the server shown a certificate (even if the handshake failed then)? */
  int (*seen) (const rb_NetTls *t);
  /* [-0, +1, m]  the certificate, as a table */
  void (*push) (lua_State *L, rb_NetTls *t, double now);
  void (*close) (rb_NetTls *t);
} rb_NetPart;

extern RB_API const rb_NetPart rb_part;

#endif
