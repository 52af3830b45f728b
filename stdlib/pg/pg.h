/*
** pg.h - what the files of this module share
**
** A call of a primitive is a 'Call': a userdata in the call's own frame that
** leases a connection and gives it back however the frame ends. Everything
** that waits takes the call and a continuation, whose context is the call.
*/

#ifndef rb_pg_h
#define rb_pg_h

#include <jansson.h>
#include <libpq-fe.h>

#include "vm/module.h"

enum {
  RB_PGCONNS = 8,          /* connections of one role */
  RB_PGSENT = 10,          /* statements under way on one connection */
  RB_PGBYTES = 16 << 20,   /* what one result may hold in all */
  RB_PGGLANCE = 1000,      /* ms that a dry run waits for a lock */
  RB_PGGRACE = 2           /* seconds for a statement to be cancelled */
};

/* how a doubt begins that no look can remove */
#define RB_PGDECIDES "PostgreSQL alone decides, when it runs, about "

/* where things stand on the stack of a running call */
enum { SELF = 1, SQL, VALUES, OPTIONS, CALL, STATEMENT, PLAN };

typedef enum rb_PgRole {
  RB_PGPROBE,    /* the probe's role, held read-only */
  RB_PGPREVIEW,  /* the remedy's role, held read-only */
  RB_PGREMEDY,   /* the remedy's role */
  RB_PGLOCK,     /* the same: one connection, which holds the run's locks */
  RB_PGDEED,     /* a transaction of the remedy's role: asked for, never held */
  RB_PGROLES
} rb_PgRole;

typedef struct rb_PgConn {
  struct rb_PgConn *next;
  PGconn *pg;              /* NULL: not opened */
  rb_PgRole role;
  int leased;
  int spoiled;             /* not to be used again */
  int escaped;             /* a ROLLBACK found no transaction */
  char said[200];          /* why the server hung up; "": it did not say */
  char system[24];         /* system identifier; "": not asked yet */
  char timeline[16], database[64];
  char oid[12];            /* the database's number in its cluster; "": not known */
} rb_PgConn;

typedef struct rb_PgPool {
  rb_PgConn *conns;
  struct rb_PgCall *calls, *lastcall;  /* all alive, oldest first */
  char **secret;           /* columns whose values are secrets; ends with NULL */
  int locks;               /* taken on the connection for them */
  int same;                /* no probe role: probes are previews */
  int lost;                /* one that was idle was, and it has not been said yet */
  char why[200];
} rb_PgPool;

/* where a connection goes: the URL, and its hosts' addresses as libpq takes them */
typedef struct rb_PgPlace {
  PQconninfoOption *info;
  char *host, *hostaddr, *port;  /* lists, side by side */
  char name[256];          /* host number 'at', at hand */
  int at, failed;          /* failed: memory ran out */
} rb_PgPlace;

/* the options of one call */
typedef struct rb_PgOptions {
  int outside;             /* transaction = false */
  int bounded;             /* rows = */
  lua_Integer min, max;
} rb_PgOptions;

typedef struct rb_PgCall {
  rb_Resource *resource;
  rb_PgPool *pool;         /* NULL once the module was closed */
  struct rb_PgCall *next, *prev;
  rb_PgConn *conn;
  struct rb_PgCall *owner; /* the transaction that this is a statement of */
  rb_Task *task;           /* whose call it is */
  rb_Task *waiter;         /* waits for a connection */
  rb_PgRole role;
  rb_PgOptions options;
  int preview;             /* a failure is a "would refuse" */
  int judging;             /* asks whether the layer holds: nothing is claimed yet */
  int cancelled;           /* a person stopped the run: the server was told */
  int committing;          /* from now on a silence is in doubt */
  int shape;               /* of the result; the caller's own */
  int at, shift;           /* the script's statement: its number, and how many
                           ** characters of ours stand before its text */
  int partial;             /* a "no" of the server may come half-way */
  int over;                /* the transaction has ended */
  int code, forbids;       /* numbers of questions that few statements need; 0: not asked */
  int follows;             /* a preview: statements ahead of it in its transaction may
                           ** change what it would find */
  int meets;               /* which database it is, is asked with its statements */
  int stated;              /* there is a statement at STATEMENT */
  /* the conversation */
  int sent, got, syncs;
  int collect, single;     /* the statement whose rows go to a table */
  int rows;                /* where that table stands */
  lua_Integer nrows;
  size_t bytes;
  PGresult *answers[RB_PGSENT];
  PGresult *current;       /* parked: what a Lua error must not leak */
  PGresult *locked;        /* the answer that a lock was not let go of; NULL: none */
  json_t *json;
  rb_PgPlace place;
  lua_KFunction k, connected, then;
} rb_PgCall;

