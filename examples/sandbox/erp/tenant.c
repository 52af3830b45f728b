/*
** tenant.c - a school's own traffic: its dashboard and its logins
*/

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erp.h"

#define KEY_SIZE 192
#define SQL_SIZE 2048

static const char *const prefixes[] = {
  "tenant:blocked:", "tenant:maintenance:", "tenant:maintenance:message:",
  "cache:dashboard:"
};

#define PREFIXES (sizeof prefixes / sizeof *prefixes)

/* the flags of a school in Redis, and the numbers kept of it, in one question */
static Flags look (const char *schema, json_t **numbers) {
  char names[PREFIXES][KEY_SIZE];
  const char *keys[PREFIXES];
  json_t *values[PREFIXES];
  Flags f = {.known = 0};
  for (size_t i = 0; i < PREFIXES; i++) {
    snprintf(names[i], KEY_SIZE, "%s%s", prefixes[i], schema);
    keys[i] = names[i];
  }
  if (erp_redis_get(PREFIXES, keys, values) < 0) return f;
  f.known = 1;
  f.blocked = json_is_string(values[0]);
  f.maintenance = json_is_string(values[1]);
  const char *text = json_string_value(values[2]);
  snprintf(f.message, sizeof f.message, "%s",
           text ? text : "System maintenance in progress.");
  text = json_string_value(values[3]);
  *numbers = text ? json_loads(text, 0, NULL) : NULL;
  for (size_t i = 0; i < PREFIXES; i++) json_decref(values[i]);
  return f;
}

Flags erp_flags (const char *schema) {
  json_t *numbers = NULL;
  Flags f = look(schema, &numbers);
  json_decref(numbers);
  return f;
}

/* a school is a schema with sessions; the name is data, never part of the SQL */
int erp_tenant_exists (const char *schema) {
  const char *values[] = {schema};
  json_t *row = erp_row(
    "SELECT true AS found FROM pg_namespace n JOIN pg_class c "
    "ON c.relnamespace = n.oid WHERE n.nspname = $1::text "
    "AND c.relname = 'user_sessions' AND c.relkind IN ('r', 'p')", 1, values);
  if (!row) return -1;
  int found = json_is_object(row);
  json_decref(row);
  return found;
}

static Reply database_failed (void) {
  return erp_db_lost()
    ? erp_error(503, "database_unavailable", erp_db_why())
    : erp_error(500, "query_failed", erp_db_why());
}

static Reply blocked (const char *schema) {
  char key[KEY_SIZE];
  snprintf(key, sizeof key, "%s%s", prefixes[0], schema);
  long long ttl = erp_redis_ttl(key);
  Reply r = erp_error(503, "tenant_blocked",
                      "This school is offline for the moment.");
  if (ttl > 0) r.retry_after = (long)ttl;
  return r;
}

/* may this school be served now? status 0 means yes */
static Reply admit (const App *app, const char *schema, json_t **kept) {
  *kept = NULL;
  if (erp_lists(app->disabled, schema))
    return erp_error(503, "tenant_disabled", "This school is switched off.");
  Flags f = look(schema, kept);
  if (!f.known) return erp_error(503, "redis_unavailable", erp_redis_why());
  if (f.maintenance) return erp_error(503, "tenant_maintenance", f.message);
  if (f.blocked) return blocked(schema);
  if (*kept) return (Reply){.status = 0};      /* only a school has numbers */
  int found = erp_tenant_exists(schema);
  if (found < 0) return database_failed();
  if (!found) return erp_error(404, "unknown_tenant", "There is no such school.");
  return (Reply){.status = 0};
}

/* a row of `format`, in which @ stands for the quoted schema */
static json_t *tenant_row (const char *format, const char *schema, int n,
                           const char *const *values) {
  char sql[SQL_SIZE];
  char *name = erp_identifier(schema);
  if (!name) return NULL;
  char *out = sql;
  for (const char *p = format; *p != '\0' && out < sql + SQL_SIZE - 140; p++) {
    if (*p == '@') out = stpcpy(out, name);
    else *out++ = *p;
  }
  *out = '\0';
  free(name);
  return erp_row(sql, n, values);
}

static const char numbers[] =
  "SELECT (SELECT count(*) FROM @.students WHERE active) AS students,"
  " (SELECT count(*) FROM @.teachers WHERE active) AS teachers,"
  " (SELECT count(*) FROM @.classes) AS classes,"
  " (SELECT count(*) FROM @.user_sessions WHERE is_active) AS \"activeSessions\","
  " (SELECT count(*) FROM @.fees WHERE paid_at IS NULL) AS \"openFees\"";

