/*
** ask_test.c - questions, asked on a terminal of our own making
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "vm/show/show.h"

static char screen[8000];
static size_t used;

/* what the terminal shows, until 'part' is there or nothing comes any more */
static int until (int fd, const char *part) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  while (part == NULL || strstr(screen, part) == NULL) {
    if (poll(&p, 1, 5000) <= 0) return 0;
    ssize_t n = read(fd, screen + used, sizeof screen - 1 - used);
    if (n <= 0) return 0;
    used += (size_t)n;
    screen[used] = '\0';
  }
  return 1;
}

/* In a child with a terminal, 'ask' returns its exit status; we type. */
typedef int (*Ask) (void);

static int echoes (int fd) {
  struct termios t;
  return tcgetattr(fd, &t) == 0 && (t.c_lflag & ECHO) && (t.c_lflag & ISIG);
}

static pid_t start (Ask ask, int *fd) {
  used = 0;
  screen[0] = '\0';
  pid_t pid = forkpty(fd, NULL, NULL, NULL);
  if (pid == 0) _exit(ask());
  return pid;
}

static int typed (Ask ask, const char *prompt, const char *keys) {
  int fd, status;
  pid_t pid = start(ask, &fd);
  if (!until(fd, prompt)) fail_msg("no '%s' in: %s", prompt, screen);
  usleep(20000);  /* the terminal is made silent after the question */
  assert_int_equal(write(fd, keys, strlen(keys)), strlen(keys));
  until(fd, NULL);
  waitpid(pid, &status, 0);
  close(fd);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* -- yes and no -------------------------------------------------------------------- */

static int yes (void) { return rb_ask_yes(NULL, "Go on?") + 10; }

static void test_yes (void **state) {
  (void)state;
  assert_int_equal(typed(yes, "Go on? [y/N] ", "y\n"), 11);
  assert_int_equal(typed(yes, "Go on?", "YES\n"), 11);
  assert_int_equal(typed(yes, "Go on?", "n\n"), 10);
  assert_int_equal(typed(yes, "Go on?", "\n"), 10);
  assert_int_equal(typed(yes, "Go on?", "perhaps\ny\n"), 11);
  assert_non_null(strstr(screen, "Please type yes or no."));
  assert_int_equal(typed(yes, "Go on?", "\4"), 9);  /* the end: no answer */
}

static void test_no_terminal (void **state) {
  static const char *const choices[] = {"a", NULL};
  int old = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY);
  (void)state;
  dup2(null, STDIN_FILENO);
  assert_false(rb_ask_terminal());
  assert_int_equal(rb_ask_yes(NULL, "Go on?"), -1);
  assert_null(rb_ask_line(NULL, "Who?", 0));
  assert_null(rb_ask_line(NULL, "Password:", 1));
  assert_int_equal(rb_ask_choice(NULL, "Which?", choices), -1);
  dup2(old, STDIN_FILENO);
  close(old);
  close(null);
}

/* -- lines --------------------------------------------------------------------------- */

static int line (void) {
  char *s = rb_ask_line(NULL, "Who?", 0);
  int rc = s == NULL ? 1 : strcmp(s, "kim \xC3\xA9") == 0 ? 0 : 2;
  free(s);
  return rc;
}

static int hiddenline (void) {
  char *s = rb_ask_line(NULL, "Password:", 1);
  int rc = s == NULL ? 1 : strcmp(s, "sesame") == 0 ? 0 : 2;
  if (!echoes(STDIN_FILENO)) rc = 3;
  free(s);
  return rc;
}

static void test_line (void **state) {
  (void)state;
  assert_int_equal(typed(line, "Who? ", "kim \xC3\xA9\n"), 0);
  assert_int_equal(typed(line, "Who? ", "\4"), 1);
}

static void test_hidden (void **state) {
  (void)state;
  assert_int_equal(typed(hiddenline, "Password: ", "sesame\n"), 0);
  assert_null(strstr(screen, "sesame"));
  assert_int_equal(typed(hiddenline, "Password: ", "wrong\25sesaX\177m\xC3\xA9"
                         "\177e\n"), 0);
  assert_int_equal(typed(hiddenline, "Password: ", "\4"), 1);
}

static volatile sig_atomic_t interrupted;
static void oninterrupt (int sig) { (void)sig; interrupted = 1; }

static int caught (void) {
  struct sigaction sa = {.sa_handler = oninterrupt};
  sigaction(SIGINT, &sa, NULL);
  char *s = rb_ask_line(NULL, "Password:", 1);
  return s != NULL ? 1 : !interrupted ? 2 : !echoes(STDIN_FILENO) ? 3 : 0;
}

static void test_interrupt (void **state) {
  (void)state;
  assert_int_equal(typed(caught, "Password: ", "sesa\3"), 0);
  assert_int_equal(typed(hiddenline, "Password: ", "sesa\3"), 256 + SIGINT);
}

/* the terminal speaks again after Ctrl-C and after kill */
static void test_restored (void **state) {
  (void)state;
  for (int turn = 0; turn < 2; turn++) {
    int fd, status;
    pid_t pid = start(hiddenline, &fd);
    assert_true(until(fd, "Password: "));
    usleep(20000);
    assert_false(echoes(fd));
    if (turn == 0) assert_int_equal(write(fd, "\3", 1), 1);
    else kill(pid, SIGTERM);
    for (int i = 0; i < 200 && !echoes(fd); i++) usleep(5000);
    assert_true(echoes(fd));
    waitpid(pid, &status, 0);
    assert_int_equal(WTERMSIG(status), turn == 0 ? SIGINT : SIGTERM);
    close(fd);
  }
}

/* -- one of several ------------------------------------------------------------------------ */

static int choice (void) {
  static const char *const choices[] = {"isolate", "investigate", "reenable",
                                        NULL};
  return rb_ask_choice(NULL, "Which one?", choices) + 10;
}

static void test_choice (void **state) {
  (void)state;
  assert_int_equal(typed(choice, "1 to 3", "2\n"), 11);
  assert_non_null(strstr(screen, "  2  investigate"));
  assert_int_equal(typed(choice, "1 to 3", "reenable\n"), 12);
  assert_int_equal(typed(choice, "1 to 3", "r\n"), 12);
  assert_int_equal(typed(choice, "1 to 3", "i\n4\n0\nis\n"), 10);
  assert_int_equal(typed(choice, "1 to 3", "\n"), 9);
  assert_int_equal(typed(choice, "1 to 3", "\4"), 9);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_yes), cmocka_unit_test(test_no_terminal),
    cmocka_unit_test(test_line), cmocka_unit_test(test_hidden),
    cmocka_unit_test(test_interrupt), cmocka_unit_test(test_restored),
    cmocka_unit_test(test_choice)
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