/* where text and source part: from here on they run in step again */
typedef struct rb_PgMark { size_t text, source; } rb_PgMark;

typedef struct rb_PgStatement {
  const char *source;      /* as the script wrote it */
  char *text;              /* as it is sent: $1 for :name */
  int n;                   /* values */
  const char **values;     /* NULL is null */
  Oid *types;              /* 0 until the server said */
  rb_PgMark *marks;
  int nmarks;
  json_t *tree;
  const char *kind;        /* "UpdateStmt" */
  json_t *body;
} rb_PgStatement;

/* -- conn.c: leases ------------------------------------------------------- */

/* [-0, +1, v]  A call, closed when the running function ends. */
rb_PgCall *rb_pg_open (lua_State *L, rb_PgRole role, int preview);
/* [-0, +?, vy]  Goes on in k with a connection that is alive and idle. */
int rb_pg_lease (lua_State *L, rb_PgCall *c, lua_KFunction k);
void rb_pg_close (rb_Resource *r);
/* [-0, +0, m]  Gives the userdata at the top its type. */
void rb_pg_setmeta (lua_State *L, const char *type, lua_CFunction close);
/* May it be used: is it idle, and has the server not said farewell? */
int rb_pg_alive (const rb_PgConn *conn);
/* [-0, +0, m]  This connection takes the place of one that was lost: says so. */
void rb_pg_remade (lua_State *L, rb_PgPool *p);
/* A statement of the transaction 'owner', on its connection. [-0, +1, m] */
rb_PgCall *rb_pg_within (lua_State *L, rb_PgCall *owner);

/* -- connect.c ------------------------------------------------------------ */

/* [-0, +?, vy]  Opens c->conn; goes on in k once it is up. */
int rb_pg_connect (lua_State *L, rb_PgCall *c, lua_KFunction k);
void rb_pg_placefree (rb_PgPlace *p);
/* The module's `ahead`: a PGconn that is up, or NULL. */
void *rb_pg_ahead (rb_Ahead *a);
void rb_pg_unahead (void *pg);
/* [-0, +1, m]  Why the role of the probes does not hold them, by what the server says of
** it; "": it does. */
const char *rb_pg_powers (lua_State *L, const rb_PgCall *c);
/* Is the user of the probe's URL another than that of the remedies'? */
int rb_pg_otheruser (lua_State *L, rb_Resource *r);

/* -- talk.c: the conversation --------------------------------------------- */

/* Queues a statement; returns its number. types may be NULL. [-0, +0, v] */
int rb_pg_send (lua_State *L, rb_PgCall *c, const char *sql, int n,
                const Oid *types, const char *const *values);
/* Queues the statement's reading alone: its errors, its types. Two numbers. */
int rb_pg_describe (lua_State *L, rb_PgCall *c, const char *sql, int n);
/* [-0, +1, m]  The rows of the statement sent last go to a table, pushed. */
void rb_pg_collect (lua_State *L, rb_PgCall *c);
void rb_pg_sync (lua_State *L, rb_PgCall *c);
/* [-0, +?, vy]  Goes on in k when all that was sent is answered. */
int rb_pg_await (lua_State *L, rb_PgCall *c, lua_KFunction k);
/* Forgets the answers; statements are numbered from 0 again. */
void rb_pg_forget (rb_PgCall *c);
/* [-0, +0, v]  Queues the time limits, for the transaction or the session. */
void rb_pg_limits (lua_State *L, rb_PgCall *c, int local);
/* [-0, +0, v]  Queues BEGIN and the time limits: statements 0 and 1. */
void rb_pg_begin (lua_State *L, rb_PgCall *c, const char *begin);
/* The field as text; NULL for null. */
const char *rb_pg_field (const rb_PgCall *c, int i, int row, int column);
int rb_pg_true (const rb_PgCall *c, int i, int row, int column);

/* -- holder.c: whose lock it was --------------------------------------------- */

/* Which answer says that a lock was not let go of, of those who ask who has it; -1. */
int rb_pg_islocked (const rb_PgCall *c);
/* [-0, +?, vy]  Asks, and raises that answer with who it is. */
int rb_pg_askholder (lua_State *L, rb_PgCall *c, int i);

