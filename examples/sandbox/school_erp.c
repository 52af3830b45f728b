/*
** school_erp.c - the application of the sandbox: a small school ERP over HTTP
**
** It is there to be operated: it serves schools (PostgreSQL schemas), honours
** the flags that people on call set in Redis and in its .env, tells its health
** from what it finds in both, and goes on answering when one of them is gone.
*/

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>

#include "erp/erp.h"

const char *const erp_name = "school-erp-server";

static const Route routes[] = {
  {"GET", {"health"}, erp_health},
  {"GET", {"health", "ready"}, erp_ready},
  {"GET", {"health", "golive"}, erp_golive},
  {"GET", {"health", "golive", "alerts"}, erp_alerts},
  {"GET", {"health", "golive", "pilot"}, erp_pilot},
  {"GET", {"health", "golive", "tenant", "*"}, erp_tenant_health},
  {"GET", {"health", "queues"}, erp_queues},
  {"GET", {"t", "*", "dashboard"}, erp_dashboard},
  {"POST", {"t", "*", "login"}, erp_login},
  {NULL, {NULL}, NULL}
};

static int settings_read (App *app, const char *path) {
  app->env = erp_dotenv(path);
  if (!app->env) return erp_fail("cannot read", path);
  app->disabled = erp_split(erp_env(app, "DISABLED_TENANTS", ""));
  app->release = json_load_file(erp_env(app, "RELEASE_FILE", "dist/release.json"),
                                0, NULL);
  if (!app->release) app->release = json_object();
  app->started = time(NULL);
  if (erp_db_init(erp_env(app, "DATABASE_URL", "")) != 0)
    return erp_fail("DATABASE_URL", "cannot be used");
  if (erp_redis_init(erp_env(app, "REDIS_URL", "")) != 0)
    return erp_fail("REDIS_URL", "redis://user:password@host:port/db is expected");
  if (erp_journal_open(erp_env(app, "LOG_FILE", "school-erp.log")) < 0)
    return erp_fail("cannot write the log", erp_env(app, "LOG_FILE", "school-erp.log"));
  return 0;
}

int main (int argc, char **argv) {
  static App app = {.routes = routes};
  const char *env = ".env", *pidfile = NULL;
  for (int i = 1; i < argc; i++) {
    if (i + 1 < argc && strcmp(argv[i], "--env") == 0) env = argv[++i];
    else if (i + 1 < argc && strcmp(argv[i], "--pidfile") == 0) pidfile = argv[++i];
    else return erp_fail("usage", "school-erp-server [--env FILE] [--pidfile FILE]");
  }
  int status = settings_read(&app, env);
  if (status == 0) status = erp_serve(&app, pidfile);
  json_decref(app.env);
  json_decref(app.disabled);
  json_decref(app.release);
  return status;
}
