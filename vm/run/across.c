/*
** across.c - locks that other machines see, through a server of the runbook's system
**
** flock ends at the machine. Where the system has a server that can lock a name for as
** long as a connection lasts, that is asked, too. It is no condition: a runbook may
** be for the day on which that server is down, so without an answer the run goes on
** with the machine's own lock and says so. A lock that was held and is gone is another
** matter: no change is begun any more, until it has been taken again.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/base.h"
#include "vm/run/run.h"

#define SECONDS 5  /* that the server may take to answer */

static const char *const kinds[] = {"pg", NULL};  /* of resources that can lock */

struct rb_Across {
  rb_ResourceBox *box;
  char **names; int n;   /* that it holds */
  int lost;
  int here;              /* one of them holds on this machine only */
  char why[300];
};

static const rb_Reg locking = {"lock", RB_PROBE, NULL, NULL, "lock()", NULL, NULL};

static const char *kindof (rb_Run *r) {
  const char *const *have = r->outline.system != NULL
    ? rb_target_resources(r->vm->target, r->outline.system) : NULL;
  for (; have != NULL && *have != NULL; have++)
    for (const char *const *k = kinds; *k != NULL; k++)
      if (strcmp(*have, *k) == 0) return *k;
  return NULL;
}

/* [-0, +0, m] */
static rb_ResourceBox *boxof (rb_Run *r) {
  const char *kind = kindof(r);
  if (kind == NULL) return NULL;
  rb_ResourceBox *box = rb_push_resource(r->L, r->outline.system, kind);
  lua_pop(r->L, 1);
  if (box->module == NULL) box->module = rb_module_load(r->L, kind);
  return box->module->lock != NULL ? box : NULL;
}

const char *rb_across_resource (rb_Run *r) {
  const char *kind = kindof(r);
  if (kind == NULL) return NULL;
  rb_ResourceBox *box = rb_push_resource(r->L, r->outline.system, kind);
  lua_pop(r->L, 1);
  return box->r.name;
}

/* the first 64 bits of the name's hash, as a number with a sign */
static void keyof (const char *name, char out[24]) {
  char text[4200], hash[65];
  int n = snprintf(text, sizeof text, "runbook lock %s", name);
  rb_sha256(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1, hash);
  hash[16] = '\0';
  snprintf(out, 24, "%lld", (long long)strtoull(hash, NULL, 16));
}

/* [-0, +4, m]  resource, key, who, take */
static void pusharguments (rb_Run *r, const rb_ResourceBox *box, const char *name) {
  char key[24], host[64] = "";
  keyof(name, key);
  gethostname(host, sizeof host - 1);
  rb_push_resource(r->L, box->r.system, box->r.kind);
  lua_pushstring(r->L, key);
  lua_pushfstring(r->L, "runbook %s %s@%s", r->report.run, r->by != NULL ? r->by : r->who,
                  host);
  lua_pushboolean(r->L, !r->vm->dryrun);
}

/* [-0, +0, m]  1: taken (or free); 0: not, and 'said' is the holder; -1: 'said' is why
** nobody knows */
static int ask (rb_Run *r, rb_ResourceBox *box, const char *name, char *said, size_t size) {
  rb_FieldRun f = {.word = "lock", .may = RB_MAYPROBE, .deadline = rb_now() + SECONDS};
  lua_pushcfunction(r->L, box->module->lock);
  pusharguments(r, box, name);
  rb_Task *t = rb_task_new(r->L, NULL, &f, "lock", 4);
  t->call.reg = &locking;
  t->call.module = box->module;
  t->call.box = box;
  t->call.effect = RB_PROBE;
  t->calling = 1;
  rb_loop_run(r->vm, &f);
  t->calling = 0;
  luaL_checkstack(t->L, 30, NULL);
  int fine = f.stop == RB_GO && t->status == LUA_OK;
  int got = fine && lua_isboolean(t->L, -1) ? lua_toboolean(t->L, -1) : fine ? 0 : -1;
  const char *text = f.stop != RB_GO ? f.why : got > 0 ? "" : rb_tolstring(t->L, -1, NULL);
  char *clean = rb_redacted(text, strlen(text));
  snprintf(said, size, "%s", clean != NULL ? clean : "");
  free(clean);
  rb_task_freeall(&f);
  return got;
}

