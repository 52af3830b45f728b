/*
** redis.h - what the files of this module share
**
** A call of a primitive is a 'Call': a userdata in the call's own frame that
** holds a connection and the replies it waits for, and lets go of both however
** the frame ends. Everything that waits takes the call and a continuation,
** whose context is the call.
*/

#ifndef rb_redis_h
#define rb_redis_h

#include <hiredis/hiredis.h>

#include "stdlib/redis/tls.h"

enum {
  RB_REDISLEASES = 8,          /* connections for remedies */
  RB_REDISREPLY = 16 << 20,    /* bytes in one reply */
  RB_REDISITEMS = 1 << 20,     /* elements in one list of a reply */
  RB_REDISKEEP = 1 << 20,      /* bytes of one value that a preview keeps */
  RB_REDISKEEPALL = 8 << 20,   /* and of all the values of one preview */
  RB_REDISPATIENCE = 5,        /* seconds that an answer may take */
  RB_REDISDEED = 30,           /* and that of a deed */
  RB_REDISQUEUE = 3600         /* that a call waits for a connection */
};

typedef enum rb_RedisRole {
  RB_REDISPROBE,    /* one connection, shared by all probes, pipelined */
  RB_REDISREMEDY,   /* leased to one remedy at a time */
  RB_REDISROLES
} rb_RedisRole;

typedef struct rb_RedisAddress {
  char *host;       /* NULL: a Unix socket */
  char *path;
  int port, db;
  int tls;          /* rediss:// */
  char *user;       /* NULL: the server's default user */
  char *password;   /* NULL: none */
} rb_RedisAddress;

typedef struct rb_RedisConn {
  struct rb_RedisConn *next;
  struct rb_RedisPool *pool;
  redisContext *ctx;           /* NULL: closed */
  rb_RedisTls *tls;            /* NULL: in the clear */
  redisReplyObjectFunctions fn;
  rb_Watch *watch;
  rb_RedisRole role;
  int up;                      /* let in, and in its database */
  int users;                   /* calls that hold it */
  int watching;                /* after WATCH: not to be used again as it is */
  int dirty;                   /* has something to write */
  size_t bytes;                /* read since the last whole reply */
  struct rb_RedisCall **queue; /* who waits for each reply; NULL: nobody now */
  unsigned first, count, size; /* a ring */
} rb_RedisConn;

typedef struct rb_RedisPool {
  rb_RedisAddress address[RB_REDISROLES];
  const rb_RedisPart *part;    /* speaks TLS; NULL: no address asks for it */
  rb_RedisTrust trust;
  int separate;                /* probes have an address of their own */
  int ready;                   /* the addresses were read */
  rb_RedisConn *conns;
  rb_RedisConn *shared;        /* that of all probes, once it is up */
  struct rb_RedisCall *opener; /* the probe that opens it */
  struct rb_RedisCall *calls, *lastcall;  /* all alive, oldest first */
  int dirty;
  char *out;                   /* the command that is being written */
  size_t outlen, outsize;
  char why[512];               /* what ended the last connection */
  int lost;                    /* it was idle then, and that has not been said yet */
} rb_RedisPool;

typedef struct rb_RedisCall {
  rb_Resource *resource;
  rb_RedisPool *pool;          /* NULL: closed */
  struct rb_RedisCall *next, *prev;
  rb_RedisConn *conn;
  rb_RedisRole role;
  rb_Task *task;               /* waits */
  int waiting;                 /* for a connection */
  int opening;                 /* a connection of its own: may be lost */
  int committing;              /* from now on a silence is in doubt */
  int unsent;                  /* ... unless it was never sent */
  const char *lost;            /* the kind of what ended the connection */
  int want, got, size;
  redisReply **reply, *few[8];
  lua_KFunction k, connected;
  int addresses, at;           /* stack index of the list; place in it */
  /* the work's own */
  int n;                       /* the words of the command stand at 2..n */
  int keys, states;            /* stack indexes of lists */
  int access;                  /* and of a table: key -> "RW"; 0: nobody has asked */
  unsigned takes;              /* the types that the command works on, bits of kind.c */
  int dumps;                   /* look at DUMPs, too */
  int partial;                 /* an error does not mean that nothing was done */
  int guarded;                 /* inside WATCH and EXEC */
  const char *reason;          /* for the verdict */
  const char *unchecked;       /* why nobody said whether this user may; NULL: said */
  int blind;                   /* it leaves the same whatever is there */
  const struct rb_RedisVerb *verb;
  lua_KFunction then;
  void (*send) (lua_State *L, struct rb_RedisCall *c);
} rb_RedisCall;

