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
  char health[16];             /* "healthy", "unhealthy", ...; "": nobody checks */
  pid_t pids[RB_MAXINSTANCES];
  int npids;
  long long restarts;          /* -1: not counted */
  double since;                /* seconds since 1970; 0: not known */
  char logs[2][PATH_MAX];      /* "": none */
  const char *wont[3];         /* by action: why its keeper would refuse; NULL: it
                               ** would not */
} rb_Seen;

/* In a deed: the index of the facts that are pledged (a table). */
enum { RB_FACTS = 5 };

typedef struct rb_Driver {
  const char *scheme;          /* "pm2" of "pm2:NAME" */
  /* [-0, +1, vy]  Looks; k finds an rb_Seen on the top. */
  int (*look) (lua_State *L, const char *name, lua_KContext ctx, lua_KFunction k);
  /* [-0, +1, vy]  In a deed: pledges, acts, goes on in k with nil on the top, or
  ** with what the keeper said when it failed. */
  int (*act) (lua_State *L, const char *name, rb_Action action,
              lua_KContext ctx, lua_KFunction k);
  /* [-0, +1, v]  In a preview: raises if it could not act, else pushes what
  ** it would do ("pm2 restart x"). */
  const char *(*pushplan) (lua_State *L, const char *name, rb_Action action);
  /* [-0, +1, vy]  k finds the last n lines on the top, as a list. NULL: they are in
  ** the files that look found. */
  int (*logs) (lua_State *L, const char *name, lua_Integer n, lua_KContext ctx,
               lua_KFunction k);
} rb_Driver;

extern const rb_Driver rb_pm2, rb_process, rb_docker, rb_compose, rb_systemd;
extern const char *const rb_actionnames[];

/* [-0, +1, m]  Nothing has been seen yet. */
rb_Seen *rb_seen_push (lua_State *L, lua_KContext ctx, lua_KFunction k);

/* [-0, +1, m]  "online, pid 123" */
const char *rb_seen_words (lua_State *L, const rb_Seen *s);
/* [-0, +1, m]  {state=, health=, pid=, restarts=, since=, instances=} */
void rb_seen_state (lua_State *L, const rb_Seen *s);
int rb_seen_online (const rb_Seen *s);
int rb_seen_stopped (const rb_Seen *s);

/* [-0, +1, v]  The driver of the running call's service, and its name. */
const rb_Driver *rb_service_driver (lua_State *L, const char **name);

/* [-0, +1, v]  A string setting of the running call's resource, or NULL and nil. */
const char *rb_service_setting (lua_State *L, const char *key);

/* [-0, +0, v]  The name of the running call's service, without its scheme. */
const char *rb_service_name (lua_State *L);

/* [-0, +0, m]  Adds the lines of a text to the list at the top. */
void rb_service_addlines (lua_State *L, const char *text, size_t n);

/* The start of a process in clock ticks; 0: there is no such process, or it has
** ended. */
long long rb_service_startticks (pid_t pid);

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

/* what the registration rows name */
int rb_service_start (lua_State *L);
int rb_service_stop (lua_State *L);
int rb_service_restart (lua_State *L);
int rb_service_settle (lua_State *L);

/* -- the program of a keeper -- */

/* [-0, +1, m]  The first executable file of that name in PATH, or NULL and nil. */
const char *rb_client_find (lua_State *L, const char *name);

/* [-0, +1, v]  `program` of the configuration, else what PATH finds. */
const char *rb_client_program (lua_State *L, const char *name);

/* [-0, +2, m]  What every client is given, and room for 'more'. */
rb_Words rb_client_env (lua_State *L, int more);

/* [-0, +1, vy]  Runs it to look; k finds its result on the top. It talks to a
** daemon, which nothing holds read-only: the kernel layer is not claimed. */
int rb_client_ask (lua_State *L, const rb_Words *argv, const rb_Words *env,
                   lua_KContext ctx, lua_KFunction k);

/* [-?, +1, vy]  Runs it to act, and goes on as the driver's 'act' does. At 'idx' is
** an rb_Seen that keeps who goes on; nothing from there on stays. */
int rb_client_act (lua_State *L, const rb_Words *argv, const rb_Words *env,
                   const char *cwd, int idx);

/* [-0, +0, v]  Raises what the client said when it failed; its result is at index
** 'result', 'what' was asked. */
int rb_client_badexit (lua_State *L, int result, const char *what);

#endif
