/*
** health.c - how the application is, told from what it finds
**
** Everything is looked at when it is asked for: a health page that remembers
** is worse than none. GREEN, YELLOW and RED are levels, and the worst counts.
** A school that is blocked, in maintenance or disabled speaks for itself only:
** it no longer darkens the health of the whole.
*/

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "erp.h"

enum { GREEN, YELLOW, RED };

#define LATENCY_LIMIT 1000     /* milliseconds */
#define FAILED_JOBS_LIMIT 10
#define LOGIN_FAILURES_LIMIT 20        /* a minute */
#define ERRORS_LIMIT 50        /* an hour, of one school */

static const char *const names[] = {"GREEN", "YELLOW", "RED"};
static const char *const queues[] = {"notifications", "reports"};

typedef struct Report {
  int level;
  json_t *checks;
  json_t *alerts;
} Report;

static void worsen (int *level, int to) {
  if (to > *level) *level = to;
}

static void alert (Report *r, const char *code, const char *severity,
                   const char *tenant, json_t *value, json_int_t limit) {
  json_t *a = json_pack("{s:s, s:s, s:o, s:I}", "code", code, "severity", severity,
                        "value", value, "threshold", limit);
  if (tenant) json_object_set_new(a, "tenant", json_string(tenant));
  json_array_append_new(r->alerts, a);
}

/* takes `check` over */
static void note (Report *r, const char *name, int level, json_t *check) {
  json_object_set_new(check, "status", json_string(names[level]));
  json_object_set_new(r->checks, name, check);
  worsen(&r->level, level);
}

static json_int_t number (const json_t *row, const char *name) {
  return json_integer_value(json_object_get(row, name));
}

static int database_ok (void) {
  json_t *row = erp_row("SELECT 1", 0, NULL);
  json_decref(row);
  return row != NULL;
}

static int check_database (Report *r) {
  long start = erp_now_ms();
  int up = database_ok();
  json_int_t ms = erp_now_ms() - start;
  if (!up) {
    alert(r, "DB_DOWN", "P0", NULL, json_string(erp_db_why()), 0);
    note(r, "db", RED, json_pack("{s:s}", "error", erp_db_why()));
  } else {
    int slow = ms > LATENCY_LIMIT;
    if (slow) alert(r, "DB_HIGH_LATENCY", "P0", NULL, json_integer(ms),
                    LATENCY_LIMIT);
    note(r, "db", slow ? YELLOW : GREEN, json_pack("{s:I}", "latencyMs", ms));
  }
  return up;
}

static int check_redis (Report *r) {
  long start = erp_now_ms();
  int up = erp_redis_ping() == 0;
  json_int_t ms = erp_now_ms() - start;
  if (up) {
    note(r, "redis", GREEN, json_pack("{s:I}", "latencyMs", ms));
  } else {
    alert(r, "REDIS_DISCONNECT", "P0", NULL, json_string(erp_redis_why()), 0);
    note(r, "redis", RED, json_pack("{s:s}", "error", erp_redis_why()));
  }
  return up;
}

static long long queue_part (const char *queue, const char *part) {
  char key[96];
  snprintf(key, sizeof key, "bull:%s:%s", queue, part);
  return erp_redis_count(key);
}

static void check_queues (Report *r) {
  json_t *check = json_object();
  int level = GREEN;
  for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
    long long failed = queue_part(queues[i], "failed");
    json_object_set_new(check, queues[i], json_pack("{s:I}", "failed",
                                                    (json_int_t)failed));
    if (failed <= FAILED_JOBS_LIMIT) continue;
    worsen(&level, YELLOW);
    alert(r, "DLQ_SPIKE", "P1", NULL, json_integer(failed), FAILED_JOBS_LIMIT);
  }
  note(r, "queue", level, check);
}

/* one school, looked at; NULL when its tables cannot be read */
static json_t *school_look (const char *schema) {
  static const char format[] =
    "SELECT (SELECT count(*) FROM %1$s.user_sessions) AS sessions,"
    " (SELECT count(*) FROM %1$s.user_sessions WHERE is_active) AS active,"
    " (SELECT count(*) FROM %1$s.login_attempts WHERE NOT ok"
    "   AND at > now() - interval '1 minute') AS failed_logins,"
    " (SELECT count(*) FROM %1$s.jobs WHERE status = 'failed') AS failed_jobs,"
    " (SELECT count(*) FROM %1$s.jobs WHERE status = 'waiting') AS waiting_jobs,"
    " (SELECT count(*) FROM %1$s.error_events"
    "   WHERE at > now() - interval '1 hour') AS errors,"
    " (SELECT name FROM public.schools WHERE schema_name = $1) AS school";
  const char *values[] = {schema};
  char sql[2048];
  char *name = erp_identifier(schema);
  if (!name) return NULL;
  snprintf(sql, sizeof sql, format, name);
  free(name);
  return erp_row(sql, 1, values);
}

