/*
** main.c - the process around the program: signals, and output that arrived
**
** The locale is never set: numbers are written and read as in C.
*/

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/pool.h"
#include "vm/show/show.h"

/* Did all of standard output get where it goes? A reader who has gone away
** knows already; everybody else is told. */
static int delivered (void) {
  int failed = ferror(stdout);
  errno = 0;
  if (fclose(stdout) == 0 && !failed) return rb_show_delivered();
  if (errno != EPIPE && errno != 0)
    fprintf(stderr, "runbook: cannot write standard output: %s\n", strerror(errno));
  return 0;
}

/* A standard descriptor that is closed would be given to the next file that is
** opened, such as the tape. It becomes one on which reading or writing fails. */
static void holdstandard (void) {
  static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd) return;
}

/* A thread that was given up may still be at work in a library, which would take its tables away at
** exit, and that takes time, too. An address sanitizer looks for leaks at exit. */
static int leave (int status) {
  if (!RB_SANITIZED) quick_exit(status);
  return status;
}

int main (int argc, char **argv) {
  holdstandard();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  /* a limit on file sizes is met as a full disk is: write says so */
  int status = rb_cli(argc, argv);
  if (!delivered() && status == RB_DONE) status = RB_FAILED;
  return leave(status);
}
