/*
** drill.c - `runbook drill`: kills a run at every point that matters, and resumes it
**
** For each change of the runbook a run is ended, as by a power cut, just before its
** intent is on the tape, after that, after the deed, and after its outcome. Each is
** then resumed; the changes must be those of an undisturbed run, each done once. What
** was done is taken back before the next one, by undo or by --reset. The runs are on
** a tape of the drill's own.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/show/show.h"

typedef struct Options {
  rb_RunOptions o;
  const char *reset;
} Options;

#define at(field) offsetof(Options, field)

static const rb_Option options[] = {
  {"target", 't', RB_VALUE, "TARGET", "the sandbox (default: the configuration's)",
   at(o.target)},
  {"case", 0, RB_LIST, "CASE", "take this case, without asking its 'when'", at(o.cases)},
  {"approved-by", 0, RB_LIST, "ROLE=WHO:NOTE", "another person agreed", at(o.approved_by)},
  {"answers", 0, RB_VALUE, "FILE", "answers to questions: {\"id\": \"answer\"} as JSON",
   at(o.answers)},
  {"reset", 0, RB_VALUE, "COMMAND", "what brings the sandbox back (default: undo)",
   at(reset)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_drill = {
  .name = "drill", .takes = "FILE|NAME [NAME=VALUE]...",
  .summary = "kill a run at every point that matters, resume it, and compare",
  .about = "On a sandbox only. For each change of the runbook a run is killed (SIGKILL) before\n"
           "its intent is on the tape, after that, after the deed, and after its outcome; then\n"
           "it is resumed. It held if all the changes of an undisturbed run are done, each\n"
           "once. 'asked' is a change of which nobody can tell whether it happened: the drill\n"
           "knows, and answers. Approvals of your own count as given. Exit 1 if any did not hold.",
  .example = "runbook drill tenant_isolation --case isolate --reset './sandbox reset'",
  .options = options, .min = 1, .max = -1, .main = rb_cmd_drill
};

/* -- one process --------------------------------------------------------------- */

typedef struct Drill {
  Options *o;
  const char **baseline;   /* paths of the changes of an undisturbed run */
  int n;
  int points, held, asked;
  char last[512];          /* path, point and words of the last kill */
} Drill;

typedef struct Job {
  Options *o;
  int crash, first;
  const char *policy;      /* resume */
} Job;

/* a child's standard streams are nobody's, but for the errors of the first one */
static void quiet (int errors) {
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; null >= 0 && fd < (errors ? 2 : 3); fd++) dup2(null, fd);
  setsid();  /* no terminal to ask at */
}

