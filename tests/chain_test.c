/*
** chain_test.c - what was changed on the tape shows
*/

#include "tests/tape.h"

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

static void ignore (void *ud, const char *run, const char *kept) {
  (void)ud; (void)run; (void)kept;
}

/* what is left of a pruned run is held together, too */
static void test_pruned (void **state) {
  static const char *const change[] = {
    "UPDATE run SET runbook = 'other'", "UPDATE run SET exit = 1", "UPDATE run SET ended = 7",
    "UPDATE run SET pruned = pruned + 1", "UPDATE run SET head = zeroblob(32)",
    "UPDATE run SET events = 4", "UPDATE run SET pruned = NULL", "DELETE FROM event",
    "UPDATE event SET text = replace(text, 'kim', 'ada')", "UPDATE event SET at = at + 1"
  };
  char copy[160], command[600];
  rb_Pruned sum;
  (void)state;
  one_run(NULL);
  rb_Tape *t = open_tape();
  fine(rb_tape_prune(t, INT64_MAX, 0, "kim", ignore, NULL, &sum, &problem));
  rb_tape_close(t);
  fine(verify());
  snprintf(copy, sizeof copy, "%s/copy.db", dir);
  snprintf(command, sizeof command, "cp '%s' '%s'", file, copy);
  assert_int_equal(system(command), 0);
  snprintf(command, sizeof command, "rm -f '%s'-*; cp '%s' '%s'", file, copy, file);
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    assert_int_equal(system(command), 0);
    fine(verify());
    tampered(change[i], "does not fit");
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

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_tampering), test(test_pruned), test(test_swapped), test(test_anchor)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
