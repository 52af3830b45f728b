/*
** service.h - what a driver of services gives, and the state that it tells
*/

#ifndef rb_service_h
#define rb_service_h

#include <limits.h>
#include <sys/types.h>

#include "vm/module.h"

typedef enum rb_Action { RB_START, RB_STOP, RB_RESTART } rb_Action;

enum { RB_MAXINSTANCES = 64 };

/* What was seen. It is a userdata that the driver leaves on the top for 'k'. */
typedef struct rb_Seen {
  lua_KContext ctx; lua_KFunction k;  /* who looks */
  char state[24];              /* "online", "stopped", "errored", ... */
  pid_t pids[RB_MAXINSTANCES];
  int npids;
  long long restarts;          /* -1: not counted */
  double since;                /* seconds since 1970; 0: not known */
  char logs[2][PATH_MAX];      /* "": none */
} rb_Seen;

typedef struct rb_Driver {
  const char *scheme;          /* "pm2" of "pm2:NAME" */
  /* [-0, +1, vy]  Looks; k finds an rb_Seen on the top. */
  int (*look) (lua_State *L, const char *name, lua_KContext ctx, lua_KFunction k);
  /* [-0, +?, vy]  In a deed: pledges, acts, goes on in k with the stack as it
  ** was. */
  int (*act) (lua_State *L, const char *name, rb_Action action,
              lua_KContext ctx, lua_KFunction k);
  /* [-0, +1, v]  In a preview: raises if it could not act, else pushes what
  ** it would do ("pm2 restart x"). */
  const char *(*pushplan) (lua_State *L, const char *name, rb_Action action);
} rb_Driver;

extern const rb_Driver rb_pm2, rb_process;
extern const char *const rb_actionnames[];

/* [-0, +1, m]  Nothing has been seen yet. */
rb_Seen *rb_seen_push (lua_State *L, lua_KContext ctx, lua_KFunction k);

/* [-0, +1, v]  A string setting of the running call's resource, or NULL and nil. */
const char *rb_service_setting (lua_State *L, const char *key);

/* [-0, +0, v]  Raises what the command 'what' said when it failed; its result is
** at index 'result'. */
int rb_service_badexit (lua_State *L, int result, const char *what);

/* The words of a command, or its environment, built on the Lua stack. */
typedef struct rb_Words {
  char **list;
  int n, max, anchor;
} rb_Words;

/* [-0, +2, m]  room for 'max' of them */
rb_Words rb_words_push (lua_State *L, int max);
/* [-1, +0, m]  adds the string at the top */
void rb_words_add (lua_State *L, rb_Words *w);
void rb_words_addf (lua_State *L, rb_Words *w, const char *fmt, ...);

#endif