/* [-0, +0, v]  Queues the question which of the transactions (the text of an array) still
** holds its rows. */
void rb_pg_sendlockers (lua_State *L, rb_PgCall *c, const char *xids);
/* [-0, +1, m]  The answer to it: "pid 12 (user kim, ...)"; nil: none any more. */
const char *rb_pg_pushlocker (lua_State *L, const rb_PgCall *c);

/* -- cancel.c: a person stops what has not been pledged ----------------------- */

/* [-0, +?, vy]  Has the server cancel what it is busy with; k finds one value more on the
** stack. */
int rb_pg_cancel (lua_State *L, rb_PgCall *c, lua_KFunction k);
/* [-0, +0, v]  Raises that it was cancelled; the connection, and with it the transaction, is
** given up. */
int rb_pg_interrupted (lua_State *L, rb_PgCall *c);

/* -- fail.c: failures in words -------------------------------------------- */

/* [-0, +0, v]  Raises when one of the answers is an error; st (or NULL) is the
** statement that number c->at was. */
void rb_pg_check (lua_State *L, rb_PgCall *c, const rb_PgStatement *st);
/* [-0, +1, m]  The error that answer i is, in words, with its place in the statement. */
const char *rb_pg_said (lua_State *L, const rb_PgCall *c, int i, const rb_PgStatement *st);
/* [-0, +0, v]  Raises the server's no, with that advice ("": its own). */
int rb_pg_fail (lua_State *L, rb_PgCall *c, const PGresult *r, const char *advice);
int rb_pg_lost (lua_State *L, rb_PgCall *c);
int rb_pg_late (lua_State *L, rb_PgCall *c);
int rb_pg_unreachable (lua_State *L, rb_PgCall *c, const char *why);
/* [-0, +0, v]  Refused: by a preview with rb_refuse, else kind "refused". */
int rb_pg_refuse (lua_State *L, rb_PgCall *c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* [-0, +1, m]  Words, and the place in the SQL: 'at' counts characters of
** the text from 1. Either may be missing (NULL, 0). */
const char *rb_pg_pointed (lua_State *L, const rb_PgStatement *st,
                           const char *words, int at);

/* [-0, +1, m]  "1 row", "1,203 rows". */
const char *rb_pg_rows (lua_State *L, lua_Integer n);

/* -- statement.c: SQL as the script wrote it ------------------------------ */

/* [-0, +0, v]  The arguments of a call: sql, values, options. */
void rb_pg_arguments (lua_State *L);
/* [-0, +0, v]  Reads the options at OPTIONS and sets the call's timeout. */
void rb_pg_options (lua_State *L, rb_PgOptions *o);
/* The same for a statement of a transaction: the timeout is that one's. */
void rb_pg_suboptions (lua_State *L, rb_PgOptions *o);
/* [-0, +1, m]  "rows = 3 is asked for". */
const char *rb_pg_bounds (lua_State *L, const rb_PgOptions *o);
/* [-0, +1, m]  SQL on one line, shortened, for people. */
const char *rb_pg_brief (lua_State *L, const char *sql);
/* [-0, +1, v]  The statement at SQL with the values at VALUES, read. */
rb_PgStatement *rb_pg_statement (lua_State *L, rb_PgCall *c);

/* -- tree.c: SQL as PostgreSQL reads it ----------------------------------- */

/* Reads st->text; 0: what is wrong is in 'why', and where in *at. */
int rb_pg_parse (rb_PgStatement *st, char *why, size_t size, int *at);
/* Calls 'visit' on every object of the tree until it returns non-zero. */
typedef int (*rb_PgVisit) (void *ud, const char *key, const json_t *node);
int rb_pg_walk (const json_t *tree, rb_PgVisit visit, void *ud);
/* Equal but for where they stand in the text. */
int rb_pg_same (const json_t *a, const json_t *b);
/* The table that an INSERT, UPDATE, DELETE or MERGE changes, or NULL. */
const json_t *rb_pg_target (const rb_PgStatement *st);
/* [-0, +1, m]  The name of a RangeVar, quoted as SQL wants it. */
const char *rb_pg_tablename (lua_State *L, const json_t *range);
/* [-0, +1, m]  A list of the tables in a tree (no CTEs), or of the
** functions; names as above, functions without their schema. */
void rb_pg_tables (lua_State *L, const json_t *tree);
void rb_pg_functions (lua_State *L, const json_t *tree);
/* The same with what (x).f and x.f may call, too; and the operators. */
void rb_pg_calls (lua_State *L, const json_t *tree);
void rb_pg_operators (lua_State *L, const json_t *tree);
/* The types that it names, without their schema. */
void rb_pg_types (lua_State *L, const json_t *tree);
/* The function that a node may call, or NULL. */
const char *rb_pg_calledname (const char *key, const json_t *node);

/* -- rules.c: what may be sent -------------------------------------------- */

/* NULL, or why (in 'why') this is not for a probe / an exec. */
const char *rb_pg_notprobe (const rb_PgStatement *st, char *why, size_t size);
const char *rb_pg_notexec (const rb_PgStatement *st, int outside, int within,
                           char *why, size_t size);
/* The first function in the tree that does more than compute, or NULL. */
const char *rb_pg_sideeffect (const json_t *tree);
/* What in the tree changes or locks rows ("DELETE"), or NULL. */
const char *rb_pg_writes (const json_t *tree);
/* "UPDATE", "CREATE INDEX": what people call a kind of statement. */
const char *rb_pg_verb (const rb_PgStatement *st);

/* -- count.c: how many rows ----------------------------------------------- */

/* [-0, +1, m]  The SELECT that counts what st would touch, with the same
** $n, or nil where none can be derived; 'sample': with what it finds in the
** columns that an UPDATE sets; 'lockers': last, with the transactions that may have locked
** those rows, which takes a table of rows. */
int rb_pg_count (lua_State *L, const rb_PgStatement *st, int sample, int lockers);
/* The column of an UPDATE's item that a sample looks at, or NULL. */
const char *rb_pg_samplename (const json_t *item);
/* What the count reads: FROM and WHERE of st. New reference, or NULL. */
json_t *rb_pg_reads (const rb_PgStatement *st);
/* The number of rows in INSERT ... VALUES; -1 where it is none. */
lua_Integer rb_pg_inserted (const rb_PgStatement *st);
/* [-0, +1, m]  The text of an UPDATE's SET with its values; nil if none. */
void rb_pg_assignments (lua_State *L, const rb_PgStatement *st);

/* -- types.c, values.c ---------------------------------------------------- */

/* [-0, +1, v]  One field of a result. */
void rb_pg_pushvalue (lua_State *L, rb_PgCall *c, Oid type, const char *s,
                      size_t n);
/* [-0, +1, v]  The value at the top of the stack as the text of a parameter,
** or nil for null; 'name' is for the error. */
void rb_pg_totext (lua_State *L, rb_PgCall *c, const char *name);

/* -- the primitives ------------------------------------------------------- */

int rb_pg_query (lua_State *L);
int rb_pg_row (lua_State *L);
int rb_pg_value (lua_State *L);
int rb_pg_explain (lua_State *L);
int rb_pg_exec (lua_State *L);
int rb_pg_execpreview (lua_State *L);
int rb_pg_transaction (lua_State *L);
int rb_pg_transactionpreview (lua_State *L);
int rb_pg_doctor (lua_State *L);
int rb_pg_read (lua_State *L);
int rb_pg_identity (lua_State *L);
int rb_pg_settle (lua_State *L);
int rb_pg_lock (lua_State *L);
int rb_pg_locked (rb_Resource *r);
int rb_pg_layer (lua_State *L, rb_Resource *r, const char **why);
int rb_pg_holds (lua_State *L);
int rb_pg_txquery (lua_State *L);
int rb_pg_txrow (lua_State *L);
int rb_pg_txvalue (lua_State *L);
int rb_pg_txexec (lua_State *L);

/* -- catalog.c: the tables of a statement, as the server knows them ------- */

/* [-0, +0, v]  Queues three questions. */
void rb_pg_ask (lua_State *L, rb_PgCall *c, const rb_PgStatement *st);
/* Do their answers, of which the first is number 'answer', leave it open whether there is
** code of one's own? Then that is asked, and has number c->code. And whether constraints
** let an UPDATE or DELETE do it? */
int rb_pg_suspects (const rb_PgCall *c, int answer);
int rb_pg_constrained (const rb_PgCall *c, int answer);
int rb_pg_askcode (lua_State *L, rb_PgCall *c, const rb_PgStatement *st);
/* [-0, +0, v]  All these answers, of which the first is number 'answer', into the
** plan at PLAN; refuses where the role may not. Returns the function because
** of which nothing may be counted, or NULL. 'readable': all of the target.
** 'own': code that a plan may run, or NULL; it lives as long as the answers. */
const char *rb_pg_learn (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                         int answer, int *readable, const char **own);
/* In the module's `ahead`: lets the server read what those questions are about; 0: the
** connection is of no use any more. */
int rb_pg_warm (rb_Ahead *a, PGconn *pg);
/* Is it a statement that EXPLAIN takes? */
int rb_pg_plannable (const rb_PgStatement *st);
/* [-0, +0, m]  Fields of the plan at PLAN: a flag; another reason; a reason
** for which the number of rows is not certain. */
void rb_pg_setflag (lua_State *L, const char *key, int b);
void rb_pg_addreason (lua_State *L, const char *reason);
void rb_pg_doubt (lua_State *L, const char *reason);

/* -- objects.c, constraints.c: what PostgreSQL would refuse --------------- */

/* [-0, +0, v]  Queues the question what in the catalog forbids it, and returns its number:
** of DDL; of rows. */
int rb_pg_askobjects (lua_State *L, rb_PgCall *c, const rb_PgStatement *st);
int rb_pg_askconstraints (lua_State *L, rb_PgCall *c, const rb_PgStatement *st);
/* [-0, +1, m]  The columns that an UPDATE sets, or sets to what is or may be NULL, as the
** text of an array. */
const char *rb_pg_pushset (lua_State *L, rb_PgCall *c, const rb_PgStatement *st, int nulls);
/* [-0, +0, v]  That answer into the plan at PLAN, where it does not refuse: with field
** 'nulls', words for which rows would be refused, if there are any. */
void rb_pg_readobjects (lua_State *L, rb_PgCall *c, int answer);
void rb_pg_readconstraints (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                            int answer);
/* [-0, +0, v]  Refuses; where a statement ahead may be the cure, says so in the plan. */
void rb_pg_forbid (lua_State *L, rb_PgCall *c, const char *words);

/* -- preview.c, remedy.c, transaction.c ----------------------------------- */

/* [-0, +?, vy]  What the statement at STATEMENT would do, on a connection whose
** read-only transaction has begun (or is being begun); k finds at PLAN the
** table for the gate, with fields of ours: 'target', a name; 'tables', a list;
** 'plain': the number of rows rests on those tables and nothing else;
** 'spills': it may change more than the target. */
int rb_pg_preview (lua_State *L, rb_PgCall *c, lua_KFunction k);
/* [-0, +1, v]  The statement of an exec at STATEMENT, if it may be one. */
rb_PgStatement *rb_pg_execstatement (lua_State *L, rb_PgCall *c);
/* [-0, +0, v]  Are the rows of the deed those asked for, previewed (the image
** is at the top: {rows=, exact=}, or nil) and allowed? */
void rb_pg_checkrows (lua_State *L, rb_PgCall *c, const rb_PgStatement *st,
                      lua_Integer rows);
/* [-0, +1, m]  {rows = n, returning = rows} */
void rb_pg_pushresult (lua_State *L, lua_Integer rows, int returning);
/* How many rows the statement changed; its rows are at c->rows. */
lua_Integer rb_pg_affected (const rb_PgCall *c);
/* [-0, +?, vy]  Learns the connection's system, timeline and database. */
int rb_pg_know (lua_State *L, rb_PgCall *c, lua_KFunction k);
/* [-0, +0, v]  The first on its connection asks the same with its own statements; once they
** are answered, the tape is told. */
void rb_pg_meet (lua_State *L, rb_PgCall *c);
void rb_pg_met (lua_State *L, rb_PgCall *c);
/* [-0, +?, vy]  Pledges the open transaction, commits it, goes on in k. */
int rb_pg_commit (lua_State *L, rb_PgCall *c, lua_KFunction k);
/* [-0, +?, vy]  ROLLBACK, and on in k, whatever the server says. */
int rb_pg_rollback (lua_State *L, rb_PgCall *c, lua_KFunction k);
/* [-0, +0, v]  The second lock: raises when nothing may be changed now. */
void rb_pg_checkdeed (lua_State *L, rb_PgCall *c);
/* The transaction whose method is called: SELF. */
rb_PgCall *rb_pg_checktx (lua_State *L);
/* The script has read inside of the transaction. */
void rb_pg_looked (lua_State *L, rb_PgCall *tx);

#endif
