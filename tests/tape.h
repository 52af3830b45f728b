/*
** tape.h - a tape to test on: in a folder of its own, for one test
*/

#ifndef tests_tape_h
#define tests_tape_h

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vm/tape/store.h"

#define SECRET "correct horse battery staple"
#define NOBODY 65534
#define USED __attribute__((unused))

static char dir[64], file[128];
static rb_Problem problem;

USED static int setup (void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/rb-tape.XXXXXX");
  problem = (rb_Problem){0};
  if (mkdtemp(dir) == NULL) return -1;
  snprintf(file, sizeof file, "%s/state/tape.db", dir);
  return 0;
}

USED static int teardown (void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command);
}

USED static rb_Tape *open_tape (void) {
  rb_Tape *t = rb_tape_open(file, &problem);
  if (t == NULL) fail_msg("%s", problem.message);
  return t;
}

USED static void fine (int rc) {
  if (rc != 0) fail_msg("%s", problem.message);
}

USED static void begin_run (rb_Tape *t, char id[RB_RUNID]) {
  rb_TapeRun run = {
    .runbook = "tenant_isolation", .target = "local", .mode = "run",
    .who = "kim", .host = "desk", .version = "0.1.0",
    .params = "{\"tenant\":\"greenwood_high\"}", .started = 1700000000000
  };
  rb_ulid(run.id);
  if (id != NULL) memcpy(id, run.id, RB_RUNID);
  fine(rb_tape_begin(t, &run, &problem));
}

USED static int64_t add (rb_Tape *t, const char *kind, const char *secret) {
  rb_TapeEvent e = {
    .kind = kind, .path = "block/remedy/1", .verb = "redis.set",
    .text = "{\"n\":1}", .secret = secret,
    .secretlen = secret != NULL ? strlen(secret) : 0, .at = 1700000000001
  };
  return rb_tape_append(t, &e);
}

/* a finished run of four events */
USED static void one_run (char id[RB_RUNID]) {
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", NULL);
  add(t, "intent", SECRET);
  add(t, "outcome", NULL);
  fine(rb_tape_commit(t, &problem));
  fine(rb_tape_end(t, "done", 0, &problem));
  rb_tape_close(t);
}

/* what the file says when somebody else writes to it */
USED static int edit (const char *sql) {
  sqlite3 *db;
  int rc = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_changes(db) > 0 ? SQLITE_OK : -1;
  sqlite3_close(db);
  return rc;
}

USED static int verify (void) {
  rb_Tape *t = open_tape();
  int rc = rb_tape_verify(t, NULL, &problem);
  rb_tape_close(t);
  return rc;
}

USED static void says (const char *part) {
  if (strstr(problem.message, part) == NULL)
    fail_msg("no '%s' in: %s", part, problem.message);
}

/* opening fails with exit 2, kind "tape" and these words */
USED static void refused (const char *part) {
  rb_Tape *t = rb_tape_open(file, &problem);
  if (t != NULL) rb_tape_close(t);
  assert_null(t);
  assert_int_equal(problem.exit, RB_USAGE);
  assert_string_equal(problem.kind, "tape");
  says(part);
}

typedef struct Seen {
  int n, secrets;
  char kinds[200];
} Seen;

USED static int see (void *ud, const rb_TapeRow *row) {
  Seen *s = ud;
  s->n++;
  assert_int_equal(row->seq, s->n);
  assert_int_equal(strlen(row->hash), 64);
  if (s->n < 20) {
    strcat(s->kinds, row->event.kind);
    strcat(s->kinds, " ");
  }
  if (row->event.secret != NULL) {
    s->secrets++;
    assert_int_equal(row->event.secretlen, strlen(SECRET));
    assert_memory_equal(row->event.secret, SECRET, strlen(SECRET));
  }
  return 0;
}

USED static Seen seen (const char *id) {
  Seen s = {0};
  rb_Tape *t = open_tape();
  fine(rb_tape_events(t, id, see, &s, &problem));
  rb_tape_close(t);
  return s;
}

USED static int mode (const char *name) {
  char path[256];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  assert_int_equal(stat(path, &st), 0);
  return (int)st.st_mode & 07777;
}

USED static int first_run (void *ud, const rb_TapeRun *run) {
  *(rb_TapeRun *)ud = *run;
  assert_string_equal(run->runbook, "tenant_isolation");
  assert_string_equal(run->params, "{\"tenant\":\"greenwood_high\"}");
  assert_string_equal(run->status, "failed");
  return 1;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
