/*
** tape_test.c - the tape: what is on it stays, whatever happens
*/

#include "tests/tape.h"

/* -- what is on it --------------------------------------------------------------- */

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
  Seen s = {0};
  rb_Tape *t = open_tape();
  assert_int_equal(rb_tape_events(t, id, see, &s, &problem), RB_USAGE);
  assert_non_null(strstr(problem.message, "event 3 of run "));
  assert_int_equal(s.n, 2);
  rb_tape_close(t);
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
  assert_int_equal(rb_tape_last(t), 4);
  assert_int_equal(add(t, "note", SECRET), 5);
  assert_int_equal(rb_tape_last(t), 5);
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

/* -- the cases ------------------------------------------------------------------- */

static int seecases (void *ud, const rb_TapeRun *run) {
  rb_Buffer *b = ud;
  rb_buffer_printf(b, "%s;", run->cases != NULL ? run->cases : "-");
  return 0;
}

static void addcase (rb_Tape *t, const char *id) {
  rb_TapeEvent e = {.kind = "step", .path = id, .text = "{\"case\":\"x\"}"};
  assert_true(rb_tape_append(t, &e) > 0);
}

static void cases (rb_Tape *t, const char *id, const char *expected) {
  rb_Buffer b = {0};
  fine(id != NULL ? rb_tape_run(t, id, seecases, &b, &problem)
       : rb_tape_runs(t, seecases, &b, &problem));
  assert_string_equal(b.s != NULL ? b.s : "", expected);
  rb_buffer_free(&b);
}

static void test_cases (void **state) {
  char first[RB_RUNID], last[RB_RUNID];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, first);
  add(t, "step", NULL);  /* a step, no case */
  addcase(t, "isolate");
  addcase(t, "notify");
  fine(rb_tape_end(t, "done", 0, &problem));
  begin_run(t, NULL);
  fine(rb_tape_end(t, "done", 0, &problem));
  begin_run(t, last);
  addcase(t, "reenable");
  fine(rb_tape_end(t, "done", 0, &problem));
  cases(t, NULL, "reenable;-;isolate\nnotify;");
  cases(t, first, "isolate\nnotify;");
  cases(t, last, "reenable;");
  cases(t, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "");
  rb_tape_close(t);
}

/* a plan that looks at the events would take a second of a million */
static int plan (void *ud, int n, char **column, char **name) {
  (void)n; (void)name;
  rb_buffer_printf(ud, "%s;", column[3]);
  return 0;
}

static void test_cases_index (void **state) {
  rb_Buffer b = {0};
  (void)state;
  rb_Tape *t = open_tape();
  assert_int_equal(sqlite3_exec(t->db, "EXPLAIN QUERY PLAN " RB_CASES "ORDER BY run DESC, seq;"
      "EXPLAIN QUERY PLAN " RB_CASES "AND run = 'x' ORDER BY seq", plan, &b, NULL), SQLITE_OK);
  assert_string_equal(b.s, "SCAN event USING COVERING INDEX taken;"
                      "SEARCH event USING COVERING INDEX taken (run=?);");
  rb_buffer_free(&b);
  rb_tape_close(t);
}

/* -- older formats ----------------------------------------------------------------- */

/* back to what format 2 was, as another program would have left it */
static void make_old (void) {
  assert_int_equal(edit("DROP INDEX taken; ALTER TABLE run DROP COLUMN pruned;"
                        "PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE);"
                        "UPDATE run SET exit = exit"), 0);
}

static void test_grows (void **state) {
  char id[RB_RUNID];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  add(t, "start", SECRET);
  addcase(t, "isolate");
  fine(rb_tape_end(t, "done", 0, &problem));
  rb_tape_close(t);
  make_old();
  rb_Tape *other = open_tape();  /* grown by whoever comes first, and once */
  t = open_tape();
  cases(t, NULL, "isolate;");
  cases(other, id, "isolate;");
  begin_run(t, NULL);
  addcase(t, "reenable");
  fine(rb_tape_end(t, "done", 0, &problem));
  cases(other, NULL, "reenable;isolate;");
  rb_tape_close(t);
  rb_tape_close(other);
  assert_int_equal(seen(id).secrets, 1);
  fine(verify());
  edit("PRAGMA wal_checkpoint(TRUNCATE)");
  fine(verify());
}

/* -- pruning ------------------------------------------------------------------------ */

static void why (void *ud, const char *run, const char *kept) {
  rb_buffer_printf(ud, "%s %s;", run + 18, kept != NULL ? kept : "goes");
}

/* those that ended before that time; what is said of each is compared */
static rb_Pruned prune (int64_t before, int dry, const char *expected) {
  rb_Pruned sum;
  rb_Buffer b = {0};
  rb_Tape *t = open_tape();
  fine(rb_tape_prune(t, before, dry, "kim", why, &b, &sum, &problem));
  assert_string_equal(b.s != NULL ? b.s : "", expected);
  rb_buffer_free(&b);
  rb_tape_close(t);
  return sum;
}

