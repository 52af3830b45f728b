/*
** anchor_test.c - what an anchor proves: also against one who writes the chains anew
*/

#include "tests/tape.h"

#include "vm/buffer.h"

static char anchor[160], one[RB_RUNID], two[RB_RUNID];
static rb_Anchored sum;

static int check (void) {
  rb_Tape *t = open_tape();
  problem = (rb_Problem){0};
  int rc = rb_tape_anchor(t, anchor, &sum, &problem);
  rb_tape_close(t);
  return rc;
}

static char *readall (const char *name) {
  static char text[4096];
  FILE *f = fopen(name, "r");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  return text;
}

static void writeall (const char *text) {
  FILE *f = fopen(anchor, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

/* two runs of four events, anchored */
static int begin (void **state) {
  if (setup(state) != 0) return -1;
  snprintf(anchor, sizeof anchor, "%s/anchor", dir);
  one_run(one);
  one_run(two);
  return check() == 0 && sum.made && sum.added == 2 ? 0 : -1;
}

/* -- somebody who knows how a tape is made ------------------------------------------ */

static void rehash (sqlite3 *db, const char *run, unsigned char head[HASH], int *n) {
  sqlite3_stmt *s, *u;
  Fields f;
  sqlite3_prepare_v2(db, "SELECT seq, at, kind, path, verb, text, sealed FROM event "
                     "WHERE run = ? ORDER BY seq", -1, &s, NULL);
  sqlite3_prepare_v2(db, "UPDATE event SET hash = ? WHERE run = ? AND seq = ?", -1, &u, NULL);
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  sqlite3_bind_text(u, 2, run, -1, SQLITE_STATIC);
  for (*n = 0; sqlite3_step(s) == SQLITE_ROW; ++*n) {
    rb_chain_fields(s, &f);
    rb_chain_next(head, &f);
    sqlite3_bind_blob(u, 1, head, HASH, SQLITE_STATIC);
    sqlite3_bind_int64(u, 3, f.seq);
    assert_int_equal(sqlite3_step(u), SQLITE_DONE);
    sqlite3_reset(u);
  }
  sqlite3_finalize(s);
  sqlite3_finalize(u);
}

/* makes the chain of a run fit what is there now */
static void rechain (const char *run) {
  static const char *const row[RUNTEXTS] = {"tenant_isolation", "local", "run", "kim", "desk",
                                            "0.1.0", "{\"tenant\":\"greenwood_high\"}"};
  unsigned char head[HASH];
  sqlite3 *db;
  sqlite3_stmt *s;
  int n;
  assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
  rb_chain_start(head, run, row, 1700000000000);
  rehash(db, run, head, &n);
  sqlite3_prepare_v2(db, "UPDATE run SET head = ?1, events = ?2, (ended, status, exit) = "
      "(SELECT CASE kind WHEN 'end' THEN at ELSE 0 END, CASE kind WHEN 'end' THEN 'done' END, 0 "
      "FROM event WHERE run = ?3 AND seq = ?2) WHERE id = ?3", -1, &s, NULL);
  sqlite3_bind_blob(s, 1, head, HASH, SQLITE_STATIC);
  sqlite3_bind_int(s, 2, n);
  sqlite3_bind_text(s, 3, run, -1, SQLITE_STATIC);
  assert_int_equal(sqlite3_step(s), SQLITE_DONE);
  sqlite3_finalize(s);
  sqlite3_close(db);
}

static void change (const char *fmt, const char *a, const char *b) {
  char sql[600];
  snprintf(sql, sizeof sql, fmt, a, b);
  if (edit(sql) != 0) fail_msg("%s", sql);
}

/* the chains fit, the anchor does not, and stays as it was */
static void shown (const char *words, const char *run) {
  char before[4096];
  snprintf(before, sizeof before, "%s", readall(anchor));
  fine(verify());
  assert_int_equal(check(), RB_FAILED);
  says(words);
  says(run);
  assert_string_equal(readall(anchor), before);
}

/* -- the tests ----------------------------------------------------------------------- */

static void test_holds (void **state) {
  char line[200], third[RB_RUNID];
  (void)state;
  snprintf(line, sizeof line, "runbook-anchor 1\n%s 4 ", one);
  assert_memory_equal(readall(anchor), line, strlen(line));
  fine(check());
  assert_int_equal(sum.held, 2);
  assert_int_equal(sum.added + sum.grown + sum.made, 0);
  rb_Tape *t = open_tape();
  fine(rb_tape_continue(t, two, &problem));  /* it goes on, and another one begins */
  add(t, "note", NULL);
  fine(rb_tape_commit(t, &problem));
  rb_tape_close(t);
  one_run(third);
  fine(check());
  assert_int_equal(sum.held, 2);
  assert_int_equal(sum.grown, 1);
  assert_int_equal(sum.added, 1);
  snprintf(line, sizeof line, "\n%s 5 ", two);
  assert_non_null(strstr(readall(anchor), line));
  snprintf(line, sizeof line, "\nall 3 %s\n", sum.all);
  assert_non_null(strstr(readall(anchor), line));
  fine(check());
}

static void test_edited (void **state) {
  (void)state;
  change("UPDATE event SET text = '{}' WHERE run = '%s' AND seq = 2", one, NULL);
  assert_int_equal(check(), RB_FAILED);
  says("event 2 (intent) has been changed");
  rechain(one);
  shown("its events 1 to 4 were written anew", one);
}

static void test_dropped (void **state) {
  (void)state;
  change("DELETE FROM event WHERE run = '%s' AND seq = 2", two, NULL);
  assert_int_equal(check(), RB_FAILED);
  says("event 3 (outcome) comes where another one is missing");
  change("UPDATE event SET seq = seq - 1 WHERE run = '%s' AND seq > 2", two, NULL);
  rechain(two);
  shown("is cut short: event 4 is missing", two);
}

static void test_reordered (void **state) {
  (void)state;
  change("UPDATE event SET seq = -seq WHERE run = '%s' AND seq IN (1, 3);"
         "UPDATE event SET seq = 4 + seq WHERE seq < 0", one, NULL);
  rechain(one);
  shown("its events 1 to 4 were written anew", one);
}

static void test_truncated (void **state) {
  (void)state;
  change("DELETE FROM event WHERE run = '%s' AND seq > 2", two, NULL);
  assert_int_equal(check(), RB_FAILED);
  says("event 3 (after the last one) is missing");
  rechain(two);
  shown("is cut short: event 3 is missing", two);
}

static void test_run_dropped (void **state) {
  (void)state;
  change("DELETE FROM event WHERE run = '%s'; DELETE FROM run WHERE id = '%s'", one, one);
  shown("is missing", one);
}

static void test_swapped (void **state) {
  (void)state;
  change("UPDATE event SET run = 'x' WHERE run = '%s'", one, NULL);
  change("UPDATE event SET run = '%s' WHERE run = '%s'", one, two);
  change("UPDATE event SET text = '{}', run = '%s' WHERE run = 'x' AND seq = 2;"
         "UPDATE event SET run = '%s' WHERE run = 'x'", two, two);
  assert_int_equal(check(), RB_FAILED);
  says("event 1 ");
  says(one);
  rechain(one);
  rechain(two);
  shown("written anew", one);
}

static void ignore (void *ud, const char *run, const char *kept) {
  (void)ud; (void)run; (void)kept;
}

/* a pruned run is not missing, and its head is the one that was anchored */
static void test_pruned (void **state) {
  rb_Pruned gone;
  (void)state;
  rb_Tape *t = open_tape();
  fine(rb_tape_prune(t, INT64_MAX, 0, "kim", ignore, NULL, &gone, &problem));
  rb_tape_close(t);
  assert_int_equal(gone.runs, 2);
  fine(check());
  assert_int_equal(sum.held, 2);
  assert_int_equal(sum.unseen, 0);
  fine(check());
  change("DELETE FROM event WHERE run = '%s'; DELETE FROM run WHERE id = '%s'", one, one);
  shown("is missing", one);
}

/* ... and of one that went on before, nothing is left to be compared */
static void test_pruned_later (void **state) {
  rb_Pruned gone;
  (void)state;
  rb_Tape *t = open_tape();
  fine(rb_tape_continue(t, two, &problem));
  add(t, "note", NULL);
  fine(rb_tape_end(t, "done", 0, &problem));
  rb_tape_close(t);  /* its session ends */
  t = open_tape();
  fine(rb_tape_prune(t, INT64_MAX, 0, "kim", ignore, NULL, &gone, &problem));
  rb_tape_close(t);
  assert_int_equal(gone.runs, 2);
  fine(check());
  assert_int_equal(sum.held, 2);
  assert_int_equal(sum.unseen, 1);
}

static void test_anchor_edited (void **state) {
  char text[4096], good[4096];
  (void)state;
  snprintf(good, sizeof good, "%s", readall(anchor));
  snprintf(text, sizeof text, "%s", good);
  char *digit = strstr(text, two) + RB_RUNID + 2;  /* of its head */
  *digit = *digit == '0' ? '1' : '0';
  writeall(text);
  assert_int_equal(check(), RB_FAILED);
  says("anchor:4: the anchor itself has been edited");
  snprintf(text, sizeof text, "%s", good);
  *strstr(text, two) = '\0';  /* all that follows is gone */
  writeall(text);
  assert_int_equal(check(), RB_FAILED);
  says("anchor:3: this line of the anchor has been edited");
  snprintf(text, sizeof text, "%s%s", good, "more\n");
  writeall(text);
  assert_int_equal(check(), RB_FAILED);
  writeall("runbook-anchor 2\nall 0 0\n");
  assert_int_equal(check(), RB_USAGE);
  says("another version");
  writeall("my notes\n");
  assert_int_equal(check(), RB_USAGE);
  says("it is no anchor");
  assert_string_equal(readall(anchor), "my notes\n");
  writeall(good);
  fine(check());
}

#undef test
#define test(f) cmocka_unit_test_setup_teardown(f, begin, teardown)

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_holds), test(test_edited), test(test_dropped), test(test_reordered),
    test(test_truncated), test(test_run_dropped), test(test_swapped), test(test_pruned),
    test(test_pruned_later), test(test_anchor_edited)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
