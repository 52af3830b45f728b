/*
** vm.h - what the VM remembers about a run (private to vm/)
*/

#ifndef rb_vm_h
#define rb_vm_h

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "vm/buffer.h"
#include "vm/config/config.h"
#include "vm/module.h"
#include "vm/pool.h"
#include "vm/run/report.h"
#include "vm/show/show.h"
#include "vm/tape/tape.h"

/* why a script was ended; not an error, and no pcall can swallow it */
typedef enum rb_Stop {
  RB_GO,
  RB_DEFER,      /* dry run: rests on what has not happened */
  RB_REFUSE,     /* dry run: a remedy would be refused */
  RB_TIMEOUT, RB_RUNAWAY, RB_MEMORY,
  RB_DOUBT,      /* a remedy may or may not have happened */
  RB_PERSON,     /* a question without an answer */
  RB_UNPLANNED,  /* apply: not what the plan says */
  RB_DIVERGED,   /* a resume: not the script that the tape is of */
  RB_TAPEEND,    /* an offline replay: the tape ends */
  RB_UNLOCKED,   /* the run's lock is gone */
  RB_ELSEWHERE,  /* a server is another one than when the run began */
  RB_BROKEN,     /* a bug of ours */
  RB_UNTAPED,    /* the tape cannot be written */
  RB_UNEXPECTED, /* a test: its world has no answer */
  RB_INTERRUPT
} rb_Stop;

typedef enum rb_TaskState {
  RB_READY,    /* in the queue */
  RB_RUNNING,
  RB_WAITING,  /* for a descriptor, a time, or to be woken */
  RB_COMMIT,   /* for its intent to be durable */
  RB_DELIVER,  /* for its outcome to be given to it, in the order of the tape */
  RB_TAPE,     /* for its turn on the tape of an earlier session */
  RB_LIVE,     /* for everybody who waits for that tape */
  RB_JOINING,  /* for its branches */
  RB_GONE,     /* ended by a stop; never resumed */
  RB_OVER      /* returned or raised */
} rb_TaskState;

/* the effects that a piece of script may use */
enum {
  RB_MAYPROBE = 1 << RB_PROBE,
  RB_MAYREMEDY = 1 << RB_REMEDY,
  RB_MAYNOTICE = 1 << RB_NOTICE
};

/* the planned effects that something rests on; sorted numbers */
typedef struct rb_Assumes {
  int *n;
  int count, size;
} rb_Assumes;

/* the effect under way in a task */
typedef struct rb_Call {
  const rb_Reg *reg;
  const rb_Module *module;
  struct rb_ResourceBox *box;
  rb_Effect effect;
  int previewing, pledged, wanted, attempt;
  int asks;            /* its wait ends when a person stops the run */
  int returns;         /* rb_retry: how often it came back */
  int repeatable;      /* this attempt sent a key by which a repetition is known */
  int unsure;          /* an attempt before it may have happened */
  rb_Effect settling;  /* the effect whose fate is looked into, as a probe */
  int replaying;       /* its function runs against what its statements brought */
  int within;          /* ordinal of its last statement */
  long long charged[16];  /* against the limits, by this attempt */
  int keyed;           /* predict or preview asked for a key */
  int since;           /* deeds planned up to the oldest of its keys; -1: none asked */
  int rests;           /* what it sees of the planned world assumes something */
  const char *read;    /* "predicted", "as planned", "real", "as of now", or NULL */
  uint64_t has, wants, turn;  /* turn.c: the thing that it changes, or waits for; 0:
                       ** none; and since when, as a number */
  double started, deadline;
  double at;           /* of its last event, seconds since 1970 */
  double grace;        /* rb_grace: goes before every deadline; 0: none */
  rb_Buffer path, summary;  /* kept from call to call */
  char fingerprint[65];
  char arguments[65];  /* deeds: their SHA-256, the same in every run */
  int deed;            /* deeds: its place among those of its task, 1.. */
} rb_Call;