#define EVER INT64_MAX

static int anywhere (const char *text) {
  static const char *const suffix[] = {"", "-wal"};
  char path[256];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s%s", file, suffix[i]);
    if (contains(path, text)) return 1;
  }
  return 0;
}

static void test_prune (void **state) {
  char id[RB_RUNID], live[RB_RUNID], path[256], text[120];
  (void)state;
  one_run(id);
  rb_Tape *t = open_tape();
  begin_run(t, live);  /* under way */
  add(t, "start", NULL);
  fine(rb_tape_commit(t, &problem));
  assert_int_equal(prune(1700000000000, 0, "").runs, 0);
  snprintf(text, sizeof text, "%s goes;%s under way;", id + 18, live + 18);
  rb_Pruned sum = prune(EVER, 1, text);
  assert_int_equal(sum.runs, 1);
  assert_int_equal(sum.kept, 1);
  assert_int_equal(seen(id).secrets, 1);  /* that was the dry run */
  assert_true(anywhere("block/remedy/1"));
  prune(EVER, 0, text);
  fine(verify());
  assert_int_equal(seen(live).n, 1);
  snprintf(path, sizeof path, "%s/state/keys/%s", dir, id);
  assert_int_not_equal(access(path, F_OK), 0);
  add(t, "intent", SECRET);  /* it goes on, over all that */
  fine(rb_tape_end(t, "done", 0, &problem));
  rb_tape_close(t);
  snprintf(text, sizeof text, "%s goes;", live + 18);
  prune(EVER, 0, text);
  prune(EVER, 0, "");
  fine(verify());
  assert_false(anywhere("block/remedy/1"));
  assert_false(anywhere("redis.set"));
  assert_true(anywhere("tenant_isolation"));  /* its row */
}

/* a change that failed half-way keeps its run, and its undo */
static void test_prune_keeps (void **state) {
  static const char *const deed = "{\"effect\":\"remedy\",\"outcome\":\"done\"}";
  char id[RB_RUNID], text[120];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  rb_TapeEvent e = {.kind = "intent", .path = "a/remedy/1", .text = deed};
  rb_tape_append(t, &e);
  e.kind = "outcome";
  rb_tape_append(t, &e);
  fine(rb_tape_end(t, "failed", 1, &problem));
  rb_tape_close(t);
  snprintf(text, sizeof text, "%s not finished: resume, undo or abandon it;", id + 18);
  assert_int_equal(prune(EVER, 0, text).kept, 1);
  assert_int_equal(seen(id).n, 3);
}

