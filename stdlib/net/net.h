/*
** net.h - what the files of net share
*/

#ifndef rb_net_net_h
#define rb_net_net_h

#include <sys/socket.h>

#include "vm/module.h"

/* [-0, +0, v]  Arguments 1 and 2: a host that this target may look at, and a port.
** Without the brackets of "[::1]"; argument 1 becomes that text. */
const char *rb_net_host (lua_State *L, int *port);

/* [-0, +0, v]  The options at 'arg' (nil: none) are of these names ("ca, timeout");
** the call's time is set. */
void rb_net_options (lua_State *L, int arg, const char *names);
/* [-0, +0, v]  one of them, or NULL */
const char *rb_net_option (lua_State *L, int arg, const char *name);

/* -- connect.c: the fastest of a host's addresses ------------------------------- */

typedef struct rb_NetLink {
  int fd;              /* -1: closed */
  char address[64];
  int family;
  double ms;           /* from the first attempt to the connection */
} rb_NetLink;

/* [-0, +1, vy]  Connects to arguments 1 and 2; k finds an rb_NetLink, closed when
** collected, on the top, above everything that was there. */
int rb_net_dial (lua_State *L, lua_KContext ctx, lua_KFunction k);
void rb_net_hangup (rb_NetLink *link);

/* -- the primitives --------------------------------------------------------------- */

int rb_net_certificate (lua_State *L);
int rb_net_listening (lua_State *L);

#endif
