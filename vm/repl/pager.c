/*
** pager.c - what is longer than the terminal, through $PAGER (less where it is not set)
*/

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/repl/repl.h"
#include "vm/show/style.h"

#define LESS "less -FRX"

extern char **environ;

/* is a program of that name in PATH? */
static int installed (const char *name) {
  const char *path = getenv("PATH");
  char file[4096];
  while (path != NULL && *path != '\0') {
    size_t n = strcspn(path, ":");
    snprintf(file, sizeof file, "%.*s/%s", (int)n, path, name);
    if (access(file, X_OK) == 0) return 1;
    path += n + (path[n] == ':');
  }
  return 0;
}

/* a command for sh; NULL: as it is */
static const char *pager (void) {
  const char *is = getenv("PAGER");
  if (is != NULL) return *is != '\0' ? is : NULL;
  return installed("less") ? LESS : NULL;
}

/* the columns of a line, without what only colours it */
static int widthof (const char *s, size_t n) {
  int wide = 0;
  for (size_t i = 0, from = 0; i <= n; i++) {
    if (i < n && s[i] != '\33') continue;
    wide += rb_style_width(s + from, i - from);
    while (i < n && s[i] != 'm') i++;
    from = i + 1;
  }
  return wide;
}

/* A line that is too wide takes more than one on the screen. */
static int islong (const rb_Buffer *out) {
  struct winsize size;
  int lines = 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 0;
  for (size_t i = 0, n; i < out->n && lines < size.ws_row; i += n + 1) {
    const char *end = memchr(out->s + i, '\n', out->n - i);
    n = end != NULL ? (size_t)(end - (out->s + i)) : out->n - i;
    lines += 1 + (size.ws_col > 0 ? (widthof(out->s + i, n) - 1) / size.ws_col : 0);
  }
  return lines >= size.ws_row;
}

/* 0: it could not be begun, and nothing was shown */
static int through (const char *command, const rb_Buffer *out) {
  char sh[] = "sh", c[] = "-c";
  char *const argv[] = {sh, c, (char *)command, NULL};
  posix_spawn_file_actions_t acts;
  int pipes[2], status = 0;
  pid_t pid;
  if (pipe(pipes) != 0) return 0;
  posix_spawn_file_actions_init(&acts);
  posix_spawn_file_actions_adddup2(&acts, pipes[0], STDIN_FILENO);
  posix_spawn_file_actions_addclose(&acts, pipes[0]);
  posix_spawn_file_actions_addclose(&acts, pipes[1]);
  int error = posix_spawn(&pid, "/bin/sh", &acts, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&acts);
  close(pipes[0]);
  if (error == 0) (void)rb_style_write(pipes[1], out->s, out->n);  /* it may be left early */
  close(pipes[1]);
  while (error == 0 && waitpid(pid, &status, 0) < 0) if (errno != EINTR) return 1;
  return error == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) >= 126);
}

void rb_repl_page (rb_Repl *s) {
  rb_Show *show = s->r.vm->show;
  const char *command = s->terminal && isatty(STDOUT_FILENO) && islong(&show->out) ? pager()
                        : NULL;
  if (command != NULL && !show->out.failed && through(command, &show->out))
    rb_buffer_clear(&show->out);
  rb_style_flush(show);
  s->interrupted |= s->r.vm->interrupts > 0;
  s->r.vm->interrupts = 0;
}
