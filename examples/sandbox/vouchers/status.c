/*
** status.c - how the application and what it rests on are; the manifest of backups
*/

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vouchers.h"

/* a setting as it is in the .env now; `otherwise` where it is not there */
static void setting (const App *app, const char *name, char *out, size_t size,
                     const char *otherwise) {
  json_t *env = erp_dotenv(erp_env(app, "DOTENV_FILE", ".env"));
  const char *value = json_string_value(json_object_get(env, name));
  snprintf(out, size, "%s", value ? value : otherwise);
  json_decref(env);
}

int vouchers_faulty (const App *app, const char *what) {
  char faults[256];
  setting(app, "FAULTS", faults, sizeof faults, "");
  json_t *list = erp_split(faults);
  int is = erp_lists(list, what);
  json_decref(list);
  return is;
}

int vouchers_live (const App *app) {
  char mode[32];
  setting(app, "SEND_MODE", mode, sizeof mode, "test");
  return strcmp(mode, "live") == 0;
}

Reply vouchers_database_failed (void) {
  return erp_db_lost() ? erp_error(503, "database_unavailable", erp_db_why())
                       : erp_error(500, "query_failed", erp_db_why());
}

Reply vouchers_health (App *app, const Request *r) {
  (void)r;
  return erp_reply(200, json_pack("{s:s, s:i, s:s}", "status", "ok", "pid", (int)getpid(),
                                  "instance", erp_env(app, "INSTANCE_TOKEN", "")));
}

/* GET /api/integrations/status */
Reply vouchers_status (App *app, const Request *r) {
  char at[64];
  (void)r;
  json_t *row = erp_row("SELECT count(*) AS vouchers FROM vouchers", 0, NULL);
  int database = row != NULL, png = !vouchers_faulty(app, "png");
  int whatsapp = !vouchers_faulty(app, "send");
  json_decref(row);
  erp_time(at, sizeof at);
  return erp_reply(200, json_pack("{s:s, s:s, s:s, s:{s:{s:s}, s:{s:s}, s:{s:s, s:s}}}",
    "environment", erp_env(app, "ENVIRONMENT", "unknown"), "checkedAt", at,
    "overall", database && png && whatsapp ? "green" : "red", "integrations",
    "database", "status", database ? "green" : "red",
    "voucher_png", "status", png ? "green" : "red",
    "whatsapp", "status", whatsapp ? "green" : "red",
    "mode", vouchers_live(app) ? "live" : "test"));
}

/* GET /v1/projects/REF/backups: what the platform has of one project, for its token */
Reply vouchers_manifest (App *app, const Request *r) {
  const char *token = erp_env(app, "ACCESS_TOKEN", "");
  if (*token == '\0' || !r->session || strcmp(r->session, token) != 0
      || vouchers_faulty(app, "manifest"))
    return erp_error(401, "unauthorized", "The access token is not valid.");
  if (strcmp(r->segment[2], erp_env(app, "PROJECT_REF", "")) != 0)
    return erp_error(404, "unknown_project", "There is no such project.");
  return erp_reply(200, json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "project", r->segment[2],
    "region", "local", "backups", "id", "nightly", "status", "COMPLETED"));
}
