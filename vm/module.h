/*
** module.h - everything a stdlib module may ask of the VM
**
** A module does not do I/O: it declares effects, and the gate decides. It
** exports one symbol, 'rb_module', a table of rows; a row is everything
** there is to know about a primitive.
**
** The brackets give each function's stack effect, as in the Lua manual:
** [-popped, +pushed, errors], where '-' never raises, 'm' may run out of
** memory, 'v' raises on purpose and 'y' yields: call it as "return f(...)".
*/

#ifndef rb_module_h
#define rb_module_h

#include <stddef.h>
#include <poll.h>
#include <sys/types.h>

#include <lua.h>
#include <lauxlib.h>

#define RB_INTERFACE 5
#define RB_API __attribute__((visibility("default")))

/* what a call does to the world outside this process. RB_CLASSIFY: the
** arguments decide. RB_WITHIN: a statement of the remedy under way
** (pg.transaction), part of that effect and never one of its own. */
typedef enum rb_Effect {
  RB_PURE, RB_PROBE, RB_REMEDY, RB_NOTICE, RB_CLASSIFY, RB_WITHIN
} rb_Effect;

/* A method of a resource finds the resource at index 1 and its arguments
** from 2 on; a function of a free module finds its arguments from 1 on. */
typedef struct rb_Reg {
  const char *name;
  rb_Effect effect;
  lua_CFunction fn;
  lua_CFunction preview;  /* remedies and notices: never missing there */
  const char *doc;        /* "get(key) -> string | nil : what it is for" */
  lua_CFunction predict;  /* probes: answer from what the dry run planned */
  rb_Effect (*classify) (lua_State *L);  /* RB_CLASSIFY only; may raise */
} rb_Reg;

#define RB_END {NULL, RB_PURE, NULL, NULL, NULL, NULL, NULL}

/* A named resource of a target ("school_erp.redis"), or a free module's own
** ("file"). The module hangs its connections on 'data'. */
typedef struct rb_Resource {
  const char *name;
  const char *system;  /* NULL for a free module */
  const char *kind;    /* "redis" */
  void *data;          /* NULL until the module opened it */
} rb_Resource;

/* A result that is more than data: a table of this type has these (pure)
** methods. 'name' is "module.type". */
typedef struct rb_Type {
  const char *name;
  const rb_Reg *methods;
} rb_Type;

typedef struct rb_Ahead rb_Ahead;

typedef struct rb_Module {
  int interface;            /* RB_INTERFACE */
  const char *name;
  const char *doc;          /* what it is about: the heading of its reference */
  const rb_Reg *functions;  /* file.read: NULL where it has none */
  const rb_Reg *methods;    /* erp.pg:query: NULL where it has none */
  const rb_Type *types;     /* ends with a NULL name; NULL if none */
  void (*close) (rb_Resource *r);  /* frees r->data; no Lua, no waiting */
  /* doctor: [-1 (resource), +1 list of {name=, status="ok"|"warn"|"bad",
  ** value=, mend=}, vy]; identity: [-1, +1 string, vy], what tells this
  ** resource from another of the same name. Run as probes. NULL if none. */
  lua_CFunction doctor;
  lua_CFunction identity;
  /* Does the protocol layer of the dry run hold for r, by its configuration?
  ** If not, 'why' is a few words for the banner. NULL: no protocol layer. */
  int (*layer) (lua_State *L, rb_Resource *r, const char **why);
  /* And by what the server says of us? [-1 (resource), +1 "" | a few words, vy]  Run as
  ** a probe, before the banner. NULL: the configuration knows. */
  lua_CFunction holds;
  /* [-0, +0, m]  Adds constants to the table of functions at the top (json.null);
  ** NULL if none. */
  void (*constants) (lua_State *L);
  /* [-2 (resource, facts), +1 "done" | "not done" | nil, vy]  What became of a
  ** deed that pledged these facts and has no outcome; nil: it cannot be told.
  ** Run as a probe. NULL if none. */
  lua_CFunction settle;
  /* A lock that all machines see, for as long as the run uses the resource. lock: [-4
  ** (resource, key as a decimal number, who, take), +1 true | holder, vy]: taken ('take'
  ** false: free), or the words of who holds it. Run as a probe. locked: is what was
  ** taken still held? No Lua, no waiting. NULL if none. */
  lua_CFunction lock;
  int (*locked) (rb_Resource *r);
  /* What takes long and needs nothing of the VM, done in other threads while the run
  ** is still beginning; NULL where there is nothing to gain. 'warm': once, when the
  ** module has been loaded. 'ahead': connects as 'a' says, and returns what a later
  ** call gets from rb_ahead; NULL when that failed, of which nothing is ever said.
  ** 'unahead' frees what nobody asked for. */
  void (*warm) (void);
  void *(*ahead) (rb_Ahead *a);
  void (*unahead) (void *thing);
  /* What the server has against a text in the module's own language, which it reads and
  ** does not run: [-4 (resource, text, {name = text}, method), +1 "" | words, vy]. Names that
  ** are not in the table are the schema's. Run as a probe. NULL if none. */
  lua_CFunction read;
} rb_Module;