/* what the branches of one function of one step share */
typedef struct rb_FieldRun {
  const char *word;    /* "verify" */
  unsigned may;        /* RB_MAY... */
  rb_Stop stop;
  char why[1024];
  char file[256];      /* where the script was when it was stopped; "": not known */
  int line;
  rb_StepRow *step;    /* NULL: a case's `when` */
  int retries;
  int returns;         /* rb_retry: how often a call may come back */
  double every, deadline;  /* deadline: CLOCK_MONOTONIC, 0: none */
  double timeout;      /* of the field, 0: none */
  int deeds;           /* remedies and notices done or begun */
  int live;            /* tasks that are neither over nor gone */
  struct rb_Task *tasks;  /* all of them, also those that ended */
} rb_FieldRun;

struct rb_Watch {
  rb_Watch *next, *prev;
  struct rb_VM *vm;
  int fd;
  short events;
  void (*ready) (void *ud, short revents);
  void *ud;
  int dead;
};

struct rb_Task {
  rb_Task *next;       /* in the ready queue, or in the free list */
  rb_Task *after, *before;  /* among all waiting tasks */
  rb_Task *sister, *elder;  /* among the tasks of its field */
  struct rb_VM *vm;
  lua_State *L;
  int ref;             /* keeps L alive */
  rb_Task *parent;     /* the task that called run:each, or NULL */
  rb_FieldRun *field;
  rb_TaskState state;
  int nargs;           /* to pass at the next resume */
  int n;               /* effects so far: the ordinal of the next path */
  int deeds, eaches;   /* deeds and run:eachs so far */
  int draws;           /* of chance that a plan keeps */
  char *path;
  double wake;         /* 0: no time; else CLOCK_MONOTONIC */
  rb_Watch watch;      /* rb_wait; fd -1: none */
  int woken;
  int inlist;          /* in the list of the waiting */
  int status;          /* LUA_OK or the error, when over */
  rb_Call call;
  int calling;         /* 'call' is in use */
  double pause;        /* the seconds of a wait that a script sees, and where it */
  lua_KFunction pausek;  /* goes on */
  const char *pauseverb, *pausewhat;  /* "run:sleep" and for what, while it lasts */
  double pausesince;
  const struct rb_Taped *undoing;  /* what it takes back, if it must find it as it was left */
  struct rb_Taped *taped;  /* what an earlier session's tape says of the call */
  rb_Task *tapenext;   /* among those who wait for it */
  rb_Assumes assumes;
  struct rb_Each *each;  /* of the branch's run:each */
  struct rb_Each *joins; /* while RB_JOINING: its own */
  lua_Integer index;   /* its place there */
};

typedef struct rb_ResourceBox {
  rb_Resource r;
  const rb_Module *module;  /* NULL until loaded */
  int met;                  /* its identity is known: 1 as changes see it, 2 as probes do */
  struct rb_VM *vm;
  struct rb_ResourceBox *next;
  int judged;          /* it is known whether a dry run's protocol layer holds */
} rb_ResourceBox;

typedef struct rb_Deed {  /* planned in this dry run */
  int n;               /* of the effect */
  char *resource, *system;
  int bounded;         /* wrote only the keys in the overlay */
  int inside;          /* it stays inside that resource */
  rb_Assumes assumes;  /* what it makes of what it found rests on these */
  char *summary;
  int aside;           /* of another case, which is not taken with this one */
} rb_Deed;

typedef struct rb_Turn {
  void (*fn) (void *ud);
  void *ud;
} rb_Turn;

typedef struct rb_Passing rb_Passing;
struct rb_Run;
typedef struct rb_Run rb_Run;