/* the checks of one school, from its row */
static void school_judge (Report *r, const json_t *row) {
  json_int_t logins = number(row, "failed_logins");
  json_int_t jobs = number(row, "failed_jobs");
  json_int_t errors = number(row, "errors");
  note(r, "sessions", GREEN, json_pack("{s:I, s:I}", "active",
       number(row, "active"), "total", number(row, "sessions")));
  note(r, "logins", logins > LOGIN_FAILURES_LIMIT ? RED
       : logins > LOGIN_FAILURES_LIMIT / 2 ? YELLOW : GREEN,
       json_pack("{s:I, s:i}", "failedLastMinute", logins,
                 "threshold", LOGIN_FAILURES_LIMIT));
  note(r, "jobs", jobs > FAILED_JOBS_LIMIT ? RED : GREEN,
       json_pack("{s:I, s:I, s:i}", "failed", jobs, "waiting",
                 number(row, "waiting_jobs"), "threshold", FAILED_JOBS_LIMIT));
  note(r, "errors", errors > ERRORS_LIMIT ? RED
       : errors > ERRORS_LIMIT / 2 ? YELLOW : GREEN,
       json_pack("{s:I, s:i}", "lastHour", errors, "threshold", ERRORS_LIMIT));
}

static json_t *schools_list (void) {
  return erp_rows(
    "SELECT n.nspname::text AS schema FROM pg_namespace n JOIN pg_class c "
    "ON c.relnamespace = n.oid JOIN public.schools s ON s.schema_name = n.nspname "
    "WHERE c.relname = 'user_sessions' AND c.relkind IN ('r', 'p') "
    "ORDER BY n.nspname", 0, NULL);
}

static int isolated (const App *app, const char *schema) {
  if (erp_lists(app->disabled, schema)) return 1;
  Flags f = erp_flags(schema);
  return f.blocked || f.maintenance;
}

/* a school's own level, and its failed logins added to `logins` */
static int school_level (const char *schema, json_int_t *logins) {
  Report own = {GREEN, json_object(), json_array()};
  json_t *row = school_look(schema);
  if (row) {
    school_judge(&own, row);
    *logins += number(row, "failed_logins");
  } else {
    own.level = RED;
  }
  json_decref(row);
  json_decref(own.checks);
  json_decref(own.alerts);
  return own.level;
}

static void check_schools (const App *app, Report *r) {
  json_t *list = schools_list();
  json_t *check = json_object(), *apart = json_array();
  json_int_t logins = 0;
  int level = GREEN;
  size_t i;
  json_t *each;
  json_array_foreach(list, i, each) {
    const char *schema = json_string_value(json_object_get(each, "schema"));
    if (isolated(app, schema)) {
      json_array_append_new(apart, json_string(schema));
      continue;
    }
    int own = school_level(schema, &logins);
    json_object_set_new(check, schema, json_string(names[own]));
    if (own == GREEN) continue;
    worsen(&level, YELLOW);
    if (own == RED) alert(r, "TENANT_RED", "P1", schema, json_string("RED"), 0);
  }
  int spike = logins > LOGIN_FAILURES_LIMIT;
  if (spike) alert(r, "LOGIN_FAILURE_SPIKE", "P1", NULL, json_integer(logins),
                   LOGIN_FAILURES_LIMIT);
  note(r, "logins", spike ? YELLOW : GREEN,
       json_pack("{s:I}", "failedLastMinute", logins));
  note(r, "tenants", level, json_pack("{s:o, s:o}", "each", check,
                                      "isolated", apart));
  json_decref(list);
}

/* has the migration run that this release needs? -1: cannot be told */
static int release_fits (const App *app, json_int_t *needs, json_int_t *has) {
  *needs = number(app->release, "schema");
  json_t *row = erp_row("SELECT max(version) AS version "
                        "FROM public.schema_migrations", 0, NULL);
  if (!row) return -1;
  *has = number(row, "version");
  json_decref(row);
  return *has >= *needs;
}

static void check_release (const App *app, Report *r) {
  json_int_t needs, has = 0;
  int fits = release_fits(app, &needs, &has) == 1;
  if (!fits) alert(r, "MIGRATION_MISSING", "P0", NULL, json_integer(has), needs);
  note(r, "release", fits ? GREEN : RED, json_pack("{s:O?, s:I, s:I}", "version",
       json_object_get(app->release, "version"), "needs", needs, "has", has));
}

static Report look (const App *app) {
  Report r = {GREEN, json_object(), json_array()};
  int db = check_database(&r);
  if (db) check_release(app, &r);
  int redis = check_redis(&r);
  if (redis) check_queues(&r);
  if (db && redis) check_schools(app, &r);
  return r;
}

static json_t *now_text (void) {
  char at[64];
  erp_time(at, sizeof at);
  return json_string(at);
}

Reply erp_golive (App *app, const Request *r) {
  (void)r;
  Report all = look(app);
  json_t *body = json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:o}",
    "overallHealth", names[all.level], "checks", all.checks, "alerts", all.alerts,
    "uptimeSeconds", (json_int_t)(time(NULL) - app->started),
    "requests", (json_int_t)atomic_load(&app->requests),
    "failures", (json_int_t)atomic_load(&app->failures), "at", now_text());
  return erp_reply(all.level == RED ? 503 : 200, body);
}