/* A run in a process of its own: its wait status, and what it said at its end. */
static int inchild (int (*body) (Job *j, int fd), Job *j, char *said, size_t size) {
  int pipes[2], status = -1;
  size_t n = 0;
  ssize_t got;
  if (pipe2(pipes, O_CLOEXEC) != 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    close(pipes[0]);
    quiet(j->first);
    _exit(body(j, pipes[1]));
  }
  close(pipes[1]);
  while (n + 1 < size && (got = read(pipes[0], said + n, size - 1 - n)) > 0)
    n += (size_t)got;
  said[n] = '\0';
  close(pipes[0]);
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

static int exited (int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

/* -- the bodies ------------------------------------------------------------------- */

static int run (Job *j, int fd) {
  rb_RunOptions o = j->o->o;
  o.drill = o.yes = 1;
  o.json = !j->first;
  o.crash = j->crash;
  o.crashfd = fd;
  return rb_run(&o);
}

static int again (const Job *j, int undo, int fd) {
  rb_RunOptions o = {.config = j->o->o.config, .yes = 1, .json = 1, .undo = undo,
                     .approved_by = j->o->o.approved_by, .answers = j->o->o.answers};
  rb_Problem p = {0};
  rb_Replay *r = rb_again_load(NULL, !undo, rb_again_isrun, &p);
  if (r != NULL) {
    r->offline = undo;
    if (j->policy != NULL) r->policy = j->policy;
    int status = rb_again_run(&o, r, NULL, &p);
    if (p.exit == 0) return status;
  }
  dprintf(fd, "%s", p.message);
  return p.exit;
}

static int resume (Job *j, int fd) { return again(j, 0, fd); }
static int takeback (Job *j, int fd) { return again(j, 1, fd); }

/* -- what was done ------------------------------------------------------------------- */

/* the changes of the last run, in their order; NULL: they cannot be read */
static const char **changes (int *n, rb_Problem *p) {
  rb_Replay *r = rb_again_load(NULL, 0, rb_again_isrun, p);
  if (r == NULL) return NULL;
  const char **list = calloc((size_t)r->n + 1, sizeof *list);
  *n = 0;
  for (const rb_Taped *e = r->list; list != NULL && e < r->list + r->n; e++)
    if (e->deed && e->seq != 0 && !e->failed && !e->unchanged && !e->within)
      list[(*n)++] = strdup(e->path);
  rb_replay_free(r);
  return list;
}

static void freelist (const char **list, int n) {
  for (int i = 0; i < n; i++) free((char *)list[i]);
  free(list);
}

static int has (const char **list, int n, const char *path) {
  for (int i = 0; i < n; i++)
    if (strcmp(list[i], path) == 0) return 1;
  return 0;
}

/* the same changes as without a crash? */
static int same (const Drill *d) {
  rb_Problem p = {0};
  int n = 0, equal = 1;
  const char **now = changes(&n, &p);
  if (now == NULL) return 0;
  for (int i = 0; i < d->n; i++) equal &= has(now, n, d->baseline[i]);
  equal &= n == d->n;
  freelist(now, n);
  return equal;
}

/* -- the drill -------------------------------------------------------------------------- */

/* the sandbox as it was: 0, or *p */
static int reset (Drill *d, rb_Problem *p) {
  char said[600] = "";
  Job j = {.o = d->o};
  if (d->o->reset != NULL) {
    int status = system(d->o->reset);
    if (exited(status, 0)) return 0;
    return rb_problem(p, RB_FAILED, "reset", "--reset failed: %s", d->o->reset);
  }
  if (exited(inchild(takeback, &j, said, sizeof said), 0)) return 0;
  return rb_problem(p, RB_FAILED, "undo", "the run cannot be taken back, so the next one "
                    "would begin elsewhere (give --reset): %s", said);
}

static void row (const char *path, const char *when, const char *what) {
  printf("%-44s  %-18s  %s\n", path, when, what);
  fflush(stdout);
}

/* one run that is killed at a point: 1, or 0 when there is no such point any more */
static int point (Drill *d, int k, rb_Problem *p) {
  char said[600], path[256] = "", when[64] = "", why[600] = "";
  Job j = {.o = d->o, .crash = k};
  int status = inchild(run, &j, d->last, sizeof d->last), asked = 0;
  if (exited(status, 0)) return 0;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    rb_problem(p, RB_FAILED, "drill", "a run failed by itself (exit %d)",
               WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
  }
  sscanf(d->last, "%255[^\t]\t%63[^\t]", path, when);
  status = inchild(resume, &j, said, sizeof said);
  if (exited(status, RB_INDOUBT)) {
    asked = 1;
    j.policy = strcmp(when, "after the deed") == 0 ? "done" : "retry";
    status = inchild(resume, &j, said, sizeof said);
  }
  int fine = exited(status, 0) && same(d);
  if (!fine) snprintf(why, sizeof why, "DID NOT HOLD: exit %d %.400s",
                      WIFEXITED(status) ? WEXITSTATUS(status) : -1, said);
  row(path, when, !fine ? why : asked ? "held, asked" : "held");
  d->points++;
  d->held += fine;
  d->asked += asked;
  return 1;
}

static int drill (Drill *d, rb_Problem *p) {
  char said[600];
  Job j = {.o = d->o, .first = 1};
  if (d->o->reset != NULL && reset(d, p) != 0) return p->exit;
  int status = inchild(run, &j, said, sizeof said);
  if (!exited(status, 0))
    return rb_problem(p, RB_FAILED, "drill", "the undisturbed run ends with exit code %d",
                      WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  d->baseline = changes(&d->n, p);
  if (d->baseline == NULL || reset(d, p) != 0) return p->exit;
  printf("%d %s\n\n", d->n, d->n == 1 ? "change" : "changes");
  for (int k = 1; point(d, k, p); k++)
    if (reset(d, p) != 0) return p->exit;
  if (p->exit == 0) reset(d, p);
  printf("\n%d of %d points held", d->held, d->points);
  if (d->asked > 0) printf("; %d asked, since nobody could tell", d->asked);
  printf("\n");
  return p->exit != 0 ? p->exit : d->held == d->points ? 0 : RB_FAILED;
}

/* a tape of its own, gone with the drill */
static int privately (Drill *d, rb_Problem *p) {
  char dir[] = "/tmp/runbook-drill.XXXXXX", command[80];
  if (mkdtemp(dir) == NULL || setenv("XDG_STATE_HOME", dir, 1) != 0)
    return rb_problem(p, RB_USAGE, "tape", "no place for the drill's tape: %s",
                      strerror(errno));
  int status = drill(d, p);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  if (system(command) != 0) fprintf(stderr, "runbook: %s is left\n", dir);
  return status;
}

int rb_cmd_drill (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  Drill d = {.o = &o};
  static const char *const none[] = {NULL};
  int status = rb_options_read(&rb_command_drill, argc, argv, &o, &a);
  if (status != 0) return status;
  o.o.file = a.words[0];
  o.o.words = a.words + 1;
  o.o.limits = none;
  status = privately(&d, &p);
  if (p.exit != 0) {
    rb_show_problem(&p, 0);
    status = p.exit;
  }
  freelist(d.baseline, d.n);
  rb_options_free(&a);
  return status;
}
