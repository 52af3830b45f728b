/*
** campaign.c - campaigns: started, stopped, looked at; one message sent
**
** No message leaves the sandbox: `live` and `test` only say what would be.
*/

#define _POSIX_C_SOURCE 200809L

#include "vouchers.h"

static Reply answered (json_t *row) {
  if (!row) return vouchers_database_failed();
  if (json_is_object(row)) return erp_reply(200, row);
  json_decref(row);
  return erp_error(404, "unknown_campaign", "There is no such campaign.");
}

static const char status_sql[] =
  "SELECT c.id, c.state, count(t.id) AS targets,"
  " count(t.id) FILTER (WHERE t.status = 'queued') AS queued,"
  " count(t.id) FILTER (WHERE t.status = 'sent') AS sent,"
  " count(t.id) FILTER (WHERE t.status = 'failed') AS failed"
  " FROM campaigns c LEFT JOIN campaign_targets t ON t.campaign_id = c.id"
  " WHERE c.id::text = $1 GROUP BY c.id, c.state";

/* GET /api/campaigns/ID/status */
Reply vouchers_campaign_status (App *app, const Request *r) {
  (void)app;
  return answered(erp_row(status_sql, 1, &r->segment[2]));
}

static Reply state (const Request *r, const char *now) {
  const char *values[] = {r->segment[2], now};
  return answered(erp_row("UPDATE campaigns SET state = $2, started_at = CASE WHEN $2 ="
    " 'running' THEN now() ELSE started_at END WHERE id::text = $1 RETURNING id, state",
    2, values));
}

/* POST /api/campaigns/ID/start, /stop */
Reply vouchers_campaign_start (App *app, const Request *r) {
  (void)app;
  return state(r, "running");
}

Reply vouchers_campaign_stop (App *app, const Request *r) {
  (void)app;
  return state(r, "stopped");
}

static const char send_sql[] =
  "WITH t AS (INSERT INTO campaign_targets (campaign_id, phone, status, updated_at)"
  "  SELECT id, $2, 'sent', now() FROM campaigns WHERE id::text = $1 RETURNING id),"
  " n AS (INSERT INTO notifications (target_id, status, at) SELECT id, $3, now() FROM t)"
  " SELECT id AS target FROM t";

static Reply send (App *app, const Request *r) {
  const char *phone = NULL;
  if (vouchers_faulty(app, "send")) {
    Reply busy = erp_error(429, "rate_limited", "Too many messages; try again later.");
    busy.retry_after = 30;
    return busy;
  }
  json_t *body = json_loads(r->body, 0, NULL);
  if (json_unpack(body, "{s:s}", "phone", &phone) < 0) {
    json_decref(body);
    return erp_error(400, "bad_request", "{ \"phone\": ... } is expected.");
  }
  const char *values[] = {r->segment[2], phone, vouchers_live(app) ? "delivered" : "test"};
  Reply reply = answered(erp_row(send_sql, 3, values));
  json_decref(body);
  if (reply.status == 200) reply.status = 202;
  return reply;
}

/* POST /api/campaigns/ID/send { "phone": }: one message more */
Reply vouchers_campaign_send (App *app, const Request *r) { return vouchers_once(app, r, send); }