typedef struct rb_VM {
  lua_State *L;
  size_t memory, maxmemory;
  rb_Pool pool;
  int loading;         /* the gate is shut: a file is being loaded */
  int closing;         /* the gate is shut: coroutines are being closed */
  int dryrun;
  int strict;          /* a dry run that goes on only while all layers hold */
  int planned;         /* chance comes from a plan, one that is made or applied: */
  unsigned char chance[RB_CHANCE];
  int hushed;          /* below the gate: doctor, identity; nothing is recorded */
  int mute;            /* an offline replay: nothing is recorded */
  struct rb_Drill *drill;  /* NULL: this is none */
  json_t *ran;           /* a test: path of a function -> { how it ended: times }; NULL */
  struct rb_World *world;  /* a test's, in place of all modules; NULL: the real one */

  rb_Config *config;
  rb_Target *target;
  rb_Tape *tape;
  rb_Show *show;
  rb_Report *report;
  rb_ResourceBox *resources;
  char **granted; int ngranted;  /* files named by parameters of type path */
  struct rb_Warm *warm;  /* modules being loaded; NULL: none */
  rb_Ahead *aheads;      /* connections begun ahead */
  struct rb_Run *run;  /* NULL outside a run */
  struct rb_Exported *exported;  /* a run is exported, or replayed from an export; or NULL */
  struct rb_Replay *replay;  /* NULL: nothing is resumed or replayed */
  json_t *servers;     /* resource -> what it said it was, in all sessions; NULL: none yet */
  json_t *files;       /* path -> text: the script as the tape has it; NULL */
  struct rb_Apply *apply;  /* the plan that is applied; NULL: none */
  rb_Passing *passing; /* what belongs to this run only */
  rb_Buffer plan;      /* the planned remedies, for the digest */
  rb_Buffer value, text, line;  /* scratch, so that an error leaks nothing */
  char *folder;        /* of the runbook */
  int (*compile) (lua_State *L, const char *path, const char *text, size_t n);
                       /* what is required, in place of luaL_loadbufferx; or NULL */

  /* the loop */
  rb_Task *ready, **readylast, *free, *waiting, *running;
  rb_Task **deliver; int ndeliver, sizedeliver;
  int tocommit;        /* tasks that wait for the tape */
  double lastcommit, lastpoll;
  rb_Watch watches;    /* head of a ring */
  int nwatches;
  rb_Turn turns[16]; int nturns;
  int (*poller) (void *ud, struct pollfd *fds, unsigned n, int ms);
  void *pollerud;
  struct pollfd *fds; rb_Watch **fdwatch; int fdsize;
  double lastdelivered;  /* seconds since 1970 */
  double rundeadline;

  /* the dry run's own world */
  rb_Deed *deeds; int ndeeds, sizedeeds;
  int overlay;         /* registry reference: key -> value | false */
  rb_Assumes provided; /* steps that may end the run before what comes after them */
  double waited;       /* seconds that a real run would have waited, at most */

  /* limits: used so far, and in force (-1: none), by rb_limitnames */
  long long used[16], limit[16];

  /* stopping */
  int impatient;       /* a prompt: Ctrl-C ends a look that is under way, too */
  volatile sig_atomic_t interrupts;
  lua_State *volatile hooked;    /* what runs now, for the signal handler */
  _Atomic double slice;          /* when it began to run; 0: waiting */
  _Atomic double until;          /* when it has to end at the latest */
  double burst;                  /* seconds that it may run without waiting */
  atomic_int stopping;           /* the hook has been asked for */
  int abandoned;                 /* the second Ctrl-C */

  /* status.c: who asks what this run is doing (0: nobody), and for those who look from
  ** another thread the step under way */
  _Atomic uint64_t asked;
  const rb_StepRow *_Atomic step;
  _Atomic double stepsince;
  rb_FieldRun *field;            /* whose loop turns now */

  /* at a prompt: the value at the top is what that primitive returned */
  void (*took) (lua_State *L, const rb_Reg *reg);
  int (*lastwords) (struct rb_VM *vm);  /* hard deadline: returns an exit code */
  pthread_t main;
} rb_VM;

