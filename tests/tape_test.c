/*
** tape_test.c - the tape: what is on it stays, what was changed shows
*/

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

static char dir[64], file[128];
static rb_Problem problem;

/* -- helpers ------------------------------------------------------------------ */

static int setup (void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/rb-tape.XXXXXX");
  problem = (rb_Problem){0};
  if (mkdtemp(dir) == NULL) return -1;
  snprintf(file, sizeof file, "%s/state/tape.db", dir);
  return 0;
}

static int teardown (void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command);
}

static rb_Tape *open_tape (void) {
  rb_Tape *t = rb_tape_open(file, &problem);
  if (t == NULL) fail_msg("%s", problem.message);
  return t;
}

static void fine (int rc) {
  if (rc != 0) fail_msg("%s", problem.message);
}

static void begin_run (rb_Tape *t, char id[RB_RUNID]) {
  rb_TapeRun run = {
    .runbook = "tenant_isolation", .target = "local", .mode = "run",
    .who = "kim", .host = "desk", .version = "0.1.0",
    .params = "{\"tenant\":\"greenwood_high\"}", .started = 1700000000000
  };
  rb_ulid(run.id);
  if (id != NULL) memcpy(id, run.id, RB_RUNID);
  fine(rb_tape_begin(t, &run, &problem));
}

static int64_t add (rb_Tape *t, const char *kind, const char *secret) {
  rb_TapeEvent e = {
    .kind = kind, .path = "block/remedy/1", .verb = "redis.set",
    .text = "{\"n\":1}", .secret = secret,
    .secretlen = secret != NULL ? strlen(secret) : 0, .at = 1700000000001
  };
  return rb_tape_append(t, &e);
}

