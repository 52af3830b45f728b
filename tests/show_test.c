/*
** show_test.c - notes, progress, and outputs that break
*/

#include "tests/report.h"

static void test_notes (void **state) {
  rb_ShowOptions o = {.json = 1};
  FILE *file;
  (void)state;
  rb_Show *s = rb_show_open(&o);
  int old = catch_(STDERR_FILENO, &file);
  rb_show_note(s, "a note\nof two lines \33[31m");
  rb_show_note(NULL, "without a run");
  caught(STDERR_FILENO, old, file);
  is("a note\nof two lines \\x1b[31m\nwithout a run\n");
  rb_show_close(s);
}

static void test_progress (void **state) {
  Made m;
  FILE *file;
  rb_ShowOptions o = {0};
  (void)state;
  dry(&m);
  rb_Show *s = rb_show_open(&o);
  s->live = 1;
  int old = catch_(STDERR_FILENO, &file);
  rb_show_begin(s, &m.r, &m.steps[1]);
  rb_show_progress(s, &m.steps[1], "done", 1, 10000, 0.01);  /* too soon */
  s->livetime -= 1;
  rb_show_progress(s, &m.steps[1], "done", 412, 10000, 3);
  rb_show_note(s, "a note");
  s->live = 0;
  rb_show_progress(s, &m.steps[1], "done", 500, 10000, 4);   /* too soon */
  s->livetime -= 20;
  rb_show_progress(s, &m.steps[1], "done", 600, 10000, 24);
  caught(STDERR_FILENO, old, file);
  is("\r\33[K  2  Block its traffic ..."
     "\r\33[K  2  Block its traffic: 412 of 10,000 done · 3.0 s"
     "\r\33[Ka note\n"
     "  2  Block its traffic: 600 of 10,000 done · 24 s\n");
  rb_show_close(s);
}

/* a reader that goes away is no matter; a full disk is said, once */
static void test_broken (void **state) {
  Made m;
  int ends[2];
  FILE *file;
  rb_ShowOptions o = {0};
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  dry(&m);
  for (int turn = 0; turn < 2; turn++) {
    rb_Show *s = rb_show_open(&o);
    int old = dup(STDOUT_FILENO), to;
    if (turn == 0) {
      assert_int_equal(pipe(ends), 0);
      close(ends[0]);
      to = ends[1];
    }
    else to = open("/dev/full", O_WRONLY);
    dup2(to, STDOUT_FILENO);
    close(to);
    int olderr = catch_(STDERR_FILENO, &file);
    rb_show_start(s, &m.r);
    rb_show_finish(s, &m.r);
    caught(STDERR_FILENO, olderr, file);
    dup2(old, STDOUT_FILENO);
    close(old);
    is(turn == 0 ? "" : "runbook: cannot write standard output: No space left on "
                        "device\n");
    rb_show_close(s);
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    test(test_notes), test(test_progress), test(test_broken)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
