/*
** main.c - the process around the program: signals, and output that arrived
**
** The locale is never set: numbers are written and read as in C.
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "vm/cli/cli.h"

/* Did all of standard output get where it goes? A reader who has gone away
** knows already; everybody else is told. */
static int delivered (void) {
  int failed = ferror(stdout);
  errno = 0;
  if (fclose(stdout) == 0 && !failed) return 1;
  if (errno != EPIPE && errno != 0)
    fprintf(stderr, "runbook: the output could not be written: %s\n", strerror(errno));
  return 0;
}

int main (int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  int status = rb_cli(argc, argv);
  if (!delivered() && status == RB_DONE) status = RB_FAILED;
  return status;
}