/* -- address.c ------------------------------------------------------------ */

/* Reads a URL; NULL, or what is wrong with it (never quotes it). */
const char *rb_redis_parse (rb_RedisAddress *a, const char *url);
void rb_redis_forget (rb_RedisAddress *a);

/* -- conn.c: bytes -------------------------------------------------------- */

/* A connection to 'host' (numeric) or a's path, not let in yet; NULL when out
** of memory. It may be lost already: conn->ctx is NULL then. */
rb_RedisConn *rb_redis_dial (lua_State *L, rb_RedisPool *p, rb_RedisRole role,
                             const char *host);
/* Frees connections that are lost and held by nobody, or 'all'. */
void rb_redis_sweep (rb_RedisPool *p, int all);
/* Ends it; those who wait for its replies are told: the oldest with 'kind'. */
void rb_redis_break (rb_RedisConn *conn, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The server has closed it; where nobody used it, that is said once there is another. */
void rb_redis_gone (rb_RedisConn *conn);
/* Nobody waits any more for the replies of this call. */
void rb_redis_disown (rb_RedisConn *conn, const rb_RedisCall *c);
/* Idle, and the server has not gone away. */
int rb_redis_alive (rb_RedisConn *conn);
void rb_redis_turn (void *pool);

/* A command, word by word: begin, 'n' words, end. It is written with all the
** others at the end of the loop's turn. [-0, +0, m] */
void rb_redis_begin (lua_State *L, rb_RedisCall *c, int n);
void rb_redis_word (lua_State *L, rb_RedisCall *c, const char *s, size_t n);
void rb_redis_text (lua_State *L, rb_RedisCall *c, const char *s);
void rb_redis_end (lua_State *L, rb_RedisCall *c);
/* [-0, +0, m]  The n words at stack index 'from' and above: strings. */
void rb_redis_words (lua_State *L, rb_RedisCall *c, int from, int n);

/* -- call.c: leases ------------------------------------------------------- */

/* [-0, +1, v]  A call, closed when the running function ends. */
rb_RedisCall *rb_redis_open (lua_State *L, rb_RedisRole role);
/* [-0, +?, vy]  Goes on in k with a connection that is up. */
int rb_redis_lease (lua_State *L, rb_RedisCall *c, lua_KFunction k);
/* [-0, +?, vy]  Goes on in k when all that was sent is answered. */
int rb_redis_await (lua_State *L, rb_RedisCall *c, lua_KFunction k);
/* Frees the replies; they are counted from 0 again. */
void rb_redis_clear (rb_RedisCall *c);
/* Wakes those who wait for a connection of this role. */
void rb_redis_wake (rb_RedisPool *p, rb_RedisRole role);
/* [-0, +0, v]  The pool of a resource, made when first asked for. */
rb_RedisPool *rb_redis_pool (lua_State *L, rb_Resource *r);
void rb_redis_close (rb_Resource *r);
rb_Certainty rb_redis_certainty (const rb_RedisCall *c);

/* -- connect.c ------------------------------------------------------------ */

/* [-0, +?, vy]  Opens c->conn for c->role; goes on in k once it is up. */
int rb_redis_connect (lua_State *L, rb_RedisCall *c, lua_KFunction k);
/* "school_erp" or "default": who the role is on the server. */
const char *rb_redis_user (const rb_RedisCall *c);

/* -- reply.c -------------------------------------------------------------- */

/* [-0, +1, v]  integer, string, nil, list; a nil inside a list is false. */
void rb_redis_push (lua_State *L, rb_RedisCall *c, const redisReply *r);
/* [-0, +1, m]  A flat list of pairs as a table. */
void rb_redis_pushmap (lua_State *L, const redisReply *r);
/* [-0, +1, m]  A list of strings, sorted by bytes when 'sorted'. */
void rb_redis_pushlist (lua_State *L, const redisReply *r, int sorted);
/* Sorts a reply's elements (width 1) or pairs of them (width 2) by bytes. */
void rb_redis_sort (const redisReply *r, size_t width);
/* [-0, +1, m]  The keys (strings) of the table at 't' as a sorted list. */
void rb_redis_pushsorted (lua_State *L, int t);
int rb_redis_iserror (const redisReply *r, const char *prefix);
/* [-0, +0, v]  Raises when reply i is an error. */
const redisReply *rb_redis_check (lua_State *L, rb_RedisCall *c, int i);
int rb_redis_fail (lua_State *L, rb_RedisCall *c, const redisReply *r);

/* -- words.c: what may be sent -------------------------------------------- */

/* The command whose words stand at 2..n: RB_PROBE, RB_REMEDY, or raises kind
** "refused". [-0, +0, v] */
rb_Effect rb_redis_classify (lua_State *L);
/* [-0, +0, m]  Passwords among the words of a command, and among the answers of
** CONFIG GET, are secrets like any other. */
void rb_redis_hidewords (lua_State *L, int n);
void rb_redis_hidesettings (lua_State *L, const redisReply *r);
/* An error of this command may come after part of its work. */
int rb_redis_partial (lua_State *L);
/* Reaches further than the keys that it names. */
int rb_redis_beyond (lua_State *L);

/* -- args.c: arguments of methods, as the words of a command -------------- */

/* [-?, +?, v]  Makes the stack: resource, command, words...; tables among the
** arguments are lists (or, for HSET, maps) that are laid out. */
void rb_redis_args (lua_State *L, const char *command);
void rb_redis_setargs (lua_State *L);
void rb_redis_expireargs (lua_State *L);
/* [-0, +1, m]  The words at 2..n for people, cut. */
const char *rb_redis_summary (lua_State *L, int n);

/* -- state.c: what a key holds -------------------------------------------- */

/* A state is a table: type ("none": no such key), value, ttl (seconds), at
** (milliseconds since 1970), packed (bytes that are equal when the values
** are), dump; unknown, large (true where the value was not read), size, items. */

/* [-0, +?, vy]  Goes on in k with the states of the keys in the list at c->keys
** in a list at c->states, the top; in a dry run what was planned goes before. */
int rb_redis_look (lua_State *L, rb_RedisCall *c, lua_KFunction k);
/* Milliseconds since 1970. */
lua_Integer rb_redis_clock (void);
int rb_redis_flag (lua_State *L, int state, const char *field);
/* [-0, +0, m]  The planned state at the top ends by itself: from now on. */
void rb_redis_setsince (lua_State *L);
/* How long the planned state at the top has had to end (0: no wait since, or it
** does not end); *over: it may have. */
double rb_redis_aged (lua_State *L, int *over);
/* "none", "string", ...; lives as long as the state does. */
const char *rb_redis_typeof (lua_State *L, int state);
/* [-0, +1, m]  The key at 'key' as "redis:NAME:key"; NULL and nil where it has
** no such name (it holds a NUL). */
const char *rb_redis_planname (lua_State *L, const rb_Resource *r, int key);

/* -- shown.c -------------------------------------------------------------- */

/* [-0, +1, m]  A state as people see it: nil, or {value, type, ttl}. */
void rb_redis_show (lua_State *L, int state);
/* [-0, +1, m]  What a deed must find: {key, type, packed, at}. */
void rb_redis_image (lua_State *L, int state, int key);
/* What of a state is not as in its image, or NULL. */
const char *rb_redis_compare (lua_State *L, int image, int state);
/* [-0, +0, v]  Raises kind "drift" when a state is not as in its image. */
void rb_redis_checkdrift (lua_State *L, rb_RedisCall *c, int images);
/* [-0, +1, m]  The keys of the images at the top, as the list at c->keys. */
void rb_redis_imagekeys (lua_State *L, rb_RedisCall *c);

/* -- after.c: what a command makes of what is there ----------------------- */

typedef enum rb_RedisForesight {
  RB_REDISUNKNOWN,   /* nothing was pushed */
  RB_REDISEXACT,     /* pushed: list of states afterwards, result */
  RB_REDISALREADY    /* pushed: list of states, result; nothing would change */
} rb_RedisForesight;

typedef struct rb_RedisVerb {
  const char *command;
  int first, last;   /* words that are keys; last -1: all from first on */
  rb_RedisForesight (*after) (lua_State *L, rb_RedisCall *c);
} rb_RedisVerb;

const rb_RedisVerb *rb_redis_verb (lua_State *L);

/* -- the primitives ------------------------------------------------------- */

/* The words of a command stand at 2..top. [-?, +1, vy] */
int rb_redis_preview (lua_State *L);
int rb_redis_deed (lua_State *L);
int rb_redis_restore (lua_State *L);
int rb_redis_restorepreview (lua_State *L);

int rb_redis_settle (lua_State *L);
int rb_redis_doctor (lua_State *L);
int rb_redis_identity (lua_State *L);
int rb_redis_layer (lua_State *L, rb_Resource *r, const char **why);

#endif
