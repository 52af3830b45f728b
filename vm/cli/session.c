/*
** session.c - a run of the drill in a process of its own, since it may be killed
*/

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/cli/session.h"
#include "vm/replay.h"

/* -- in the child ------------------------------------------------------------------- */

/* No terminal to ask at; its document goes into 'out', its errors nowhere, if not loud. */
static void settle (const rb_Session *s, int out) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) _exit(RB_USAGE);
  dup2(null, STDIN_FILENO);
  dup2(s->loud ? null : out, STDOUT_FILENO);
  if (!s->loud) dup2(null, STDERR_FILENO);
  setsid();
}

static int run (rb_Session *s, int dry) {
  rb_RunOptions o = s->o->o;
  static const char *const none[] = {NULL};
  o.drill = &s->drill;
  o.yes = 1;
  o.json = !s->loud;
  o.dry_run = dry;
  if (s->file != NULL) {
    o.file = s->file;
    o.words = o.cases = none;
    o.answers = NULL;
  }
  return rb_run(&o);
}

static int again (rb_Session *s, int undo) {
  rb_RunOptions o = {.config = s->o->o.config, .yes = 1, .json = 1, .undo = undo,
                     .approved_by = s->o->o.approved_by, .answers = s->o->o.answers,
                     .drill = &s->drill};
  rb_Problem p = {0};
  rb_Replay *r = rb_again_load(NULL, !undo, rb_again_isrun, &p);
  if (r != NULL) {
    r->offline = undo;
    if (s->policy != NULL) r->policy = s->policy;
    int status = rb_again_run(&o, r, NULL, &p);
    if (p.exit == 0) return status;
  }
  dprintf(s->drill.said, "%s", p.message);
  return p.exit;
}

static int verify (const rb_Session *s) {
  rb_Problem p = {0};
  rb_Tape *t = rb_pick_tape(&p);
  if (t != NULL) rb_tape_verify(t, NULL, &p);
  rb_tape_close(t);
  dprintf(s->drill.said, "%s", p.message);
  return p.exit;
}

static int body (rb_Session *s, rb_SessionKind kind) {
  switch (kind) {
    case RB_SESSION_RUN: return run(s, 0);
    case RB_SESSION_DRYRUN: return run(s, 1);
    case RB_SESSION_RESUME: return again(s, 0);
    case RB_SESSION_UNDO: return again(s, 1);
    case RB_SESSION_VERIFY: return verify(s);
  }
  return RB_USAGE;
}

/* -- in the drill ---------------------------------------------------------------------- */

/* What the child says on its two pipes, up to their end. (A file would not do: where no
** file may grow, it could not say that.) */
static void hear (rb_Session *s, int said, int out, rb_Buffer *doc) {
  struct pollfd p[2] = {{said, POLLIN, 0}, {out, POLLIN, 0}};
  static char b[65536];
  size_t n = 0;
  while (p[0].fd >= 0 || p[1].fd >= 0) {
    if (poll(p, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; i++) {
      if (p[i].fd < 0 || p[i].revents == 0) continue;
      ssize_t got = read(p[i].fd, b, sizeof b);
      if (got <= 0) p[i].fd = -1;
      else if (i == 1) rb_buffer_add(doc, b, (size_t)got);
      else for (ssize_t k = 0; k < got && n + 1 < sizeof s->said; k++) s->said[n++] = b[k];
    }
  }
  s->said[n] = '\0';
}

static int spawn (rb_Session *s, rb_SessionKind kind, const int said[2], const int out[2]) {
  int status = 0;
  rb_Buffer doc = {0};
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    s->drill.said = said[1];
    settle(s, out[1]);
    int code = body(s, kind);
    fflush(NULL);
    _exit(code);
  }
  close(said[1]);
  close(out[1]);
  hear(s, said[0], out[0], &doc);
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  s->doc = doc.s != NULL ? json_loads(doc.s, 0, NULL) : NULL;
  rb_buffer_free(&doc);
  return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int rb_session (rb_Session *s, rb_SessionKind kind) {
  int said[2], out[2];
  rb_session_free(s);
  s->exit = -1;
  s->said[0] = '\0';
  if (pipe2(said, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
    snprintf(s->said, sizeof s->said, "no process: %s", strerror(errno));
    return -1;
  }
  s->exit = spawn(s, kind, said, out);
  close(said[0]);
  close(out[0]);
  return s->exit;
}

const char *rb_session_why (const rb_Session *s) {
  json_t *error = json_object_get(s->doc, "error");
  const char *why = json_string_value(json_object_get(error, "message"));
  return why != NULL ? why : s->said;
}

void rb_session_free (rb_Session *s) {
  json_decref(s->doc);
  s->doc = NULL;
}