/* the one symbol of a module's shared object */
extern RB_API const rb_Module rb_module;

/* A part of a module: a shared object of its own (stdlib/NAME/PART/ becomes
** NAME-PART.so) that exports one symbol, 'rb_part', and is loaded when first
** asked for: the place for a client library that few calls need.
** [-0, +0, v]  That symbol of the running module's part. */
RB_API const void *rb_loadpart (lua_State *L, const char *part);

/* What a part called "syntax" exports: is the first argument of the module's methods, as
** a script has written it, well formed? 0: no, and 'why' says it. */
typedef struct rb_Syntax {
  int (*check) (const char *text, size_t n, char *why, size_t size);
  /* The names in it that the call has to give: values (:name), or what becomes part of the
  ** text (:"name"). */
  void (*names) (const char *text, size_t n,
                 void (*each) (void *ud, const char *name, size_t n, int part), void *ud);
} rb_Syntax;

/* -- the running call ---------------------------------------------------- */

/* [-0, +0, v]  The resource of the running call. */
RB_API rb_Resource *rb_resource (lua_State *L);

/* [-0, +1, m]  Pushes a resource's setting (string, table, ...; nil if there
** is none); a secret comes as its text. It must never get into a result. Of a free
** module, key NULL pushes what the target's `notify` says of it. */
RB_API int rb_setting (lua_State *L, rb_Resource *r, const char *key);

/* [-0, +1, m]  Pushes the text of the string or secret at 'idx' and returns
** it; raises an argument error for another type. Only for what goes to the
** backend: results and messages are redacted by the gate all the same. */
RB_API const char *rb_text (lua_State *L, int idx, size_t *len);

/* [-0, +1, m]  Pushes an opaque secret, which scripts can only hand to primitives. */
RB_API void rb_pushsecret (lua_State *L, const char *name, const char *text,
                           size_t len);

/* [-0, +0, m]  From now on 'text' is replaced by "[redacted NAME]" in all
** that leaves the process (plain, percent- and base64-encoded). */
RB_API void rb_secret (lua_State *L, const char *name, const char *text,
                       size_t len);

/* [-0, +0, v]  Is 'value' in the target's allow-list "files", "programs",
** "hosts" or "delegates" (programs that may talk to a daemon)? Files: an
** absolute, resolved path. "reads": files that may be looked at, those and
** the ones that a `path` parameter names. "reaches": hosts that may be looked
** at, those and the ones of the target's own systems. */
RB_API int rb_allowed (lua_State *L, const char *list, const char *value);

/* [-0, +1, m]  Pushes that allow-list as the configuration has it; an empty list
** where there is none. */
RB_API void rb_allowlist (lua_State *L, const char *list);

/* [-0, +0, v]  The limit of that name in force, or -1. */
RB_API lua_Integer rb_limit (lua_State *L, const char *name);

/* [-0, +0, v]  Charges 'n' more against a limit in the middle of a deed (the
** gate has charged what the preview said); raises kind "limit" when over. */
RB_API void rb_charge (lua_State *L, const char *name, lua_Integer n);

/* [-0, +0, -]  May this process change the world now? Asked by a module as a
** second lock on its own door: false in a dry run and in every probe. */
RB_API int rb_maychange (lua_State *L);

/* [-0, +0, -]  Has a person asked to stop, and has this deed not pledged yet? Nothing is
** under way then: what the server is busy with for it is best cancelled, and the call
** fails, not done. Who asks before he waits is woken from that wait when it comes true. */
RB_API int rb_stopping (lua_State *L);

/* [-0, +0, -]  Is this a dry run? A preview need not wait in one for what the deed
** would wait for. */
RB_API int rb_dryrun (lua_State *L);

