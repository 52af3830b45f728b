/*
** proxy.h - what a drill puts between a run and its servers (private to vm/cli)
*/

#ifndef rb_proxy_h
#define rb_proxy_h

#include <sys/types.h>

#include "vm/drill.h"
#include "vm/problem.h"

#define RB_MAXROUTES 32

/* one server, as an address of its own on loopback */
typedef struct rb_ProxyRoute {
  char target[96];       /* "school_erp.pg" */
  char host[256], port[8];   /* where it really is */
  int listener, mine;    /* our descriptor and port */
} rb_ProxyRoute;

typedef struct rb_Proxy {
  rb_ProxyRoute routes[RB_MAXROUTES];
  int n;
  int control;           /* see rb_drill_order */
  pid_t pid;
} rb_Proxy;

/* A port of its own for that server: the port, or -1 and errno. */
int rb_proxy_add (rb_Proxy *x, const char *target, const char *host, const char *port);
/* Starts the process that passes bytes on: 0, or the exit code and *p. */
int rb_proxy_start (rb_Proxy *x, rb_Problem *p);
void rb_proxy_stop (rb_Proxy *x);

#endif
