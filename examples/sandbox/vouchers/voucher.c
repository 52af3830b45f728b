/*
** voucher.c - vouchers: issued, redeemed at a desk, redeemed at a station
*/

#define _POSIX_C_SOURCE 200809L

#include <string.h>

#include "vouchers.h"

static const char issue_sql[] =
  "WITH v AS (INSERT INTO vouchers (code, status, station_scope, campaign_id)"
  "  SELECT 'V-' || upper(left(md5(random()::text || clock_timestamp()), 10)), 'issued',"
  "  $1, (SELECT min(id) FROM campaigns) RETURNING id, code, station_scope),"
  " e AS (INSERT INTO voucher_events (voucher_id, at, kind) SELECT id, now(), 'issued' FROM v)"
  " SELECT code, station_scope FROM v";

static Reply issue (App *app, const Request *r) {
  const char *scope = NULL;
  if (vouchers_faulty(app, "issue"))
    return erp_error(500, "issue_failed", "The voucher could not be issued.");
  json_t *body = json_loads(r->body, 0, NULL);
  if (json_unpack(body, "{s:s}", "station_scope", &scope) < 0) {
    json_decref(body);
    return erp_error(400, "bad_request", "{ \"station_scope\": ... } is expected.");
  }
  json_t *row = erp_row(issue_sql, 1, &scope);
  json_decref(body);
  return row ? erp_reply(201, row) : vouchers_database_failed();
}

/* POST /api/vouchers/issue { "station_scope": } */
Reply vouchers_issue (App *app, const Request *r) { return vouchers_once(app, r, issue); }

/* $1 code, $2 station, $3 idempotency key, $4 'twice': one that is redeemed, too */
static const char redeem_sql[] =
  "WITH v AS (UPDATE vouchers SET status = 'redeemed' WHERE code = $1"
  "  AND (status = 'issued' OR $4 = 'twice' AND status = 'redeemed')"
  "  AND ($2 = 'desk' OR station_scope IN ('any', $2))"
  "  AND NOT EXISTS (SELECT FROM voucher_events e WHERE e.idempotency_key = $3) RETURNING id),"
  " e AS (INSERT INTO voucher_events (voucher_id, at, kind, station, idempotency_key)"
  "  SELECT id, now(), 'redeemed', $2, $3 FROM v RETURNING voucher_id)"
  " SELECT count(*) AS done FROM e";

static const char why_sql[] =
  "SELECT status, $2 <> 'desk' AND station_scope NOT IN ('any', $2) AS elsewhere,"
  " EXISTS (SELECT FROM voucher_events e WHERE e.voucher_id = v.id"
  "         AND e.idempotency_key = $3) AS known FROM vouchers v WHERE code = $1";

static Reply not_redeemed (const char *const *values) {
  json_t *row = erp_row(why_sql, 3, values);
  if (!row) return vouchers_database_failed();
  int there = json_is_object(row);
  int known = json_is_true(json_object_get(row, "known"));
  int elsewhere = json_is_true(json_object_get(row, "elsewhere"));
  json_decref(row);
  if (!there) return erp_error(404, "unknown_voucher", "There is no such voucher.");
  if (known) return erp_reply(200, json_pack("{s:s, s:b}", "status", "redeemed", "replayed", 1));
  if (elsewhere)
    return erp_error(403, "scope_mismatch", "The voucher is not for this station.");
  return erp_error(409, "not_redeemable", "The voucher is redeemed already, or void.");
}

static Reply redeem (App *app, const Request *r, int station) {
  const char *code = NULL, *where = "desk", *key = NULL;
  json_t *body = json_loads(r->body, 0, NULL);
  int wrong = station
    ? json_unpack(body, "{s:s, s:s, s:s}", "code", &code, "station", &where, "idempotency_key", &key)
    : json_unpack(body, "{s:s, s:s}", "code", &code, "idempotency_key", &key);
  if (wrong < 0) {
    json_decref(body);
    return erp_error(400, "bad_request", "code and idempotency_key are expected.");
  }
  if (station && vouchers_faulty(app, "scope")) where = "another";
  const char *values[] = {code, where, key, vouchers_faulty(app, "twice") ? "twice" : ""};
  json_t *row = erp_row(redeem_sql, 4, values);
  Reply reply = row == NULL ? vouchers_database_failed()
    : json_integer_value(json_object_get(row, "done")) == 0 ? not_redeemed(values)
    : erp_reply(200, json_pack("{s:s, s:b}", "status", "redeemed", "replayed", 0));
  json_decref(row);
  json_decref(body);
  return reply;
}

static Reply at_desk (App *app, const Request *r) { return redeem(app, r, 0); }
static Reply at_station (App *app, const Request *r) { return redeem(app, r, 1); }

/* POST /api/vouchers/redeem { "code":, "idempotency_key": } */
Reply vouchers_redeem (App *app, const Request *r) { return vouchers_once(app, r, at_desk); }

/* POST /api/station/redeem { "code":, "station":, "idempotency_key": } */
Reply vouchers_station_redeem (App *app, const Request *r) {
  return vouchers_once(app, r, at_station);
}