/* a finished run of four events */
static void one_run (char id[RB_RUNID]) {
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
static int edit (const char *sql) {
  sqlite3 *db;
  int rc = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_changes(db) > 0 ? SQLITE_OK : -1;
  sqlite3_close(db);
  return rc;
}

static int verify (void) {
  rb_Tape *t = open_tape();
  int rc = rb_tape_verify(t, NULL, &problem);
  rb_tape_close(t);
  return rc;
}

static void says (const char *part) {
  if (strstr(problem.message, part) == NULL)
    fail_msg("no '%s' in: %s", part, problem.message);
}

/* opening fails with exit 2, kind "tape" and these words */
static void refused (const char *part) {
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

static int see (void *ud, const rb_TapeRow *row) {
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

static Seen seen (const char *id) {
  Seen s = {0};
  rb_Tape *t = open_tape();
  fine(rb_tape_events(t, id, see, &s, &problem));
  rb_tape_close(t);
  return s;
}

static int mode (const char *name) {
  char path[256];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  assert_int_equal(stat(path, &st), 0);
  return (int)st.st_mode & 07777;
}

/* -- what is on it --------------------------------------------------------------- */

static int first_run (void *ud, const rb_TapeRun *run) {
  *(rb_TapeRun *)ud = *run;
  assert_string_equal(run->runbook, "tenant_isolation");
  assert_string_equal(run->params, "{\"tenant\":\"greenwood_high\"}");
  assert_string_equal(run->status, "failed");
  return 1;
}

static void test_reads_back (void **state) {
  char first[RB_RUNID], second[RB_RUNID];
  rb_TapeRun run;
  (void)state;
  one_run(first);
  rb_Tape *t = open_tape();
  begin_run(t, second);
  assert_int_equal(add(t, "start", NULL), 1);
  assert_int_equal(add(t, "note", SECRET), 2);
  assert_int_equal(rb_tape_waiting(t), 2);
  fine(rb_tape_commit(t, &problem));
  assert_int_equal(rb_tape_waiting(t), 0);
  fine(rb_tape_end(t, "failed", 1, &problem));
  fine(rb_tape_runs(t, first_run, &run, &problem));
  assert_string_equal(run.id, second);
  assert_int_equal(run.exit, 1);
  assert_int_equal(run.events, 3);
  assert_int_equal(run.started, 1700000000000);
  assert_true(run.ended > 1700000000000);
  fine(rb_tape_verify(t, NULL, &problem));
  rb_tape_close(t);
  Seen s = seen(second + 18);  /* a unique ending */
  assert_string_equal(s.kinds, "start note end ");
  assert_int_equal(s.secrets, 1);
  assert_int_equal(seen(first).n, 4);
}

static void test_only_mine (void **state) {
  char id[RB_RUNID], key[64];
  (void)state;
  one_run(id);
  assert_int_equal(mode("state"), 0700);
  assert_int_equal(mode("state/tape.db"), 0600);
  assert_int_equal(mode("state/tape.db-wal"), 0600);
  assert_int_equal(mode("state/keys"), 0700);
  snprintf(key, sizeof key, "state/keys/%s", id);
  assert_int_equal(mode(key), 0600);
  assert_int_equal(chmod(file, 0644), 0);
  rb_tape_close(open_tape());
  assert_int_equal(mode("state/tape.db"), 0600);
}

static int contains (const char *path, const char *text) {
  FILE *f = fopen(path, "rb");
  char *s = malloc(1 << 22);
  size_t n = f != NULL ? fread(s, 1, 1 << 22, f) : 0;
  int found = memmem(s, n, text, strlen(text)) != NULL;
  if (f != NULL) fclose(f);
  free(s);
  return found;
}

static void test_sealed (void **state) {
  static const char *const suffix[] = {"", "-wal", "-shm"};
  char id[RB_RUNID], path[256];
  int public = 0;
  (void)state;
  one_run(id);
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s%s", file, suffix[i]);
    assert_false(contains(path, SECRET));
    assert_false(contains(path, "battery"));
    public |= contains(path, "redis.set");
  }
  assert_true(public);  /* the search finds what is there */
  assert_int_equal(seen(id).secrets, 1);
  snprintf(path, sizeof path, "%s/state/keys/%s", dir, id);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(seen(id).secrets, 0);  /* shredded */
  assert_int_equal(seen(id).n, 4);
  fine(verify());
}

static void test_secret_cannot_move (void **state) {
  char id[RB_RUNID];
  (void)state;
  one_run(id);
  assert_int_equal(edit("UPDATE event SET sealed = (SELECT sealed FROM event "
                        "WHERE seq = 2) WHERE seq = 3"), 0);
  assert_int_equal(seen(id).secrets, 1);
}

static void test_derived (void **state) {
  char id[RB_RUNID], a[48], b[48], mark[65], again[65];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", NULL);
  fine(rb_tape_commit(t, &problem));
  rb_tape_derive(t, "token/1", a, sizeof a);
  rb_tape_derive(t, "token/2", b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  rb_tape_fingerprint(t, "x", 1, mark);
  begin_run(t, NULL);  /* another run, other keys */
  rb_tape_derive(t, "token/1", b, sizeof b);
  rb_tape_fingerprint(t, "x", 1, again);
  assert_memory_not_equal(a, b, sizeof a);
  assert_string_not_equal(mark, again);
  fine(rb_tape_continue(t, id, &problem));
  rb_tape_derive(t, "token/1", b, sizeof b);
  rb_tape_fingerprint(t, "x", 1, again);
  assert_memory_equal(a, b, sizeof a);
  assert_string_equal(mark, again);
  rb_tape_close(t);
}

static void test_continues (void **state) {
  char id[RB_RUNID], path[256];
  (void)state;
  one_run(id);
  rb_Tape *t = open_tape();
  fine(rb_tape_continue(t, id, &problem));
  assert_int_equal(add(t, "note", SECRET), 5);
  fine(rb_tape_commit(t, &problem));
  fine(rb_tape_end(t, "done", 0, &problem));
  fine(rb_tape_end(t, "done", 0, &problem));  /* once is enough */
  rb_tape_close(t);
  Seen s = seen(id);
  assert_string_equal(s.kinds, "start intent outcome end note end ");
  assert_int_equal(s.secrets, 2);
  fine(verify());
  t = open_tape();
  assert_int_equal(rb_tape_continue(t, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &problem),
                   RB_USAGE);
  says("there is no run");
  snprintf(path, sizeof path, "%s/state/keys/%s", dir, id);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rb_tape_continue(t, id, &problem), RB_USAGE);
  says("the key of run");
  rb_tape_close(t);
}

static void test_names (void **state) {
  char id[RB_RUNID], last[RB_RUNID] = "";
  Seen s = {0};
  (void)state;
  for (int i = 0; i < 5000; i++) {
    rb_ulid(id);
    assert_int_equal(strlen(id), 26);
    assert_true(strcmp(id, last) > 0);
    memcpy(last, id, sizeof id);
  }
  one_run(id);
  one_run(last);
  rb_Tape *t = open_tape();
  assert_int_equal(rb_tape_events(t, "ILOU", see, &s, &problem), RB_USAGE);
  says("no run ends in 'ILOU'");
  assert_int_equal(rb_tape_events(t, "", see, &s, &problem), RB_USAGE);
  assert_int_equal(edit("UPDATE run SET id = substr(id, 1, 20) || 'AAAAAA' "
                        "WHERE id = (SELECT max(id) FROM run)"), 0);
  assert_int_equal(edit("UPDATE run SET id = '00000000000000000000AAAAAA' "
                        "WHERE id = (SELECT min(id) FROM run)"), 0);
  assert_int_equal(rb_tape_events(t, "aaaaa", see, &s, &problem), RB_USAGE);
  says("several runs end in 'aaaaa'");
  rb_tape_close(t);
}

static void test_prune (void **state) {
  char id[RB_RUNID], path[256];
  int64_t n;
  (void)state;
  one_run(id);
  rb_Tape *t = open_tape();
  begin_run(t, NULL);  /* unfinished: stays */
  add(t, "start", NULL);
  fine(rb_tape_commit(t, &problem));
  fine(rb_tape_prune(t, 1700000000000, &n, &problem));
  assert_int_equal(n, 0);
  fine(rb_tape_prune(t, 1700000000001, &n, &problem));
  assert_int_equal(n, 1);
  fine(rb_tape_verify(t, NULL, &problem));
  rb_tape_close(t);
  snprintf(path, sizeof path, "%s/state/keys/%s", dir, id);
  assert_int_not_equal(access(path, F_OK), 0);
}

/* -- what was changed shows ------------------------------------------------------- */

static void tampered (const char *sql, const char *event) {
  int rc = edit(sql);
  if (rc != 0) fail_msg("%s: %d", sql, rc);
  rc = verify();
  if (rc == 0) fail_msg("not seen: %s", sql);
  assert_int_equal(rc, RB_FAILED);
  if (strstr(problem.message, event) == NULL)
    fail_msg("%s: %s", sql, problem.message);
}

static void test_tampering (void **state) {
  static const char *const change[][2] = {
    {"UPDATE event SET at = at + 1 WHERE seq = 2", "event 2 (intent)"},
    {"UPDATE event SET kind = 'note' WHERE seq = 2", "event 2 (note)"},
    {"UPDATE event SET path = 'block/remedy/2' WHERE seq = 2", "event 2 "},
    {"UPDATE event SET path = NULL WHERE seq = 2", "event 2 "},
    {"UPDATE event SET verb = 'redis.del' WHERE seq = 3", "event 3 "},
    {"UPDATE event SET text = '{\"n\":2}' WHERE seq = 3", "event 3 "},
    {"UPDATE event SET verb = verb || path, path = '' WHERE seq = 3",
     "event 3 "},
    {"UPDATE event SET sealed = zeroblob(68) WHERE seq = 2", "event 2 "},
    {"UPDATE event SET sealed = NULL WHERE seq = 2", "event 2 "},
    {"UPDATE event SET hash = zeroblob(32) WHERE seq = 2", "event 2 "},
    {"UPDATE event SET hash = NULL WHERE seq = 2", "event 2 "},
    {"UPDATE event SET seq = 9 WHERE seq = 3", "event 4 "},
    {"DELETE FROM event WHERE seq = 2", "event 3 "},
    {"DELETE FROM event WHERE seq = 4", "event 4 "},
    {"DELETE FROM event", "event 1 "},
    {"DELETE FROM run", "event 1 "},
    {"UPDATE run SET runbook = 'other'", "event 1 (start)"},
    {"UPDATE run SET target = 'prod'", "event 1 "},
    {"UPDATE run SET mode = 'dry-run'", "event 1 "},
    {"UPDATE run SET who = 'ada'", "event 1 "},
    {"UPDATE run SET host = 'lap'", "event 1 "},
    {"UPDATE run SET version = '9'", "event 1 "},
    {"UPDATE run SET params = '{}'", "event 1 "},
    {"UPDATE run SET started = 1", "event 1 "},
    {"UPDATE run SET id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'", "event 1 "},
    {"UPDATE run SET head = zeroblob(32)", "head of the run"},
    {"UPDATE run SET events = 3", "event 5 "},
    {"UPDATE run SET status = 'failed'", "event 4 "},
    {"UPDATE run SET exit = 1", "event 4 "},
    {"UPDATE run SET ended = 0", "event 4 "},
  };
  char copy[160], command[600];
  (void)state;
  one_run(NULL);
  fine(verify());
  edit("PRAGMA wal_checkpoint(TRUNCATE)");
  snprintf(copy, sizeof copy, "%s/copy.db", dir);
  snprintf(command, sizeof command, "cp '%s' '%s'", file, copy);
  assert_int_equal(system(command), 0);
  snprintf(command, sizeof command, "rm -f '%s'-*; cp '%s' '%s'", file, copy,
           file);
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    assert_int_equal(system(command), 0);
    fine(verify());
    tampered(change[i][0], change[i][1]);
  }
}

static void test_swapped (void **state) {
  (void)state;
  one_run(NULL);
  assert_int_equal(edit("UPDATE event SET seq = -seq WHERE seq IN (1, 3);"
                        "UPDATE event SET seq = 4 + seq WHERE seq < 0"), 0);
  assert_int_equal(verify(), RB_FAILED);
  says("event 1 ");
}

static void test_anchor (void **state) {
  rb_TapeRun before, after;
  char id[RB_RUNID];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", NULL);
  fine(rb_tape_end(t, "failed", 1, &problem));
  fine(rb_tape_runs(t, first_run, &before, &problem));
  assert_int_equal(strlen(before.head), 64);
  fine(rb_tape_continue(t, id, &problem));
  add(t, "note", NULL);
  fine(rb_tape_end(t, "failed", 1, &problem));
  fine(rb_tape_runs(t, first_run, &after, &problem));
  assert_string_not_equal(before.head, after.head);
  rb_tape_close(t);
}

/* -- when the world is not as it should be -------------------------------------------- */

static void spill (const char *text, size_t n) {
  FILE *f = fopen(file, "wb");
  assert_non_null(f);
  fwrite(text, 1, n, f);
  fclose(f);
}

static void patch (long at, const char *bytes, size_t n) {
  FILE *f = fopen(file, "r+b");
  fseek(f, at, SEEK_SET);
  fwrite(bytes, 1, n, f);
  fclose(f);
}

static void test_damaged (void **state) {
  char garbage[8192];
  (void)state;
  rb_tape_close(open_tape());
  spill("", 0);
  refused("is damaged");
  spill("hello", 5);
  refused("is damaged");
  memset(garbage, 'x', sizeof garbage);
  spill(garbage, sizeof garbage);
  refused("is damaged (it is not a tape at all)");
  unlink(file);
  rb_tape_close(open_tape());
  patch(100, garbage, 3000);
  refused("is damaged");
  unlink(file);
  rb_tape_close(open_tape());
  patch(60, "\0\0\0\2", 4);
  refused("has format 2, and this version of runbook reads 1");
  patch(68, "\1\2\3\4", 4);
  refused("another program");
  unlink(file);
  assert_int_equal(mkdir(file, 0700), 0);
  refused("is not a file");
}

/* a page of the events is gone: opening does not see it, verify does */
static void test_damaged_inside (void **state) {
  char garbage[4096];
  (void)state;
  one_run(NULL);
  edit("PRAGMA wal_checkpoint(TRUNCATE)");
  memset(garbage, 'x', sizeof garbage);
  patch(4096 * 2, garbage, sizeof garbage);
  patch(4096, garbage, sizeof garbage);
  assert_int_equal(verify(), RB_FAILED);
  says("damaged");
}

static void test_stale_log (void **state) {
  char wal[160], command[600];
  (void)state;
  one_run(NULL);
  snprintf(wal, sizeof wal, "%s-wal", file);
  assert_int_equal(access(wal, F_OK), 0);
  snprintf(command, sizeof command, "rm '%s'", file);
  assert_int_equal(system(command), 0);
  char id[RB_RUNID];
  one_run(id);  /* the old log must not become part of the new tape */
  fine(verify());
  assert_int_equal(seen(id).n, 4);
}

static void test_locked (void **state) {
  sqlite3 *other;
  (void)state;
  rb_Tape *t = open_tape();
  sqlite3_busy_timeout(t->db, 20);
  begin_run(t, NULL);
  add(t, "start", NULL);
  assert_int_equal(sqlite3_open(file, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", 0, 0, 0), SQLITE_OK);
  assert_int_equal(rb_tape_commit(t, &problem), RB_USAGE);
  says("is locked by another process");
  assert_int_equal(rb_tape_waiting(t), 1);
  assert_int_equal(sqlite3_exec(other, "ROLLBACK", 0, 0, 0), SQLITE_OK);
  fine(rb_tape_commit(t, &problem));
  sqlite3_close(other);
  fine(rb_tape_end(t, "done", 0, &problem));
  fine(rb_tape_verify(t, NULL, &problem));
  rb_tape_close(t);
}

static void test_full (void **state) {
  struct rlimit old, limit;
  struct stat st;
  char wal[160], id[RB_RUNID], big[8000];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", NULL);
  fine(rb_tape_commit(t, &problem));
  snprintf(wal, sizeof wal, "%s-wal", file);
  assert_int_equal(stat(wal, &st), 0);
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  limit = old;
  limit.rlim_cur = (rlim_t)st.st_size;
  setrlimit(RLIMIT_FSIZE, &limit);
  rb_TapeEvent e = {.kind = "note", .text = big};
  for (int i = 0; i < 100; i++) rb_tape_append(t, &e);
  int rc = rb_tape_commit(t, &problem);
  rb_Problem first = problem;
  int again = rb_tape_end(t, "done", 0, &problem);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_int_equal(rc, RB_USAGE);
  assert_int_equal(again, RB_USAGE);
  problem = first;
  says("is full");
  assert_int_equal(rb_tape_waiting(t), 101);
  fine(rb_tape_end(t, "done", 0, &problem));  /* room again: nothing is lost */
  fine(rb_tape_verify(t, NULL, &problem));
  rb_tape_close(t);
  assert_int_equal(seen(id).n, 102);
}

static void test_no_room_to_create (void **state) {
  struct rlimit old, limit;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  limit = old;
  limit.rlim_cur = 100;
  setrlimit(RLIMIT_FSIZE, &limit);
  rb_Tape *t = rb_tape_open(file, &problem);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_null(t);
  says("is full");
  rb_tape_close(open_tape());  /* and nothing is in the way */
}

/* as an ordinary user, since root may write everything */
static void test_not_writable (void **state) {
  char state_dir[96];
  (void)state;
  if (geteuid() != 0) skip();
  snprintf(state_dir, sizeof state_dir, "%s/state", dir);
  one_run(NULL);
  assert_int_equal(chmod(dir, 0755), 0);
  assert_int_equal(chmod(state_dir, 0755), 0);
  assert_int_equal(seteuid(NOBODY), 0);
  rb_Tape *t = rb_tape_open(file, &problem);
  assert_int_equal(seteuid(0), 0);
  assert_null(t);
  says("belongs to root");
  assert_int_equal(chown(file, NOBODY, NOBODY), 0);
  assert_int_equal(chmod(file, 0400), 0);
  assert_int_equal(seteuid(NOBODY), 0);
  t = rb_tape_open(file, &problem);
  assert_int_equal(seteuid(0), 0);
  assert_null(t);
  says("cannot be written");
  assert_int_equal(chmod(file, 0600), 0);
  char command[400];
  snprintf(command, sizeof command, "rm -f '%s'-*", file);
  assert_int_equal(system(command), 0);
  assert_int_equal(seteuid(NOBODY), 0);
  t = rb_tape_open(file, &problem);  /* no log can be made in this folder */
  assert_int_equal(seteuid(0), 0);
  assert_null(t);
  says("cannot be written");
  unlink(file);
  assert_int_equal(seteuid(NOBODY), 0);
  t = rb_tape_open(file, &problem);
  assert_int_equal(seteuid(0), 0);
  assert_null(t);
  says("Permission denied");
}

static void test_open_folder (void **state) {
  char state_dir[96];
  (void)state;
  if (geteuid() != 0) skip();
  snprintf(state_dir, sizeof state_dir, "%s/state", dir);
  one_run(NULL);
  assert_int_equal(chmod(state_dir, 0777), 0);
  rb_tape_close(open_tape());
  assert_int_equal(mode("state"), 0755);  /* ours: mended */
  assert_int_equal(chmod(dir, 0755), 0);
  assert_int_equal(chmod(state_dir, 0777), 0);
  assert_int_equal(chown(file, NOBODY, NOBODY), 0);
  assert_int_equal(seteuid(NOBODY), 0);
  rb_Tape *t = rb_tape_open(file, &problem);
  assert_int_equal(seteuid(0), 0);
  assert_null(t);
  says("chmod go-w");
}

static void test_no_folder (void **state) {
  (void)state;
  snprintf(file, sizeof file, "/proc/none/tape.db");
  refused("cannot use the folder");
}

/* -- crashes --------------------------------------------------------------------------- */

/* the files as a crash leaves them, without the last 'lost' bytes of the log */
static void crash (int lost) {
  char command[800];
  snprintf(command, sizeof command,
           "mkdir -p '%s/after' && cp '%s' '%s-wal' '%s/after/' && "
           "cp -r '%s/state/keys' '%s/after/' && "
           "truncate -s -%d '%s/after/tape.db-wal'",
           dir, file, file, dir, dir, dir, lost, dir);
  assert_int_equal(system(command), 0);
  snprintf(file, sizeof file, "%s/after/tape.db", dir);
}

static void test_torn_tail (void **state) {
  char id[RB_RUNID];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", NULL);
  fine(rb_tape_commit(t, &problem));
  add(t, "intent", SECRET);
  fine(rb_tape_commit(t, &problem));
  crash(100);
  rb_tape_close(t);
  fine(verify());
  assert_int_equal(seen(id).n, 1);  /* the whole last commit is gone */
  t = open_tape();
  fine(rb_tape_continue(t, id, &problem));
  assert_int_equal(add(t, "intent", SECRET), 2);
  fine(rb_tape_end(t, "done", 0, &problem));
  rb_tape_close(t);
  fine(verify());
  assert_int_equal(seen(id).n, 3);
}

static void test_killed (void **state) {
  char id[RB_RUNID];
  int ready[2];
  (void)state;
  rb_ulid(id);
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    rb_Tape *t = rb_tape_open(file, &problem);
    rb_TapeRun run = {.runbook = "x", .mode = "run", .started = 1};
    memcpy(run.id, id, sizeof id);
    if (t == NULL || rb_tape_begin(t, &run, &problem) != 0) _exit(1);
    for (int i = 0; ; i++) {
      add(t, "intent", SECRET);
      if (rb_tape_commit(t, &problem) != 0) _exit(1);
      if (i == 20 && write(ready[1], "x", 1) != 1) _exit(1);
    }
  }
  char c;
  assert_int_equal(read(ready[0], &c, 1), 1);
  usleep(3000);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(ready[0]);
  close(ready[1]);
  fine(verify());
  assert_true(seen(id).n >= 21);
  assert_int_equal(seen(id).secrets, seen(id).n);
}

static void test_many_at_once (void **state) {
  int n = 0, status;
  (void)state;
  for (int i = 0; i < 6; i++)
    if (fork() == 0) {
      rb_Tape *t = rb_tape_open(file, &problem);
      rb_TapeRun run = {.runbook = "x", .mode = "run", .started = 1};
      rb_ulid(run.id);
      if (t == NULL || rb_tape_begin(t, &run, &problem) != 0) _exit(1);
      for (int k = 0; k < 20; k++) {
        add(t, "note", NULL);
        if (rb_tape_commit(t, &problem) != 0) _exit(1);
      }
      if (rb_tape_end(t, "done", 0, &problem) != 0) _exit(1);
      rb_tape_close(t);
      _exit(0);
    }
  while (wait(&status) > 0) n += status == 0;
  assert_int_equal(n, 6);
  fine(verify());
  rb_Tape *t = open_tape();
  sqlite3_stmt *s;
  sqlite3_prepare_v2(t->db, "SELECT count(*) FROM event", -1, &s, NULL);
  assert_int_equal(sqlite3_step(s), SQLITE_ROW);
  assert_int_equal(sqlite3_column_int(s, 0), 6 * 21);
  sqlite3_finalize(s);
  rb_tape_close(t);
}

/* two of one process, each going on with the same run */
static void test_two_go_on (void **state) {
  char id[RB_RUNID];
  rb_Problem p;
  (void)state;
  one_run(id);
  rb_Tape *a = open_tape(), *b = open_tape();
  fine(rb_tape_continue(a, id, &problem));
  fine(rb_tape_continue(b, id, &problem));
  add(a, "note", NULL);
  add(b, "note", NULL);
  fine(rb_tape_commit(a, &problem));
  assert_int_equal(rb_tape_commit(b, &p), RB_USAGE);
  problem = p;
  says("another process goes on with run");
  rb_tape_close(a);
  rb_tape_close(b);
  fine(verify());
}

static void *rescuer (void *ud) {
  return (void *)(intptr_t)rb_tape_rescue(ud, "interrupted", 130);
}

static void test_rescue (void **state) {
  char id[RB_RUNID];
  pthread_t thread;
  void *rc;
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", NULL);
  pthread_mutex_lock(&t->lock);  /* stuck in the tape itself: give up */
  pthread_create(&thread, NULL, rescuer, t);
  pthread_join(thread, &rc);
  pthread_mutex_unlock(&t->lock);
  assert_int_not_equal((intptr_t)rc, 0);
  pthread_create(&thread, NULL, rescuer, t);
  pthread_join(thread, &rc);
  assert_int_equal((intptr_t)rc, 0);
  assert_int_equal(add(t, "intent", NULL), 0);  /* nothing comes after it */
  rb_tape_close(t);
  assert_string_equal(seen(id).kinds, "start end ");
  fine(verify());
}

/* -- memory that runs out ------------------------------------------------------------------ */

static sqlite3_mem_methods plain;
static int countdown = -1;

static void *scarce_malloc (int n) {
  if (countdown == 0) return NULL;
  if (countdown > 0) countdown--;
  return plain.xMalloc(n);
}

static void *scarce_realloc (void *p, int n) {
  if (countdown == 0) return NULL;
  if (countdown > 0) countdown--;
  return plain.xRealloc(p, n);
}

/* fails at each allocation of SQLite's in turn: nothing is lost or doubled */
static void test_memory (void **state) {
  int failures = 0;
  (void)state;
  for (int n = 0; ; n++) {
    char id[RB_RUNID];
    countdown = n;
    rb_Tape *t = rb_tape_open(file, &problem);
    if (t != NULL) {
      begin_run(t, id);
      add(t, "start", SECRET);
      int rc = rb_tape_commit(t, &problem);
      int ended = rb_tape_end(t, "done", 0, &problem);
      int left = countdown;
      countdown = -1;
      if (rc != 0 || ended != 0) {
        failures++;
        fine(rb_tape_end(t, "done", 0, &problem));
      }
      rb_tape_close(t);
      assert_int_equal(seen(id).n, 2);
      if (left > 0) break;
    }
    else {
      countdown = -1;
      failures++;
      says("memory");
    }
  }
  assert_true(failures > 20);
  fine(verify());
}

static int scarce (void **state) {
  sqlite3_mem_methods mine;
  (void)state;
  sqlite3_shutdown();
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain);
  mine = plain;
  mine.xMalloc = scarce_malloc;
  mine.xRealloc = scarce_realloc;
  sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &mine);
}

