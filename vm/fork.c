/*
** fork.c - from fork to exec
**
** Everything is prepared before the fork; in the child only what is
** async-signal-safe happens, since other threads of ours may have held a lock.
** A deed's child waits until its intent is durable, and leaves without having
** done anything when we die meanwhile.
*/

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/child.h"

/* -- the child's side ---------------------------------------------------------- */

void rb_child_shut (int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* where its descriptors go; what else is open is closed */
enum { ATREPORT = 3, ATGO, ATRULES, FIRSTCLOSED };

static void giveup (int stage) {
  rb_Stuck r = {stage, errno};
  if (write(ATREPORT, &r, sizeof r) < 0) _exit(126);
  _exit(127);
}

/* first out of the way, then to their places */
static int place (const rb_Child *c) {
  const int from[] = {c->theirs[IN], c->theirs[OUT], c->theirs[ERR],
                      c->theirs[REPORT], c->theirs[GO], c->fence.ruleset};
  enum { N = sizeof from / sizeof *from };
  int high[N];
  for (int i = 0; i < N; i++)
    if ((high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD, 16)) < 0
        && from[i] >= 0)
      return -1;
  for (int i = 0; i < N; i++) {
    if (high[i] < 0) close(i);
    else if (dup2(high[i], i) < 0) return -1;
  }
  for (int i = ATREPORT; i < FIRSTCLOSED; i++) fcntl(i, F_SETFD, FD_CLOEXEC);
  if (syscall(SYS_close_range, FIRSTCLOSED, ~0u, 0) == 0) return 0;
  for (int i = FIRSTCLOSED; i < 1024; i++) close(i);  /* before Linux 5.9 */
  return 0;
}

static void defaultsignals (void) {
  struct sigaction sa = {.sa_handler = SIG_DFL};
  sigset_t none;
  for (int s = 1; s < NSIG; s++) sigaction(s, &sa, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* a byte: go on; the end: the parent is gone */
static void awaitgo (void) {
  char go;
  ssize_t n;
  do n = read(ATGO, &go, 1); while (n < 0 && errno == EINTR);
  if (n != 1) _exit(0);
}

/* A session of its own: a group that can be ended as a whole, and no terminal
** on which a program could wait for a password. */
static void runchild (const rb_Child *c, const rb_Program *cmd, pid_t parent) {
  if (place(c) != 0) _exit(126);
  if (setsid() < 0) giveup(STARTING);
  if (cmd->readonly) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) giveup(STARTING);
    if (getppid() != parent) _exit(0);
  }
  if (cmd->cwd != NULL && chdir(cmd->cwd) != 0) giveup(FOLDER);
  if (cmd->pledge) awaitgo();
  if (cmd->readonly && rb_fence_apply(&c->fence, ATRULES) != 0) giveup(FENCE);
  defaultsignals();
  execve(cmd->argv[0], cmd->argv, cmd->env);
  giveup(EXEC);
}

/* -- the parent's side ---------------------------------------------------------- */

/* a pipe in its two places; our end does not block */
static int openpipe (rb_Child *c, int which, int writes) {
  int p[2];
  if (pipe2(p, O_CLOEXEC) != 0) return -1;
  c->fd[which] = p[writes];
  c->theirs[which] = p[!writes];
  return fcntl(c->fd[which], F_SETFL, O_NONBLOCK);
}

/* what goes on without us writes to a file, or to nobody */
static int openoutput (rb_Child *c, const rb_Program *cmd) {
  const char *file = cmd->output != NULL ? cmd->output : "/dev/null";
  c->theirs[OUT] = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
  if (c->theirs[OUT] < 0) return -1;
  c->theirs[ERR] = fcntl(c->theirs[OUT], F_DUPFD_CLOEXEC, 3);
  return c->theirs[ERR] < 0 ? -1 : 0;
}

static int openpipes (rb_Child *c, const rb_Program *cmd) {
  int bad = openpipe(c, REPORT, 0);
  if (cmd->detach) bad |= openoutput(c, cmd);
  else bad |= openpipe(c, OUT, 0) | openpipe(c, ERR, 0);
  if (cmd->pledge) bad |= openpipe(c, GO, 1);
  if (c->input != NULL) return bad | openpipe(c, IN, 1);
  c->theirs[IN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return c->theirs[IN] < 0 ? -1 : bad;
}

/* a program that does not read its input is no reason for us to end */
static void ignoresigpipe (void) {
  struct sigaction sa;
  if (sigaction(SIGPIPE, NULL, &sa) != 0 || sa.sa_handler != SIG_DFL) return;
  sa.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &sa, NULL);
}

int rb_child_fork (rb_Child *c, const rb_Program *cmd) {
  sigset_t all, before;
  pid_t parent = getpid();
  if (openpipes(c, cmd) != 0) return -1;
  ignoresigpipe();
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  /* our handlers are not its own */
  pid_t pid = fork();
  if (pid == 0) runchild(c, cmd, parent);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  if (pid < 0) return -1;
  c->pid = pid;
  for (int i = 0; i < NFD; i++) rb_child_shut(&c->theirs[i]);
  c->fd[ENDED] = (int)syscall(SYS_pidfd_open, c->pid, 0);
  if (c->fd[ENDED] < 0) return -1;
  return fcntl(c->fd[ENDED], F_SETFD, FD_CLOEXEC);
}