/* "runbook RUN kim@host", as they said it themselves; the name tells when it began */
static int heldby (const char *name, const rb_ResourceBox *box, const char *who,
                   rb_Problem *p) {
  char run[RB_RUNID] = "", by[64] = "", since[40] = "";
  int known = sscanf(who, "runbook %26s %63s", run, by) == 2 && strlen(run) == 26;
  if (known) rb_report_stamp(rb_ulid_time(run), since, sizeof since);
  if (!known)
    return rb_problem(p, RB_LOCKED, "lock", "the lock '%s' is held through %s by another "
                      "session, which calls itself '%s'", name, box->r.name, who);
  return rb_problem(p, RB_LOCKED, "lock", "the lock '%s' is held by another run: run %s by %s "
                    "since %s (seen through %s; on that machine: runbook report %s)", name, run,
                    by, since, box->r.name, run + 18);
}

/* The banner said what would be tried; this is how far it reaches. 'resource': NULL, on
** this machine only. Of several locks the one that reaches less counts. */
static void reaches (rb_Run *r, const char *resource) {
  char *text = NULL;
  if (r->across != NULL && r->across->here) return;
  if (r->across != NULL) r->across->here = resource == NULL;
  if (resource == NULL) text = strdup("this machine only");
  else if (asprintf(&text, "on all machines that use %s", resource) < 0) text = NULL;
  free(r->report.lockscope);
  r->report.lockscope = text;
}

static void say (rb_Run *r, const char *resource, const char *what, const char *why) {
  rb_Buffer b = {0};
  rb_buffer_printf(&b, "the lock holds on this machine only: %s %s: %s", resource, what, why);
  if (b.s != NULL) rb_note(r->vm, NULL, b.s, b.n);
  rb_buffer_free(&b);
}

static int add (struct rb_Across *a, const char *name) {
  char **names = realloc(a->names, ((size_t)a->n + 1) * sizeof *names);
  if (names == NULL) return 0;
  a->names = names;
  names[a->n] = strdup(name);
  return names[a->n] != NULL && ++a->n > 0;
}

int rb_across_lock (rb_Run *r, const char *name, rb_Problem *p) {
  char said[300];
  rb_ResourceBox *box = boxof(r);
  if (box == NULL) {
    reaches(r, NULL);
    return 0;
  }
  if (r->across == NULL) r->across = calloc(1, sizeof *r->across);
  if (r->across == NULL) return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  r->across->box = box;
  int got = ask(r, box, name, said, sizeof said);
  if (got == 0) return heldby(name, box, said, p);
  reaches(r, got < 0 ? NULL : box->r.name);
  if (got < 0) say(r, box->r.name, "does not answer", said);
  else if (!r->vm->dryrun && !add(r->across, name))
    return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  return 0;
}

int rb_across_held (rb_VM *vm, const char **why) {
  struct rb_Across *a = vm->run != NULL ? vm->run->across : NULL;
  if (a == NULL || a->n == 0 || (!a->lost && a->box->module->locked(&a->box->r))) return 1;
  a->lost = 1;
  snprintf(a->why, sizeof a->why, "the connection to %s that held the lock '%.80s' is gone: "
           "somebody else may hold it by now, so nothing more is changed; resume takes it "
           "again and goes on", a->box->r.name, a->names[0]);
  *why = a->why;
  return 0;
}

int rb_across_again (rb_Run *r, rb_Problem *p) {
  const char *why;
  char said[300];
  struct rb_Across *a = r->across;
  if (rb_across_held(r->vm, &why)) return 0;
  for (int i = 0; i < a->n; i++) {
    int got = ask(r, a->box, a->names[i], said, sizeof said);
    if (got == 0) return heldby(a->names[i], a->box, said, p);
    if (got < 0) return 0;  /* still lost: no remedy will be begun */
  }
  a->lost = 0;
  snprintf(said, sizeof said, "the connection that held the lock was gone; it has been "
           "taken again through %.100s", a->box->r.name);
  rb_note(r->vm, NULL, said, strlen(said));
  return 0;
}

void rb_across_free (rb_Run *r) {
  struct rb_Across *a = r->across;
  for (int i = 0; a != NULL && i < a->n; i++) free(a->names[i]);
  if (a != NULL) free(a->names);
  free(a);
  r->across = NULL;
}