static void test_file (void **state) {
  char name[64];
  (void)state;
  setenv("XDG_STATE_HOME", "/var/x", 1);
  assert_true(rb_tape_file(name, sizeof name));
  assert_string_equal(name, "/var/x/runbook/tape.db");
  assert_false(rb_tape_file(name, 10));
  unsetenv("XDG_STATE_HOME");
  setenv("HOME", "/home/kim", 1);
  assert_true(rb_tape_file(name, sizeof name));
  assert_string_equal(name, "/home/kim/.local/state/runbook/tape.db");
  unsetenv("HOME");
  assert_false(rb_tape_file(name, sizeof name));
}

static void test_sha256 (void **state) {
  char hash[65];
  (void)state;
  rb_sha256("abc", 3, hash);
  assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223"
                            "b00361a396177a9cb410ff61f20015ad");
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_reads_back), test(test_only_mine), test(test_sealed),
    test(test_secret_cannot_move), test(test_derived), test(test_continues),
    test(test_names), test(test_prune), test(test_tampering),
    test(test_swapped), test(test_anchor), test(test_damaged),
    test(test_damaged_inside), test(test_stale_log), test(test_locked),
    test(test_full), test(test_no_room_to_create), test(test_not_writable),
    test(test_open_folder), test(test_no_folder), test(test_torn_tail),
    test(test_killed), test(test_many_at_once), test(test_two_go_on),
    test(test_rescue), test(test_memory), test(test_file), test(test_sha256)
  };
  return cmocka_run_group_tests(tests, scarce, NULL);
}