static inline rb_Task *rb_taskof (lua_State *L) {
  return *(rb_Task **)lua_getextraspace(L);
}
static inline rb_VM *rb_vm (lua_State *L) { return rb_taskof(L)->vm; }

/* [-0, +1, m]  The columns that a module told of the rows at idx, or nil; 1: it did. */
int rb_columns_of (lua_State *L, int idx);

/* -- loop.c -------------------------------------------------------------- */

/* A task for the function and 'nargs' arguments on the top of L (popped). */
rb_Task *rb_task_new (lua_State *L, rb_Task *parent, rb_FieldRun *field,
                      const char *path, int nargs);
void rb_task_ready (rb_Task *t);
/* Gives the task's coroutine back; its results are gone with it. */
void rb_task_free (rb_Task *t);
void rb_task_freeall (rb_FieldRun *field);
/* While a person thinks about a question, neither the script nor its step uses up
** time; 'began' is what the first returned. */
double rb_person_begin (rb_VM *vm);
void rb_person_end (rb_VM *vm, double began);

/* Turns the loop until every task of the field is over or gone. */
void rb_loop_run (rb_VM *vm, rb_FieldRun *field);
void rb_loop_free (rb_VM *vm);
int rb_waitstate (lua_State *L, rb_TaskState state, lua_KContext ctx,
                  lua_KFunction k);

/* The task's last event is on its way to the tape. RB_COMMIT: it goes on once that is
** durable. RB_DELIVER: once its turn comes, in the order of the tape. */
int rb_enqueue (lua_State *L, rb_TaskState state, lua_KContext ctx,
                lua_KFunction k);

/* When that task, or its call, has to be over (CLOCK_MONOTONIC); 0: never. */
double rb_task_deadline (const rb_Task *t);

/* -- status.c ------------------------------------------------------------ */

/* From a signal handler: somebody wants to know what is going on. by 0: a person, who
** reads standard error; else a process, and its pipe. */
void rb_status_ask (rb_VM *vm, pid_t by, int fd);
/* Answers, if anybody has asked. */
void rb_status_answer (rb_VM *vm);
static inline int rb_status_asked (rb_VM *vm) { return atomic_load(&vm->asked) != 0; }
/* The watchdog's look at whether nobody does. */
void rb_status_watch (rb_VM *vm);
/* A step is under way, or (NULL) none is. */
void rb_status_step (rb_VM *vm, const rb_StepRow *row);

/* -- stop.c -------------------------------------------------------------- */