Reply erp_alerts (App *app, const Request *r) {
  (void)r;
  Report all = look(app);
  json_decref(all.checks);
  return erp_reply(200, all.alerts);
}

/* is the process there? says who it is, so that nobody takes another for it */
Reply erp_health (App *app, const Request *r) {
  const char *version =
    json_string_value(json_object_get(app->release, "version"));
  (void)r;
  return erp_reply(200, json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:O}",
    "status", "ok", "service", "school-erp-server", "version",
    version ? version : "0.0.0", "pid", (int)getpid(), "instance",
    erp_env(app, "INSTANCE_TOKEN", ""), "uptimeSeconds",
    (json_int_t)(time(NULL) - app->started), "disabledTenants", app->disabled));
}

Reply erp_ready (App *app, const Request *r) {
  (void)r;
  json_int_t needs, has;
  int db = release_fits(app, &needs, &has);
  int redis = erp_redis_ping() == 0;
  int queue = redis && queue_part(queues[0], "failed") >= 0;
  int ready = db == 1 && redis && queue;
  return erp_reply(ready ? 200 : 503, json_pack("{s:s, s:{s:s, s:s, s:s}}",
    "status", ready ? "ok" : "down", "checks", "db",
    db == 1 ? "ok" : db == 0 ? "behind" : "down",
    "redis", redis ? "ok" : "down", "queue", queue ? "ok" : "down"));
}

static Reply unreadable (const char *schema) {
  return erp_reply(503, json_pack("{s:s, s:s, s:s}", "tenant", schema,
    "overallHealth", "RED", "error", erp_db_why()));
}

Reply erp_tenant_health (App *app, const Request *r) {
  const char *schema = r->segment[3];
  int found = erp_tenant_exists(schema);
  if (found == 0)
    return erp_error(404, "unknown_tenant", "There is no such school.");
  json_t *row = found > 0 ? school_look(schema) : NULL;
  if (!row) return unreadable(schema);
  Report own = {GREEN, json_object(), json_array()};
  school_judge(&own, row);
  Flags f = erp_flags(schema);
  int disabled = erp_lists(app->disabled, schema);
  if (!f.known)
    note(&own, "redis", RED, json_pack("{s:s}", "error", erp_redis_why()));
  json_t *body = json_pack("{s:s, s:O, s:s, s:b, s:b, s:b, s:b, s:o, s:o}",
    "tenant", schema, "school", json_object_get(row, "school"),
    "overallHealth", names[own.level], "blocked", f.blocked,
    "maintenance", f.maintenance, "disabled", disabled,
    "queuesEnabled", !disabled, "checks", own.checks, "at", now_text());
  if (!f.known) {
    json_object_set_new(body, "blocked", json_null());
    json_object_set_new(body, "maintenance", json_null());
  }
  if (f.maintenance)
    json_object_set_new(body, "maintenanceMessage", json_string(f.message));
  json_decref(own.alerts);
  json_decref(row);
  return erp_reply(200, body);
}

Reply erp_pilot (App *app, const Request *r) {
  (void)r;
  json_t *schools = erp_rows("SELECT schema_name AS schema, name, status "
                             "FROM public.schools ORDER BY schema_name", 0, NULL);
  if (!schools) return erp_error(503, "database_unavailable", erp_db_why());
  int live = 0;
  int most = atoi(erp_env(app, "MAX_SCHOOLS", "0"));
  size_t i;
  json_t *each;
  json_array_foreach(schools, i, each)
    live += strcmp(json_string_value(json_object_get(each, "status")), "live") == 0;
  return erp_reply(200, json_pack("{s:b, s:i, s:i, s:b, s:o}",
    "pilotMode", strcmp(erp_env(app, "PILOT_MODE", "false"), "true") == 0,
    "maxSchools", most, "liveSchools", live, "withinLimit", live <= most,
    "schools", schools));
}

static json_t *queue_look (const char *name) {
  static const char *const parts[] = {
    "wait", "active", "delayed", "failed", "completed"
  };
  json_t *q = json_pack("{s:s}", "name", name);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    long long n = queue_part(name, parts[i]);
    if (n < 0) {
      json_decref(q);
      return NULL;
    }
    json_object_set_new(q, strcmp(parts[i], "wait") == 0 ? "waiting" : parts[i],
                        json_integer(n));
  }
  int spike = number(q, "failed") > FAILED_JOBS_LIMIT;
  json_object_set_new(q, "status", json_string(spike ? "DLQ_SPIKE" : "ok"));
  return q;
}

Reply erp_queues (App *app, const Request *r) {
  json_t *list = json_array();
  (void)r;
  for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
    json_t *q = queue_look(queues[i]);
    if (!q) {
      json_decref(list);
      return erp_error(503, "redis_unavailable", erp_redis_why());
    }
    json_array_append_new(list, q);
  }
  return erp_reply(200, json_pack("{s:o, s:O}", "queues", list,
                                  "disabledTenants", app->disabled));
}
