/*
** polaris.c - the second application of the sandbox: teachers, virtual sessions,
** magic links, invitations, imports
**
** It is there to be operated, as the first one is. Its parts for HTTP, PostgreSQL,
** Redis, .env and the log are those of the school ERP.
*/

#include "polaris/polaris.h"

const char *const erp_name = "polaris-server";

static const Route routes[] = {
  {"GET", {"health"}, polaris_health},
  {"GET", {"provider", "status"}, polaris_provider},
  {"GET", {"features"}, polaris_features},
  {"GET", {"features", "*"}, polaris_feature_get},
  {"PUT", {"features", "*"}, polaris_feature_put},
  {"POST", {"magic-link", "request"}, polaris_link_request},
  {"GET", {"magic-link", "*", "check"}, polaris_link_check},
  {"GET", {"magic-link", "*"}, polaris_link_open},
  {"GET", {"events", "*", "invite.ics"}, polaris_invite},
  {"POST", {"virtual", "import-sheet", "*"}, polaris_import_sheet},
  {NULL, {NULL}, NULL}
};

static int ready (App *app) {
  if (erp_redis_init(erp_env(app, "REDIS_URL", "")) != 0)
    return erp_fail("REDIS_URL", "redis://user:password@host:port/db is expected");
  if (polaris_schedule_start(app) != 0)
    return erp_fail("the schedule", "cannot be started");
  return 0;
}

int main (int argc, char **argv) {
  static App app = {.routes = routes};
  return erp_main(argc, argv, &app, ready);
}