void rb_stop_open (rb_VM *vm);   /* signals, watchdog */
void rb_stop_close (rb_VM *vm);
/* What runs until rb_stop_loaded may take that long (whole seconds) at most. */
void rb_stop_load (rb_VM *vm, double seconds);
void rb_stop_loaded (void);
/* Ends the script of the running task: "return rb_stop(...)". */
int rb_stop (lua_State *L, rb_Stop why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Has the field been stopped (or must it be now)? */
int rb_stopped (rb_Task *t);
/* [-0, +0, -]  The script's line that runs in L, or ran when it failed; 0: none is known. */
int rb_stop_place (lua_State *L, char *file, size_t size);
int rb_stop_now (lua_State *L);  /* the task stops as its field did */

/* Of the script's functions, what runs outside of a task (a title, an error's
** __tostring, what closes a stopped coroutine) is under the watchdog, too. */
typedef struct rb_Guard { lua_State *hooked; double slice; } rb_Guard;
rb_Guard rb_guard (rb_VM *vm, lua_State *L);
void rb_unguard (rb_VM *vm, rb_Guard g);
/* [-(n+1), +1, m]  one result, or the error */
int rb_guarded_call (lua_State *L, int n);
/* [-0, +1, m]  rb_tolstring that does not raise */
const char *rb_guarded_text (lua_State *L, int idx, size_t *len);

/* -- modules.c ----------------------------------------------------------- */

/* What a client library refers to is bound when it is first called, which saves a
** sixth of the time to load libcurl; our own modules ask for all at once (-z now). */
#define RB_DLOPEN (RTLD_LAZY | RTLD_LOCAL)

void rb_modules_open (lua_State *L);
/* The i-th of all modules, sorted; NULL: there are no more. */
const char *rb_module_name (int i);
/* The file with the rows of all modules; 0: it is not there, or not to be trusted. */
int rb_module_rows (char *path, size_t size);
/* The symbol of a module's part, without loading the module; NULL: there is none. */
const void *rb_module_part (const char *module, const char *part);
int rb_module_isfree (int i);  /* is it a global of every script? */
const rb_Module *rb_module_load (lua_State *L, const char *name);
void rb_settype_named (lua_State *L, const char *name);
void rb_modules_close (rb_VM *vm);
/* The file of a module that may be loaded; 0: there is none. */
int rb_module_path (const char *name, char *path, size_t size);
/* the stdlib's NAME.lua: 1 found, 0 there is none, -1 others may write it */
int rb_module_script (const char *name, char *path, size_t size);

/* -- thread.c -------------------------------------------------------------- */

/* A thread that no signal reaches: 0, or an error number. */
int rb_thread (pthread_t *thread, void *(*fn) (void *ud), void *ud);

/* -- warm.c: modules, loaded in a thread ------------------------------------- */

/* Begins to load these modules, in this order. */
void rb_warm (rb_VM *vm, const char *const *names);
/* The module, once it is loaded; NULL where it will not be. */
const rb_Module *rb_warm_module (rb_VM *vm, const char *name);
void rb_warm_end (rb_VM *vm);

/* -- ahead.c: connections, begun before they are asked for --------------------- */

/* Begins what the module's `ahead` does for a resource. 'verbs': what the script
** calls on it, " exec value ". The settings are read now. [-0, +0, m] */
void rb_ahead_begin (lua_State *L, const char *system, const char *kind,
                     const char *verbs);
/* Is one being made? */
int rb_ahead_begun (const rb_VM *vm, const rb_Resource *r);
void rb_ahead_end (rb_VM *vm);

/* -- aside.c --------------------------------------------------------------- */

/* rb_aside without Lua: the job's copy, or NULL and errno; 'fd' has something to read
** when it is done. Whoever has it ends it, whether it is done or not. */
void *rb_aside_begin (const void *job, size_t size, void (*work) (void *job),
                      void (*drop) (void *job), int *fd);
void rb_aside_end (void *job, int fd);

/* -- resolve.c ------------------------------------------------------------- */

/* Asks for the addresses of a host, in a thread of its own; 'fd' has something to
** read when they are there. NULL (errno): it cannot. */
typedef struct rb_Lookup rb_Lookup;
rb_Lookup *rb_lookup (const char *host, int *fd);
/* Its addresses, best first; 0: the name does not resolve. */
int rb_lookup_each (const rb_Lookup *l, void (*each) (void *ud, const char *address),
                    void *ud);
void rb_lookup_end (rb_Lookup *l, int fd);
int rb_isaddress (const char *host);

/* -- systems.c ------------------------------------------------------------- */

void rb_systems_open (lua_State *L);
/* The box of that name, made where there is none yet; NULL: out of memory. */
rb_ResourceBox *rb_box (rb_VM *vm, const char *name, const char *system,
                        const char *kind);
/* Has the system at idx that resource on this target? */
int rb_system_has (lua_State *L, int idx, const char *kind);
int rb_issystem (lua_State *L, int idx);
/* NULL: it is none. */
const rb_Resource *rb_resource_at (lua_State *L, int idx);
/* Is the table a part of a system ("settings", "schema") that a script has asked for?
** Which, and whose; NULL: it is none. */
const char *rb_part_at (lua_State *L, int idx, const char **system);
/* [-0, +1, v] Pushes a resource of the target. */
rb_ResourceBox *rb_push_resource (lua_State *L, const char *system,
                                  const char *kind);
/* [-0, +1, m] The folder's schema.lua, under the configuration's own: a copy. */
void rb_push_schema (lua_State *L, const char *system);

/* -- secret.c -------------------------------------------------------------- */

#define RB_SECRETTYPE "rb.secret"

/* [-0, +1, m] Pushes the opaque value of a secret. */
void rb_push_secret (lua_State *L, const char *name, const char *text,
                     size_t len);

/* -- pause.c --------------------------------------------------------------- */

/* [-0, +?, vy]  A wait that the script sees: goes on in k after that time, and the
** tape knows when. */
int rb_pause (lua_State *L, double seconds, lua_KContext ctx, lua_KFunction k);

/* -- call.c ---------------------------------------------------------------- */

/* [-0, +0, m]  The table at the top becomes an error object. */
void rb_seterror (lua_State *L);

/* [-0, +1, m]  The error object of a failure that touched nothing. */
void rb_push_failure (lua_State *L, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A field of the error at the top; "" when it is not one of ours. */
const char *rb_error_field (lua_State *L, const char *field);

/* -- arguments.c --------------------------------------------------------- */

/* [-0, +0, v]  The tables among the n arguments become copies that nobody else has. */
void rb_arguments_fix (lua_State *L, const rb_Call *c, int n);

/* -- asked.c: deeds as a plan keeps them ------------------------------------------ */

/* The text is of this run only, and goes into plans as its label. */
void rb_passing_add (rb_VM *vm, const char *label, const char *s, size_t n);
void rb_passing_free (rb_VM *vm);
/* [-0, +0, m]  Into call.arguments: the digest of the n arguments (a method's first is
** its resource), and of what the plan at the top says that they came to. */
void rb_asked_arguments (lua_State *L, rb_Task *t, int method, int n);
void rb_asked_plan (lua_State *L, rb_Task *t);
/* The digest of a before-value, as a preview or a report has it. */
void rb_asked_before (const rb_VM *vm, const json_t *before, char out[65]);

/* -- run/apply.c: only what was planned ---------------------------------------------- */

/* A deed begins: it has its place in the plan. */
void rb_apply_reached (rb_Task *t);
/* [-0, +0, m]  Is the deed under way, whose preview's plan is at the top and whose
** verdict is 'said', the one that was planned? RB_GO, or why the run stops. */
rb_Stop rb_apply_check (lua_State *L, const char *said, char *why, size_t size);

/* -- where.c --------------------------------------------------------------- */

/* [-0, +1, m]  "host:port", or with the database ('whole'), of a system's resource; nil
** where it has no URL. */
void rb_where_push (lua_State *L, const char *system, const char *kind, int whole);

/* -- record.c: the report's rows and the tape's events ------------------------ */

/* A row for the call under way, appended to its step; NULL when the step keeps
** no more (a probe among thousands) or there is none. */
rb_EffectRow *rb_record_row (rb_Task *t, int failed);
/* An event about the call under way, with what its row knows (NULL: none). 'extra'
** is JSON without braces (or ""); 'secret' is sealed. Returns its number, 0 without
** a tape. */
int64_t rb_record_event (rb_Task *t, const rb_EffectRow *row, const char *kind,
                         const char *extra, const rb_Buffer *secret);
/* [-0, +0, m]  The result or error at the top is that of a statement inside the call. */
void rb_record_within (lua_State *L, rb_Task *t, int failed);
/* The wait at the path of the task's call is over. */
void rb_record_waited (rb_Task *t);
/* Any other event: text is JSON, redacted; 'secret' is sealed. */
void rb_record (rb_VM *vm, const char *kind, const char *path, json_t *text);
void rb_record_sealed (rb_VM *vm, const char *kind, const char *path, json_t *text,
                       const void *secret, size_t n);
void rb_json_escape (rb_Buffer *b, const char *s, size_t n);

/* -- planned.c: what the dry run planned, and what rests on it ------------------ */

/* [-0, +0, m]  The plan at the top becomes a deed of this dry run. */
void rb_planned_add (lua_State *L, rb_Task *t, int n);
/* Which planned deeds the probe under way may have seen undone: into the task's
** assumptions; returns "real" or "as of now", NULL where nothing is planned. */
const char *rb_planned_read (rb_Task *t);
/* Something that this dry run could not look into may do anything ('n': of the
** effect that it waits for); 0 when out of memory. */
int rb_planned_unknown (rb_VM *vm, int n, const char *what);
/* Rests the preview under way on what an earlier deed, which may write anything,
** has not done yet? Then that is assumed, and 'what' is its summary. */
int rb_planned_stale (rb_Task *t, const char **what);
void rb_assume (rb_Assumes *a, int n);
void rb_assume_all (rb_Assumes *a, const rb_Assumes *more);
/* "needs the outcome of: POST /imports/pause" for the first assumption. */
const char *rb_assume_words (rb_VM *vm, const rb_Assumes *a, char *out, size_t size);
/* [-0, +0, m]  Several cases are true, and one of them will be taken: each is previewed
** from the world as it is here (a registry reference); what the last one planned is
** put aside for the next. When all were, any of it may have been done. */
int rb_planned_fork (rb_VM *vm);
void rb_planned_aside (rb_VM *vm, int world, int from);
void rb_planned_join (rb_VM *vm, int world, int from);
/* [-0, +0]  Nothing is planned any more. */
void rb_planned_forget (rb_VM *vm);
void rb_planned_free (rb_VM *vm);

/* -- limits.c -------------------------------------------------------------------- */

/* [-0, +0, m]  Charges the `counts` of the plan at the top: 0, or 1 and words. */
int rb_limits_charge (lua_State *L, char *why, size_t size);
/* What was not done has used nothing up. */
void rb_limits_return (rb_Task *t);
/* Lowers a limit ("--limit" and runbooks); -1 for an unknown name. */
int rb_limits_lower (rb_VM *vm, const char *name, long long n);

/* -- run/claim.c --------------------------------------------------------- */

/* A remedy is about to be done: from now on the run's locks outlive it. 0: they cannot
** say so. */
int rb_lock_pledge (rb_VM *vm);

/* -- run/across.c: is the lock that other machines see still held? 0: 'why' says so. */
int rb_across_held (rb_VM *vm, const char **why);

/* -- run/layers.c ----------------------------------------------------------- */

/* [-0, +0, v]  A probe of a dry run is about to use the resource: does the protocol layer
** hold for it, too? */
void rb_layers_used (lua_State *L, rb_ResourceBox *box);

/* -- run/each.c ----------------------------------------------------------- */

/* A branch of a run:each is over or gone. */
void rb_each_over (rb_Task *branch);
/* How far the run:each is that this task waits for; 0: it waits for none. */
int rb_each_progress (const rb_Task *t, long long *done, long long *of);

/* -- servers.c -------------------------------------------------------------- */

#define RB_PROBESERVER " (probe)"  /* after the name of a resource whose probes have a URL
                                   ** of their own */

/* -- wanted.c ------------------------------------------------------------ */

/* How many results the caller of the running C function wants: -1 all, -2 unknown. */
int rb_wanted (lua_State *L);

/* -- tojson.c ------------------------------------------------------------ */

/* A Lua value as JSON, redacted; what has no JSON form becomes its name. */
json_t *rb_tojson (lua_State *L, int idx);
json_t *rb_jsontext (const char *s, size_t n);  /* redacted, valid UTF-8 */
char *rb_redacted (const char *s, size_t n);    /* malloc'ed */

#endif