/* a revoked session is turned away; no session at all sees the numbers */
static Reply session_check (const char *schema, const char *session) {
  const char *values[] = {session};
  json_t *row = tenant_row("SELECT is_active FROM @.user_sessions "
                           "WHERE id::text = $1", schema, 1, values);
  if (!row) return database_failed();
  int active = json_is_true(json_object_get(row, "is_active"));
  json_decref(row);
  if (active) return (Reply){.status = 0};
  return erp_error(401, "session_revoked", "Please sign in again.");
}

Reply erp_dashboard (App *app, const Request *r) {
  const char *schema = r->segment[1];
  json_t *kept;
  Reply refused = admit(app, schema, &kept);
  if (refused.status == 0 && r->session)
    refused = session_check(schema, r->session);
  if (refused.status != 0) {
    json_decref(kept);
    return refused;
  }
  json_t *found = kept ? kept : tenant_row(numbers, schema, 0, NULL);
  if (!found) return database_failed();
  return erp_reply(200, json_pack("{s:s, s:b, s:o}", "tenant", schema,
                                  "cached", kept != NULL, "numbers", found));
}

/* the numbers have changed: keep them for the next dashboards */
static void cache_numbers (const char *schema) {
  json_t *row = tenant_row(numbers, schema, 0, NULL);
  char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
  if (text) {
    char name[KEY_SIZE];
    snprintf(name, sizeof name, "%s%s", prefixes[3], schema);
    const char *argv[] = {"SET", name, text, "EX", "300"};
    erp_redis_do(5, argv);
  }
  free(text);
  json_decref(row);
}

static Reply login_failed (const char *schema, const char *email,
                           const char *role, const char *ip) {
  const char *values[] = {email, ip};
  json_t *row = tenant_row(
    "INSERT INTO @.login_attempts (email, ip, ok) VALUES ($1, $2, false) "
    "RETURNING (SELECT count(*) + 1 FROM @.login_attempts WHERE NOT ok "
    "AND ip = $2 AND at > now() - interval '1 minute') AS failures",
    schema, 2, values);
  if (!row) return database_failed();
  json_int_t failures = json_integer_value(json_object_get(row, "failures"));
  json_decref(row);
  int admin = role && strcmp(role, "admin") == 0;
  erp_journal("warn", admin ? "ADMIN_LOGIN_FAILED" : "LOGIN_FAILED",
    json_pack("{s:s, s:s, s:s, s:I}", "tenant", schema, "user", email,
              "ip", ip, "login_failures", failures));
  return erp_error(401, "bad_credentials", "The e-mail or the password is wrong.");
}

static Reply login_done (const char *schema, json_int_t user, const char *email,
                         const char *ip) {
  char id[32];
  snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT, user);
  const char *values[] = {id, email, ip};
  json_t *row = tenant_row(
    "WITH attempt AS (INSERT INTO @.login_attempts (email, ip, ok) "
    "VALUES ($2, $3, true)), trace AS (INSERT INTO @.audit_log "
    "(actor, action, detail) VALUES ($2, 'login', jsonb_build_object('ip', $3::text))) "
    "INSERT INTO @.user_sessions (user_id, is_active) VALUES ($1::bigint, true) "
    "RETURNING id", schema, 3, values);
  if (!row) return database_failed();
  json_int_t session = json_integer_value(json_object_get(row, "id"));
  json_decref(row);
  cache_numbers(schema);
  erp_journal("info", "LOGIN", json_pack("{s:s, s:s, s:s, s:I}", "tenant", schema,
              "user", email, "ip", ip, "session", session));
  return erp_reply(201, json_pack("{s:s, s:I, s:I}", "tenant", schema,
                                  "session", session, "user", user));
}

Reply erp_login (App *app, const Request *r) {
  const char *schema = r->segment[1];
  const char *email = NULL, *password = NULL;
  json_t *kept;
  Reply refused = admit(app, schema, &kept);
  json_decref(kept);
  if (refused.status != 0) return refused;
  json_t *body = json_loads(r->body, 0, NULL);
  if (json_unpack(body, "{s:s, s:s}", "email", &email, "password", &password) < 0) {
    json_decref(body);
    return erp_error(400, "bad_request", "A JSON object with email and password"
                     " is expected.");
  }
  const char *values[] = {email, password};
  json_t *row = tenant_row(
    "SELECT u.id, r.name AS role, u.password_hash = "
    "encode(sha256(convert_to(u.salt || $2, 'UTF8')), 'hex') AS matches "
    "FROM @.users u JOIN @.roles r ON r.id = u.role_id "
    "WHERE lower(u.email) = lower($1) AND u.active", schema, 2, values);
  Reply reply;
  if (!row)
    reply = database_failed();
  else if (json_is_true(json_object_get(row, "matches")))
    reply = login_done(schema, json_integer_value(json_object_get(row, "id")),
                       email, r->ip);
  else
    reply = login_failed(schema, email,
                         json_string_value(json_object_get(row, "role")), r->ip);
  json_decref(row);
  json_decref(body);
  return reply;
}
