/*
** journal.c - the application's log: JSON lines, each written at once; warnings
** go to standard error, too, where whoever keeps the process finds them
*/

#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "erp.h"

static int fd = STDERR_FILENO;

int erp_journal_open (const char *path) {
  int f = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (f < 0) return -1;
  fd = f;
  return 0;
}

/* the time now, ISO 8601 in UTC with milliseconds */
void erp_time (char *out, size_t size) {
  struct timespec t;
  struct tm utc;
  char date[32];
  clock_gettime(CLOCK_REALTIME, &t);
  gmtime_r(&t.tv_sec, &utc);
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(out, size, "%s.%03ldZ", date, t.tv_nsec / 1000000);
}

void erp_journal (const char *level, const char *event, json_t *fields) {
  char at[64];
  erp_time(at, sizeof at);
  json_t *line = json_pack("{s:s, s:s, s:s}", "at", at, "level", level,
                           "event", event);
  if (fields) json_object_update(line, fields);
  char *text = json_dumps(line, JSON_COMPACT);
  if (text) {
    size_t n = strlen(text);
    text[n] = '\n';            /* in place of the NUL: one write, whole lines */
    if (write(fd, text, n + 1) < 0) perror(erp_name);
    if (fd != STDERR_FILENO && strcmp(level, "info") != 0
        && write(STDERR_FILENO, text, n + 1) < 0) perror(erp_name);
  }
  free(text);
  json_decref(line);
  json_decref(fields);
}
