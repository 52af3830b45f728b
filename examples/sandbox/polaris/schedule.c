/*
** schedule.c - imports what lies in the inbox while the schedule is on
**
** A file that cannot be imported stays, and is tried again only after the
** schedule was off: nothing is written while nothing changes.
*/

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "polaris.h"

#define MAX_FILE (4 << 20)

typedef struct Inbox {
  App *app;
  const char *folder;
  char tried[256];             /* the file that failed last */
} Inbox;

/* the first sheet by name */
static int first_file (const char *folder, char *out, size_t size) {
  DIR *d = opendir(folder);
  const struct dirent *e;
  *out = '\0';
  while (d && (e = readdir(d))) {
    size_t n = strlen(e->d_name);
    if (n < 5 || n >= size || strcmp(e->d_name + n - 4, ".csv") != 0) continue;
    if (*out == '\0' || strcmp(e->d_name, out) < 0) strcpy(out, e->d_name);
  }
  if (d) closedir(d);
  return *out != '\0';
}

static char *file_read (const char *path) {
  FILE *f = fopen(path, "re");
  char *text = f ? malloc(MAX_FILE) : NULL;
  if (text) text[fread(text, 1, MAX_FILE - 1, f)] = '\0';
  if (f) fclose(f);
  return text;
}

static void import (Inbox *in, const char *name) {
  char path[4096], done[4096];
  snprintf(path, sizeof path, "%s/%s", in->folder, name);
  snprintf(done, sizeof done, "%s/done/%s", in->folder, name);
  char *text = file_read(path);
  if (!text) return;
  Reply reply = polaris_import(in->app, name, text);
  json_decref(reply.body);
  free(text);
  if (reply.status == 200 && rename(path, done) == 0) return;
  if (reply.status != 503) snprintf(in->tried, sizeof in->tried, "%s", name);
}

static void *work (void *ud) {
  static const struct timespec pause = {.tv_nsec = 20 * 1000000};
  char name[256];
  Inbox *in = ud;
  for (;; nanosleep(&pause, NULL)) {
    if (!first_file(in->folder, name, sizeof name)) in->tried[0] = '\0';
    else if (!polaris_feature(in->app, "pathful_imports")) in->tried[0] = '\0';
    else if (strcmp(in->tried, name) != 0) import(in, name);
  }
  return NULL;
}

int polaris_schedule_start (App *app) {
  static Inbox in;
  pthread_t thread;
  in.app = app;
  in.folder = erp_env(app, "IMPORT_INBOX", "inbox");
  return pthread_create(&thread, NULL, work, &in) == 0 ? pthread_detach(thread) : -1;
}
