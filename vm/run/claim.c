/*
** claim.c - a run that was not finished keeps what it locked
**
** A lock's file names the run that held it last, and stays when its holder dies. Who
** comes next asks the tape what has become of that run: until it is resumed to its end,
** undone or abandoned, the lock is not given to another one. In a folder that several
** people share the tape is somebody else's; there the file itself says, before its
** first change is made, that a run has changed something.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/replay.h"
#include "vm/run/run.h"

static const char *claimof (const rb_Run *r) {
  return r->o->undo ? r->o->resume->run.id : r->report.run;
}

void rb_lock_read (int fd, rb_LockText *t) {
  char text[600] = "";
  *t = (rb_LockText){0};
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  char *claim = strstr(text, "\nclaim ");
  t->changed = claim != NULL && strstr(claim, "\nchanged") != NULL;
  if (claim != NULL) sscanf(claim, " claim %26s", t->claim);
  sscanf(text, "run %26s", t->run);
  snprintf(t->who, sizeof t->who, "%.*s", (int)strcspn(text, "\n"), text);
}

static int put (int fd, const char *s, size_t n) {
  return write(fd, s, n) == (ssize_t)n ? 0 : -1;
}

int rb_lock_write (rb_Run *r, int fd) {
  char text[600], host[64] = "";
  rb_LockText old;
  rb_lock_read(fd, &old);  /* a run that goes on has changed what it had changed */
  int changed = r->pledged || (old.changed && strcmp(old.claim, claimof(r)) == 0);
  gethostname(host, sizeof host - 1);
  int n = snprintf(text, sizeof text, "run %s by %.60s on %s (process %ld) since %s\n"
                   "claim %s\n%s", r->report.run, r->by != NULL ? r->by : r->who, host,
                   (long)getpid(), r->report.started, claimof(r),
                   changed ? "changed\n" : "");
  if (lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0) != 0) return -1;
  return put(fd, text, (size_t)n);
}

int rb_lock_pledge (rb_VM *vm) {
  static const char word[] = "changed\n";
  rb_Run *r = vm->run;
  if (r == NULL || r->pledged) return 1;
  r->pledged = 1;
  for (int i = 0; i < r->nlocks && r->sharedlocks; i++)
    if (put(r->locks[i], word, sizeof word - 1) != 0 || fdatasync(r->locks[i]) != 0)
      return 0;
  return 1;
}

/* another's, on a tape that is not ours to read */
static int foreign (const rb_LockText *t, const char *name, rb_Problem *p) {
  return rb_problem(p, RB_LOCKED, "lock", "the lock '%s' is kept by a run that was not "
                    "finished: %s. Who began it settles it: runbook resume %s, runbook undo "
                    "%s, or runbook abandon %s", name, t->who, t->claim + 18, t->claim + 18,
                    t->claim + 18);
}

static int unfinished (const rb_TapeClaim *c, const char *name, rb_Problem *p) {
  char since[40];
  const char *id = c->run + 18;
  rb_report_stamp(c->started, since, sizeof since);
  int half = c->undo[0] != '\0';
  return rb_problem(p, RB_LOCKED, "lock", "the lock '%s' is kept by a run that was not "
      "finished: run %s of %s by %s on %s since %s %s after it had changed something: %s%s%s"
      "runbook undo %s (%s), or runbook abandon %s (leaves all as it is)", name, c->run,
      c->runbook, c->who, c->host, since, half ? "was taken back in part" : !c->ended ?
      "was ended from outside" : strcmp(c->status, "failed") == 0 ? "failed" : c->status,
      half ? "" : "runbook resume ", half ? "" : id, half ? "" : " (goes on), ", id,
      half ? "goes on with what is left" : "takes it back", id);
}

int rb_lock_claimed (rb_Run *r, int fd, const char *name, int shared, rb_Problem *p) {
  rb_LockText t;
  rb_TapeClaim c;
  rb_lock_read(fd, &t);
  if (t.claim[0] == '\0' || strcmp(t.claim, claimof(r)) == 0) return 0;
  if (rb_tape_claim(r->vm->tape, t.claim, &c, p) != 0) return p->exit;
  if (c.known) return c.open ? unfinished(&c, name, p) : 0;
  return shared && t.changed ? foreign(&t, name, p) : 0;
}

void rb_lock_killed (rb_Run *r) {
  rb_TapeClaim c;
  char since[40], words[900];
  rb_VM *vm = r->vm;
  if (vm->dryrun || vm->tape == NULL || r->o->resume != NULL || vm->show == NULL
      || !rb_tape_killed(vm->tape, r->report.runbook, r->report.target, r->report.run, &c))
    return;
  const char *id = c.run + 18;
  rb_report_stamp(c.started, since, sizeof since);
  snprintf(words, sizeof words, "run %s of this runbook, by %.60s since %s, was ended from outside "
           "after it had changed something: runbook resume %.8s goes on with it, runbook undo %.8s "
           "takes it back, runbook abandon %.8s leaves it so", c.run, c.who, since, id, id, id);
  rb_show_note(vm->show, words);
}

/* What cannot be emptied is asked about on the tape. */
void rb_lock_end (rb_Run *r) {
  rb_Problem p = {0};
  rb_TapeClaim c;
  if (r->nlocks == 0 || r->vm->tape == NULL) return;
  if (rb_tape_claim(r->vm->tape, claimof(r), &c, &p) != 0 || c.open) return;
  for (int i = 0; i < r->nlocks; i++) (void)!ftruncate(r->locks[i], 0);
}
