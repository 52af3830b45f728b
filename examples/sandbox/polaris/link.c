/*
** link.c - magic links: asked for by e-mail, looked at, opened once
**
** What a link shows is decided by its teacher_id alone, as in the application
** that this one stands for: a link bound to the wrong teacher shows that one's.
*/

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "polaris.h"

static Reply database_failed (void) {
  return erp_db_lost() ? erp_error(503, "database_unavailable", erp_db_why())
                       : erp_error(500, "query_failed", erp_db_why());
}

static Reply switched_off (void) {
  return erp_error(503, "switched_off", "Magic links are switched off for the moment.");
}

static int token_make (char *out, size_t bytes) {
  unsigned char raw[64];
  if (getrandom(raw, bytes, 0) != (ssize_t)bytes) return 0;
  for (size_t i = 0; i < bytes; i++) sprintf(out + 2 * i, "%02x", raw[i]);
  return 1;
}

static const char make[] =
  "WITH t AS (SELECT id FROM teacher_progress WHERE active"
  "  AND lower(btrim(email)) = lower(btrim($1))),"
  " asked AS (INSERT INTO audit_log (action, actor, detail) SELECT"
  "  CASE WHEN EXISTS (SELECT FROM t) THEN 'magic_link_requested'"
  "  ELSE 'magic_link_refused' END, lower(btrim($1)), jsonb_build_object('email',"
  "  lower(btrim($1)), 'reason', CASE WHEN EXISTS (SELECT FROM t) THEN NULL ELSE 'not_found' END)),"
  " link AS (INSERT INTO magic_link (token, email, teacher_id, created_at, expires_at)"
  "  SELECT $2, lower(btrim($1)), id, now(), now() + $3::interval FROM t RETURNING email),"
  " mail AS (INSERT INTO email_delivery (message_id, recipient, kind, status, error, sent_at)"
  "  SELECT '<' || left(md5($2), 12) || '@polaris.example.org>', email, 'magic_link',"
  "  CASE WHEN down THEN 'failed' ELSE 'delivered' END,"
  "  CASE WHEN down THEN 'provider unavailable' END, now() FROM link,"
  "  (SELECT EXISTS (SELECT FROM app_setting WHERE name = 'provider:status'"
  "   AND value <> 'up') AS down) p)"
  " SELECT count(*) AS links FROM link";

/* POST /magic-link/request { "email": }: the answer never tells the token */
Reply polaris_link_request (App *app, const Request *r) {
  const char *email = NULL;
  char token[65];
  if (!polaris_feature(app, "magic_link")) return switched_off();
  json_t *body = json_loads(r->body, 0, NULL);
  if (json_unpack(body, "{s:s}", "email", &email) < 0 || !token_make(token, 32)) {
    json_decref(body);
    return erp_error(400, "bad_request", "{ \"email\": ... } is expected.");
  }
  const char *values[] = {email, token, erp_env(app, "MAGIC_LINK_LIFETIME", "24 hours")};
  json_t *row = erp_row(make, 3, values);
  json_decref(body);
  if (!row) return database_failed();
  int links = (int)json_integer_value(json_object_get(row, "links"));
  json_decref(row);
  return links ? erp_reply(202, json_pack("{s:s}", "status", "sent"))
               : erp_error(404, "not_found", "This e-mail is not on the roster.");
}

#define STATE "CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN used_at IS NOT NULL" \
  " THEN 'used' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END"

static json_t *link_look (const char *token) {
  const char *values[] = {token};
  return erp_row("SELECT " STATE " AS state, email, teacher_id, to_char(expires_at AT TIME"
    " ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS expires_at FROM magic_link"
    " WHERE token = $1", 1, values);
}

/* GET /magic-link/TOKEN/check: is it good? Looks, and uses nothing up */
Reply polaris_link_check (App *app, const Request *r) {
  if (!polaris_feature(app, "magic_link")) return switched_off();
  json_t *row = link_look(r->segment[1]);
  if (!row) return database_failed();
  if (json_is_object(row)) return erp_reply(200, row);
  json_decref(row);
  return erp_error(404, "unknown_link", "There is no such link.");
}

static Reply link_refused (const char *token, const char *state) {
  const char *values[] = {token, state};
  json_decref(erp_rows("INSERT INTO audit_log (action, actor, detail) SELECT"
    " 'magic_link_refused', email, jsonb_build_object('email', email, 'token',"
    " left(md5(token), 12), 'reason', $2::text) FROM magic_link WHERE token = $1", 2, values));
  return erp_error(410, state, "This link is no longer good: ask for a new one.");
}

static const char open_sql[] =
  "WITH l AS (UPDATE magic_link SET used_at = now() WHERE token = $1 AND revoked_at IS NULL"
  "  AND used_at IS NULL AND expires_at > now() RETURNING token, email, teacher_id),"
  " seen AS (INSERT INTO audit_log (action, actor, detail) SELECT 'magic_link_opened', email,"
  "  jsonb_build_object('email', email, 'token', left(md5(token), 12), 'teacher_id',"
  "  teacher_id, 'ip', $2::text) FROM l)"
  " SELECT t.name, t.email, t.status, t.building FROM l JOIN teacher_progress t"
  " ON t.id = l.teacher_id";

/* GET /magic-link/TOKEN: the dashboard, once */
Reply polaris_link_open (App *app, const Request *r) {
  const char *values[] = {r->segment[1], r->ip};
  if (!polaris_feature(app, "magic_link")) return switched_off();
  json_t *row = erp_row(open_sql, 2, values);
  if (!row) return database_failed();
  if (json_is_object(row)) return erp_reply(200, row);
  json_decref(row);
  row = link_look(r->segment[1]);
  if (!row) return database_failed();
  Reply reply = json_is_object(row)
    ? link_refused(r->segment[1], json_string_value(json_object_get(row, "state")))
    : erp_error(404, "unknown_link", "There is no such link.");
  json_decref(row);
  return reply;
}