/* room is given back, and what a prune that was killed has left is removed by the next */
static void test_prune_room (void **state) {
  char id[RB_RUNID], text[120], big[400];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  memset(big, 'y', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  rb_TapeEvent e = {.kind = "note", .text = big};
  for (int i = 0; i < 7000; i++) rb_tape_append(t, &e);
  fine(rb_tape_end(t, "done", 0, &problem));
  rb_tape_close(t);
  snprintf(text, sizeof text, "%s goes;", id + 18);
  rb_Pruned sum = prune(EVER, 0, text);
  assert_int_equal(sum.events, 7001);
  assert_true(sum.was > 3000000);
  assert_true(sum.is < 100000);
  assert_int_equal(edit("INSERT INTO event SELECT run, 7, at, 'note', 'left-over', NULL, text, "
                        "NULL, hash FROM event"), 0);
  fine(verify());
  prune(EVER, 0, "");
  assert_false(anywhere("left-over"));
}

/* an older tape cannot give back pages one by one */
static void test_prune_old (void **state) {
  char id[RB_RUNID], text[120];
  (void)state;
  one_run(id);
  assert_int_equal(edit("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;"
                        "PRAGMA journal_mode = WAL; UPDATE run SET exit = exit"), 0);
  make_old();
  snprintf(text, sizeof text, "%s goes;", id + 18);
  prune(EVER, 0, text);
  fine(verify());
  assert_false(anywhere("block/remedy/1"));
}

/* -- while it is written ---------------------------------------------------------- */

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

/* -- by the thread of the tape ------------------------------------------------------- */

static void pause_ (void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

/* events that nobody waits for: in order, whole, and before the next commit's */
static void test_flush (void **state) {
  char id[RB_RUNID], text[400];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  rb_TapeEvent e = {.kind = "note", .text = text, .secret = SECRET,
                    .secretlen = strlen(SECRET)};
  for (int i = 1; i <= 20000; i++) {
    assert_int_equal(rb_tape_append(t, &e), i);
    fine(rb_tape_flush(t, i % 3000 == 0, &problem));
    if (i % 7000 == 0) fine(rb_tape_commit(t, &problem));
    assert_true(rb_tape_waiting(t) < 8000);  /* it does not pile up */
  }
  assert_true(t->writer.running);
  fine(rb_tape_flush(t, 1, &problem));
  for (int i = 0; i < 2000 && rb_tape_waiting(t) > 0; i++) {
    fine(rb_tape_flush(t, 1, &problem));
    pause_();
  }
  assert_int_equal(rb_tape_waiting(t), 0);
  add(t, "intent", SECRET);
  fine(rb_tape_end(t, "done", 0, &problem));
  fine(rb_tape_verify(t, NULL, &problem));
  rb_tape_close(t);
  Seen s = seen(id);
  assert_int_equal(s.n, 20002);
  assert_int_equal(s.secrets, 20001);
}

/* what the thread could not write is told, waits, and is written later */
static void test_flush_fails (void **state) {
  sqlite3 *other;
  char id[RB_RUNID];
  int rc = 0;
  (void)state;
  rb_Tape *t = open_tape();
  sqlite3_busy_timeout(t->db, 20);
  begin_run(t, id);
  assert_int_equal(sqlite3_open(file, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", 0, 0, 0), SQLITE_OK);
  for (int i = 0; i < 200; i++) add(t, "note", SECRET);
  for (int i = 0; i < 2000 && rc == 0; i++) {
    rc = rb_tape_flush(t, 1, &problem);
    pause_();
  }
  assert_int_equal(rc, RB_USAGE);
  says("is locked by another process");
  assert_int_equal(rb_tape_waiting(t), 200);
  add(t, "intent", SECRET);
  assert_int_equal(rb_tape_commit(t, &problem), RB_USAGE);
  assert_int_equal(sqlite3_exec(other, "ROLLBACK", 0, 0, 0), SQLITE_OK);
  sqlite3_close(other);
  fine(rb_tape_commit(t, &problem));
  assert_int_equal(rb_tape_waiting(t), 0);
  fine(rb_tape_end(t, "done", 0, &problem));
  fine(rb_tape_verify(t, NULL, &problem));
  rb_tape_close(t);
  assert_int_equal(seen(id).n, 202);
}

/* the last words come while the thread writes: all before them is there */
static void test_flush_rescued (void **state) {
  char id[RB_RUNID];
  (void)state;
  rb_Tape *t = open_tape();
  begin_run(t, id);
  for (int i = 0; i < 3000; i++) add(t, "note", SECRET);
  fine(rb_tape_flush(t, 1, &problem));
  for (int i = 0; i < 1000; i++) add(t, "note", NULL);
  fine(rb_tape_rescue(t, "interrupted", 130));
  assert_int_equal(add(t, "note", NULL), 0);
  assert_int_equal(rb_tape_flush(t, 1, &problem), 0);
  rb_tape_close(t);
  fine(verify());
  assert_int_equal(seen(id).n, 4001);
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

/* Whoever opens the tape next reads all of its log. */
static void test_short_runs (void **state) {
  char log[140];
  struct stat st;
  (void)state;
  snprintf(log, sizeof log, "%s-wal", file);
  for (int i = 0; i < 200; i++) {
    rb_Tape *t = open_tape();
    begin_run(t, NULL);
    for (int k = 0; k < 20; k++) add(t, "probe", SECRET);
    fine(rb_tape_end(t, "done", 0, &problem));
    rb_tape_close(t);
  }
  assert_int_equal(stat(log, &st), 0);
  assert_in_range(st.st_size, 1, 1200000);
  fine(verify());
}

/* two of one process, each going on with the same run */
static void test_two_go_on (void **state) {
  char id[RB_RUNID];
  rb_Problem p;
  (void)state;
  one_run(id);
  rb_Tape *a = open_tape(), *b = open_tape();
  fine(rb_tape_continue(a, id, &problem));
  assert_int_equal(rb_tape_continue(b, id, &p), RB_LOCKED);
  problem = p;
  says("still under way in another process");
  add(a, "note", NULL);
  fine(rb_tape_commit(a, &problem));
  rb_tape_close(a);
  fine(rb_tape_continue(b, id, &problem));  /* the lock died with its holder */
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

static void test_sha256 (void **state) {
  char hash[65];
  (void)state;
  rb_sha256("abc", 3, hash);
  assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223"
                            "b00361a396177a9cb410ff61f20015ad");
}

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_reads_back), test(test_only_mine), test(test_sealed),
    test(test_secret_cannot_move), test(test_derived), test(test_continues),
    test(test_names), test(test_cases), test(test_cases_index), test(test_grows),
    test(test_prune), test(test_prune_keeps),
    test(test_prune_room), test(test_prune_old), test(test_locked), test(test_full),
    test(test_flush), test(test_flush_fails), test(test_flush_rescued),
    test(test_torn_tail), test(test_killed), test(test_many_at_once),
    test(test_short_runs), test(test_two_go_on), test(test_rescue), test(test_memory),
    test(test_sha256)
  };
  return cmocka_run_group_tests(tests, scarce, NULL);
}
