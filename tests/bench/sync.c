/*
** sync.c - what two durable writes cost, by the tape and by hand
**
** sync FOLDER [DEEDS]: two records appended to a plain file, each followed by
** fdatasync; and on a tape an intent and an outcome, each committed, as the gate
** does around a remedy. The two take turns, a deed of this and a deed of that.
** One line for each: its name, and the median time of a deed in microseconds.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/tape/tape.h"

enum { TEXT = 300, SECRET = 200, MAXDEEDS = 100000 };

static char text[TEXT + 1], secret[SECRET], record[TEXT + SECRET];
static double raw[MAXDEEDS], taped[MAXDEEDS];

static void die (const char *what) {
  fprintf(stderr, "sync: %s\n", what);
  exit(1);
}

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending (const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median (double *x, int n) {
  qsort(x, (size_t)n, sizeof *x, ascending);
  return x[n / 2];
}

static void write_ (int fd) {
  if (write(fd, record, sizeof record) != sizeof record || fdatasync(fd) != 0)
    die(strerror(errno));
}

static double rawdeed (int fd) {
  double before = now();
  write_(fd);
  write_(fd);
  return now() - before;
}

static void event (rb_Tape *t, const char *kind) {
  rb_Problem p = {0};
  rb_TapeEvent e = {.kind = kind, .path = "block-its-traffic/remedy/1",
                    .verb = "redis.set", .text = text, .secret = secret,
                    .secretlen = sizeof secret};
  if (rb_tape_append(t, &e) == 0 || rb_tape_commit(t, &p) != 0) die(p.message);
}

static double tapeddeed (rb_Tape *t) {
  double before = now();
  event(t, "intent");
  event(t, "outcome");
  return now() - before;
}

static rb_Tape *open_ (const char *folder) {
  char file[4096];
  rb_Problem p = {0};
  rb_TapeRun run = {.runbook = "sync", .target = "local", .mode = "run",
                    .who = "bench", .host = "here", .version = "0",
                    .params = "{}", .started = 1};
  snprintf(file, sizeof file, "%s/sync-tape/tape.db", folder);
  rb_Tape *t = rb_tape_open(file, &p);
  rb_ulid(run.id);
  if (t == NULL || rb_tape_begin(t, &run, &p) != 0) die(p.message);
  return t;
}

int main (int argc, char **argv) {
  char file[4096];
  rb_Problem p = {0};
  int deeds = argc > 2 ? atoi(argv[2]) : 500, warmups = deeds / 10;
  if (argc < 2 || deeds < 1 || deeds > MAXDEEDS) die("sync FOLDER [DEEDS]");
  memset(text, 'x', TEXT);
  snprintf(file, sizeof file, "%s/sync-raw", argv[1]);
  int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) die(strerror(errno));
  rb_Tape *t = open_(argv[1]);
  for (int i = -warmups; i < deeds; i++) {
    double a = rawdeed(fd), b = tapeddeed(t);
    if (i < 0) continue;
    raw[i] = a;
    taped[i] = b;
  }
  if (rb_tape_end(t, "done", 0, &p) != 0) die(p.message);
  rb_tape_close(t);
  close(fd);
  printf("raw %.1f\ntape %.1f\n", median(raw, deeds), median(taped, deeds));
  return 0;
}
