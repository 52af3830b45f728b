/*
** polaris.c - the second application of the sandbox: teachers, virtual sessions,
** magic links, imports
**
** It is there to be operated, as the first one is. Its parts for HTTP, PostgreSQL,
** Redis, .env and the log are those of the school ERP.
*/

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

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
  {"POST", {"virtual", "import-sheet", "*"}, polaris_import_sheet},
  {NULL, {NULL}, NULL}
};

static int settings_read (App *app, const char *path) {
  app->env = erp_dotenv(path);
  if (!app->env) return erp_fail("cannot read", path);
  json_object_set_new(app->env, "DOTENV_FILE", json_string(path));
  app->started = time(NULL);
  if (erp_db_init(erp_env(app, "DATABASE_URL", "")) != 0)
    return erp_fail("DATABASE_URL", "cannot be used");
  if (erp_redis_init(erp_env(app, "REDIS_URL", "")) != 0)
    return erp_fail("REDIS_URL", "redis://user:password@host:port/db is expected");
  if (erp_journal_open(erp_env(app, "LOG_FILE", "polaris.log")) < 0)
    return erp_fail("cannot write the log", erp_env(app, "LOG_FILE", "polaris.log"));
  return 0;
}

/* before any thread is there, so that all of them leave the signals to the first */
static void signals_block (void) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
}

int main (int argc, char **argv) {
  static App app = {.routes = routes};
  const char *env = ".env", *pidfile = NULL;
  for (int i = 1; i < argc; i++) {
    if (i + 1 < argc && strcmp(argv[i], "--env") == 0) env = argv[++i];
    else if (i + 1 < argc && strcmp(argv[i], "--pidfile") == 0) pidfile = argv[++i];
    else return erp_fail("usage", "polaris-server [--env FILE] [--pidfile FILE]");
  }
  signals_block();
  int status = settings_read(&app, env);
  if (status == 0 && polaris_schedule_start(&app) != 0)
    status = erp_fail("the schedule", "cannot be started");
  if (status == 0) status = erp_serve(&app, pidfile);
  return status;
}
