/*
** start.c - what an application does before it serves: words, settings, database, log
*/

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "erp.h"

/* before any thread is there, so that all of them leave the signals to the first */
static void signals_block (void) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static int settings_read (App *app, const char *path) {
  app->env = erp_dotenv(path);
  if (!app->env) return erp_fail("cannot read", path);
  json_object_set_new(app->env, "DOTENV_FILE", json_string(path));
  app->started = time(NULL);
  const char *log = erp_env(app, "LOG_FILE", "server.log");
  if (erp_db_init(erp_env(app, "DATABASE_URL", "")) != 0)
    return erp_fail("DATABASE_URL", "cannot be used");
  if (erp_journal_open(log) < 0) return erp_fail("cannot write the log", log);
  return 0;
}

int erp_main (int argc, char **argv, App *app, int (*ready) (App *app)) {
  const char *env = ".env", *pidfile = NULL;
  for (int i = 1; i < argc; i++) {
    if (i + 1 < argc && strcmp(argv[i], "--env") == 0) env = argv[++i];
    else if (i + 1 < argc && strcmp(argv[i], "--pidfile") == 0) pidfile = argv[++i];
    else return erp_fail("usage", "[--env FILE] [--pidfile FILE]");
  }
  signals_block();
  int status = settings_read(app, env);
  if (status == 0 && ready != NULL) status = ready(app);
  if (status == 0) status = erp_serve(app, pidfile);
  return status;
}
