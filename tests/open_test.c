/*
** open_test.c - the file of the tape, when the world is not as it should be
*/

#include "tests/tape.h"

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
  patch(60, "\0\0\0\4", 4);
  refused("has format 4, and this version of runbook reads 3: use the newer");
  patch(60, "\0\0\0\1", 4);
  refused("has format 1, and this version of runbook reads 3: use the older");
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

/* only pages of the events are gone: the first write of a run would need them */
static void test_ready (void **state) {
  char garbage[4096];
  (void)state;
  one_run(NULL);
  edit("PRAGMA wal_checkpoint(TRUNCATE)");
  fine(rb_tape_look(file, &problem));
  rb_Tape *t = open_tape();
  fine(rb_tape_ready(t, &problem));
  rb_tape_close(t);
  fine(verify());  /* nothing of the attempt is left */
  memset(garbage, 'x', sizeof garbage);
  patch(4096 * 3, garbage, sizeof garbage);
  t = open_tape();
  assert_int_equal(rb_tape_ready(t, &problem), RB_USAGE);
  says("is damaged (database disk image is malformed): move it away");
  rb_tape_close(t);
  assert_int_equal(rb_tape_look(file, &problem), RB_USAGE);
  says("is damaged (some of its pages");
}

/* what a look says of a tape that is not there, and that it makes none */
static void test_look (void **state) {
  char none[160];
  (void)state;
  fine(rb_tape_look(file, &problem));
  assert_int_equal(access(file, F_OK), -1);
  snprintf(none, sizeof none, "%s/a/b/tape.db", dir);
  fine(rb_tape_look(none, &problem));  /* its folders would be made */
  snprintf(none, sizeof none, "%s/a", dir);
  close(open(none, O_CREAT | O_WRONLY, 0600));
  snprintf(none, sizeof none, "%s/a/b/tape.db", dir);
  assert_int_equal(rb_tape_look(none, &problem), RB_USAGE);
  says("Not a directory; XDG_STATE_HOME");
  if (geteuid() != 0) skip();
  assert_int_equal(seteuid(NOBODY), 0);
  int rc = rb_tape_look(file, &problem);
  assert_int_equal(seteuid(0), 0);
  assert_int_equal(rc, RB_USAGE);
  says("Permission denied");
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
  says("its mode says so (chmod u+w ");
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
  says("Permission denied; XDG_STATE_HOME (a folder that you may write) says where");
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

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_damaged), test(test_damaged_inside), test(test_ready),
    test(test_look), test(test_stale_log),
    test(test_no_room_to_create), test(test_not_writable),
    test(test_open_folder), test(test_no_folder), test(test_file)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