/* [-0, +0, m]  Says in a few words what the running effect does, for people and
** the tape ("GET /health -> 200"). Without it the arguments are shown. */
RB_API void rb_describe (lua_State *L, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* [-0, +0, m]  A connection of the running call's resource was lost while nobody used it, and
** another one has taken its place: that is said, and put on the tape. */
RB_API void rb_remade (lua_State *L, const char *why);

/* [-1 (list of names), +0, m]  The rows at 'idx' have these columns, in this order: for people
** who look at them at a prompt. A script does not see it. */
RB_API void rb_columns (lua_State *L, int idx);

/* Which server this is, for the tape: said once by a run, when it uses the resource
** first. wanted: would it be news? 'probes': a URL that only probes have, else 0.
** [-0, +0, v]  A resumed run, or an undo, ends here where it is another one. */
RB_API int rb_identity_wanted (lua_State *L, int probes);
RB_API void rb_identity (lua_State *L, int probes, const char *is);

/* Seconds since 1970 at the last delivered event: what a script may know of
** the time, so that a replay sees the same. */
RB_API double rb_time (lua_State *L);

/* Seconds that a real run would at most have waited by now, and this dry run
** has not: what was planned to expire may be gone by then. */
RB_API double rb_waited (lua_State *L);

/* [-0, +0, m]  The number or text at 'idx' belongs to this run only, as the time does:
** plans know it by its label ("<time>"). */
RB_API void rb_passing (lua_State *L, const char *label, int idx);
RB_API int rb_ispassing (lua_State *L, int idx);

/* The word of the NULL-terminated list nearest to 'word', or NULL when none is near. */
RB_API const char *rb_nearest (const char *word, const char *const *words);

/* [-0, +0, -]  May this probe or notice, whose answer was "come back later" (nothing was
** done), be made once more? Counts
** against the step's `retry`, whose `every` it gives in seconds. */
RB_API int rb_retry (lua_State *L, double *every);

/* [-0, +0, -]  The name of this run (a ULID); "" where there is none. */
RB_API const char *rb_runid (lua_State *L);

/* [-0, +1, m]  Pushes a key derived from the run and the path of the running
** effect, the same again after a resume, and returns it. */
RB_API const char *rb_idempotency (lua_State *L);

/* [-0, +1, v]  Fills 'out' with bytes derived from the key and
** the place of this run: the same again on resume and replay, others at the next
** call. Pushes the name of the place ("rotate-the-key/remedy/3") and returns it. */
RB_API const char *rb_derive (lua_State *L, void *out, size_t n);
/* [-0, +1, v]  The same for chance that is no secret: a plan that is kept holds what it
** comes from, and draws the same when it is applied. */
RB_API const char *rb_chance (lua_State *L, void *out, size_t n);

/* [-0, +0, v]  This run can no longer claim that layer ("kernel", or the module's own
** name: its protocol), for that reason; where all are required, the call is refused. */
RB_API void rb_unclaim (lua_State *L, const char *layer, const char *why);

/* [-0, +0, -]  "1h30m" in seconds; 0 when it is not a duration. Units ms s m h d. */
RB_API int rb_duration (const char *text, double *seconds);

/* -- failing ------------------------------------------------------------- */

/* How sure we are that a failed remedy did not happen. RB_PARTLY: it came to its end and
** said that it failed; what it did by then stays, and is not in doubt. */
typedef enum rb_Certainty { RB_NOTDONE, RB_UNKNOWN, RB_PARTLY } rb_Certainty;

/* [-0, +0, v]  The world failed: raises {kind=, message=, certainty=}. Kinds:
** "io", "timeout", "server", "auth", "data", "limit", "refused", "missing",
** "drift" (the precondition no longer holds: not done),
** "interrupted" (rb_stopping). The message names
** the resource and says what to do. Misuse by the script raises a string,
** with luaL_error or luaL_arg*. */
RB_API int rb_fail (lua_State *L, const char *kind, rb_Certainty certainty,
                    const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* [-0, +0, v]  In a preview: this remedy would be refused, and why. */
RB_API int rb_refuse (lua_State *L, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* -- previews and deeds -------------------------------------------------- */

/* A preview pushes one table:
**   summary   string, always: "UPDATE matches 3 rows of a.user_sessions"
**   verdict   "would do" (when absent), "nothing to do", "cannot predict";
**             "would refuse" comes from rb_refuse
**   reason    string
**   before, after   nil or {value=, type=, ttl=} or {diff=}; what people see
**   rows      integer
**   guarded   boolean: the deed checks 'image' where it cannot be overtaken
**   image     any value: what the deed must find; sealed on the tape
**   afterimage  any value: the 'image' that the preview of the inverse will see, as long
**             as nobody changes anything after the deed; sealed on the tape. Where a
**             module has no such value, its settle() says "done" instead
**   inverse   {verb, argument, ...}: the remedy on the same resource that
**             takes this one back; sealed on the tape
**   undo      string for people where there is no inverse ("irreversible: ..")
**   exact     true: 'result' is what the call will return (even nil);
**             required with "nothing to do"
**   result    see exact
**   counts    {limit = n}: what it charges ("redis_keys", "pg_rows", ...)
**   asked     any value: what the arguments came to, where they say it only in part
**             (names looked up in `run`); a plan that is applied holds to it
**   writes    {[key] = value}: the keys that it writes and nothing else, for
**             later reads of the dry run; see rb_planned. Absent: unbounded
**   more      true: it changes more than it writes, and is unbounded all the same
**   blind     true, or one of those keys: what is written there is the same
**             whatever is there now. Otherwise later reads rest on the deeds
**             that this preview could not see the end of
**   reach     where an unbounded deed stays: "resource" (this one), or the kind of
**             another of its system ("pg": what a backup restores); otherwise any
**             probe of the system is "as of now" after it
** The deed then runs with the same arguments. */

/* [-0, +1, -]  In a deed: pushes the table that its preview made. */
RB_API void rb_plan (lua_State *L);

/* [-0, +1, m]  In a preview or a 'predict' of a dry run: pushes the value that an
** earlier planned remedy wrote under 'key' (false: removed) and returns 1,
** or pushes nil and returns 0. Where a deed since then may have changed it, the
** answer rests on that deed ("as planned"). Keys are global: "redis:WHERE:key",
** "file:/path"; WHERE is rb_where's. A predict function that returns no value has not predicted. */
RB_API int rb_planned (lua_State *L, const char *key);

/* [-0, +1, m]  Where the resource is, the same for two systems that name the same
** server and database: "127.0.0.1:6379/0"; its own name where it has no URL. */
RB_API const char *rb_where (lua_State *L, const rb_Resource *r);

/* [-1, +?, y]  In a deed, just before its point of no return: makes the
** intent durable together with the facts (table on the top of the stack)
** needed to look at the deed later, then goes on in k. Every deed pledges
** exactly once. */
RB_API int rb_pledge (lua_State *L, lua_KContext ctx, lua_KFunction k);

/* [-0, +0, m]  Gives the table on the top of the stack a result type of the
** running module ("http.response"). */
RB_API void rb_settype (lua_State *L, const char *type);

/* -- waiting ------------------------------------------------------------- */

typedef struct rb_Task rb_Task;    /* a coroutine under the loop */
typedef struct rb_Watch rb_Watch;  /* a descriptor under the loop */

/* CLOCK_MONOTONIC, in seconds. */
RB_API double rb_now (void);

/* [-0, +0, -]  This call ends 'seconds' from now at the latest. */
RB_API void rb_timeout (lua_State *L, double seconds);

/* [-0, +0, -]  Seconds left to this call (the call's own timeout or the step's,
** whichever is first; 0 when none are left). */
RB_API double rb_timeleft (lua_State *L);

/* [-0, +0, -]  This call is out of time and tidies up: its waits may last that
** much longer (0: it has tidied up). */
RB_API void rb_grace (lua_State *L, double seconds);

/* [-0, +?, y]  Goes on in k when fd has one of 'events' (as in poll) or the
** call's time is up: k asks rb_timeleft. */
RB_API int rb_wait (lua_State *L, int fd, short events, lua_KContext ctx,
                    lua_KFunction k);

/* [-0, +?, y]  Goes on in k after that time (or the call's, if shorter). */
RB_API int rb_sleep (lua_State *L, double seconds, lua_KContext ctx,
                     lua_KFunction k);

/* [-0, +?, y]  Goes on in k when somebody wakes the task, or time is up. */
RB_API int rb_park (lua_State *L, lua_KContext ctx, lua_KFunction k);
RB_API rb_Task *rb_self (lua_State *L);
RB_API void rb_wake (rb_Task *t);

/* A callback on a descriptor, for connections shared by many tasks. It runs
** in the loop and must not touch Lua; it may wake tasks. rb_watch returns
** NULL when out of memory; unwatch before closing the descriptor. */
RB_API rb_Watch *rb_watch (lua_State *L, int fd, short events,
                           void (*ready) (void *ud, short revents), void *ud);
RB_API void rb_rewatch (rb_Watch *w, short events);
RB_API void rb_unwatch (rb_Watch *w);

/* Called once a turn of the loop, after all Lua that could run has run:
** the place to write out what was queued. */
RB_API void rb_onturn (lua_State *L, void (*turn) (void *ud), void *ud);

/* The http module waits for all of us, since curl's multi handle can take
** extra descriptors: 'wait' is poll with another name, and may wake tasks. */
RB_API void rb_setpoller (lua_State *L,
    int (*wait) (void *ud, struct pollfd *fds, unsigned n, int ms), void *ud);

/* What blocks (a name server, a file system that is gone) does so in a thread of
** its own. 'job' is copied, 'work' gets the copy there (no Lua), and k finds it
** as a userdata on the top; 'drop' (NULL: nothing) frees what it holds, whoever
** lets go of it last. k asks rb_aside_done: a job may be late. */
RB_API int rb_aside (lua_State *L, const void *job, size_t size,
                     void (*work) (void *job), void (*drop) (void *job),
                     lua_KContext ctx, lua_KFunction k);
/* [-0, +0, -]  The job that the userdata at 'idx' holds; NULL: not done yet. */
RB_API void *rb_aside_done (lua_State *L, int idx);

/* [-0, +1, vy]  Resolves a host name off the loop's thread; k finds a list of
** numeric addresses, best first, on the top, or rb_resolve raises. */
RB_API int rb_resolve (lua_State *L, const char *host, lua_KContext ctx,
                       lua_KFunction k);

/* -- ahead of the first use ----------------------------------------------- */

/* In an `ahead`, which sees neither Lua nor the VM: the setting ("probe", "url") that
** it is for, and its value. */
RB_API const char *rb_ahead_setting (const rb_Ahead *a);
RB_API const char *rb_ahead_url (const rb_Ahead *a);
/* Is it for remedies and their previews, and probes have another? */
RB_API int rb_ahead_deeds (const rb_Ahead *a);
/* Waits for one of 'events' on fd; 0: nobody needs it any more. */
RB_API int rb_ahead_wait (rb_Ahead *a, int fd, short events);
/* Calls 'each' with the addresses of a host, best first; 0: it has none. */
RB_API int rb_ahead_resolve (rb_Ahead *a, const char *host,
                             void (*each) (void *ud, const char *address), void *ud);

/* [-0, +?, y]  Goes on in k with what `ahead` made of that setting of the running
** call's resource (a light userdata, the caller's from now on), or with nil. */
RB_API int rb_ahead (lua_State *L, const char *setting, lua_KContext ctx,
                     lua_KFunction k);

/* -- child processes ----------------------------------------------------- */

typedef struct rb_Program {
  char *const *argv;        /* program and arguments; no shell */
  char *const *env;         /* complete environment */
  const char *cwd;          /* NULL: where we are */
  const char *input;        /* standard input; NULL: none */
  size_t inputlen;
  size_t maxoutput;         /* bytes of stdout and of stderr; more is an error */
  int readonly;             /* apply the kernel layer before exec */
  int delegates;            /* may talk to a daemon over a Unix socket */
  const char *const *hosts; /* "host:port" it may connect to; NULL: none */
  int pledge;               /* a deed: pledge between fork and exec */
  const char *scratch;      /* readonly: the folder that it may write to; NULL: none */
  int detach;               /* it goes on without us: k finds {pid=, start=} */
  const char *output;       /* detach: the file to which it writes; NULL: none */
  int facts;                /* pledge: index of a table of facts of the module's own,
                            ** to which the child's are added; 0: none */
} rb_Program;

/* [-0, +1, vy]  Runs it; k finds {code=, signal=, stdout=, stderr=} on the
** top. Kills the whole process group when time is up, and fails. */
RB_API int rb_spawn (lua_State *L, const rb_Program *c, lua_KContext ctx,
                     lua_KFunction k);

/* Does the kernel layer hold on this machine? 'why' says what is missing. */
RB_API int rb_kernellayer (const char **why);

#endif
