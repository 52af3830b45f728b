/*
** erp.h - what the parts of the school application share
*/

#ifndef erp_h
#define erp_h

#include <jansson.h>
#include <stdatomic.h>
#include <time.h>

typedef struct Route Route;

/* fixed once the application has started, but for the counters */
typedef struct App {
  const Route *routes;         /* the last one has no method */
  json_t *env;                 /* its .env, as it was at the start */
  json_t *disabled;            /* DISABLED_TENANTS, as a list */
  json_t *release;             /* dist/release.json, or an empty object */
  time_t started;
  atomic_ulong requests;
  atomic_ulong failures;       /* answers of 500 and above */
} App;

#define MAX_SEGMENTS 6

typedef struct Request {
  const char *method;
  const char *segment[MAX_SEGMENTS];   /* of the path, percent-decoded */
  int nsegments;
  const char *body;                    /* "" when there is none */
  const char *session;                 /* the bearer's, or NULL */
  const char *key;                     /* Idempotency-Key, or NULL */
  const char *ip;
} Request;

typedef struct Reply {
  unsigned status;
  json_t *body;                        /* owned by the reply */
  long retry_after;                    /* seconds; 0: not said */
  const char *type;                    /* the body is a string, sent as this; NULL: JSON */
} Reply;

struct Route {
  const char *method;
  const char *path[MAX_SEGMENTS];      /* "*" takes any one segment */
  Reply (*serve) (App *app, const Request *r);
};

extern const char *const erp_name;     /* of the program */

/* start.c: the whole of a main; `ready` may be NULL, and is 0 where it may serve */
int erp_main (int argc, char **argv, App *app, int (*ready) (App *app));

/* serve.c: erp_fail says what is wrong, and is 1; erp_serve serves until told to stop */
int erp_fail (const char *what, const char *why);
int erp_serve (App *app, const char *pidfile);
Reply erp_reply (unsigned status, json_t *body);
Reply erp_error (unsigned status, const char *code, const char *message);
long erp_now_ms (void);

/* dotenv.c */
json_t *erp_dotenv (const char *path);
const char *erp_env (const App *app, const char *name, const char *otherwise);
json_t *erp_split (const char *list);
int erp_lists (const json_t *list, const char *item);

/* journal.c: one JSON object a line; takes `fields` over */
int erp_journal_open (const char *path);
void erp_journal (const char *level, const char *event, json_t *fields);
void erp_time (char *out, size_t size);

/* database.c: one connection a thread, with a deadline, connected again when lost */
int erp_db_init (const char *url);
json_t *erp_rows (const char *sql, int n, const char *const *values);
json_t *erp_row (const char *sql, int n, const char *const *values);
char *erp_identifier (const char *name);
const char *erp_db_why (void);
int erp_db_lost (void);

/* cache.c: the same for Redis; `found` and `count` are -1 when it is out of reach */
int erp_redis_init (const char *url);
int erp_redis_ping (void);
int erp_redis_get (int n, const char *const *keys, json_t **values);
long long erp_redis_ttl (const char *key);
long long erp_redis_count (const char *key);
int erp_redis_do (int argc, const char **argv);
const char *erp_redis_why (void);

/* tenant.c */
typedef struct Flags {
  int known;                   /* 0: Redis does not answer */
  int blocked;
  int maintenance;
  char message[512];
} Flags;

Flags erp_flags (const char *schema);
int erp_tenant_exists (const char *schema);     /* -1: no database */
Reply erp_dashboard (App *app, const Request *r);
Reply erp_login (App *app, const Request *r);

/* health.c */
Reply erp_health (App *app, const Request *r);
Reply erp_ready (App *app, const Request *r);
Reply erp_golive (App *app, const Request *r);
Reply erp_alerts (App *app, const Request *r);
Reply erp_tenant_health (App *app, const Request *r);
Reply erp_pilot (App *app, const Request *r);
Reply erp_queues (App *app, const Request *r);

#endif
