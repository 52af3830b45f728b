/*
** taped.c - the run on the tape: how it begins, and the digest of its plan
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm/redact.h"
#include "vm/run/run.h"
#include "vm/state.h"

static void addfile (void *ud, const char *path, const char *text, size_t n) {
  char hash[65];
  rb_sha256(text, n, hash);
  json_object_set_new(ud, path, json_string(hash));
}

static void tapestart (rb_Run *r) {
  json_t *files = json_object();
  rb_state_files(r->L, addfile, files);
  rb_record(r->vm, "start", NULL, json_pack("{s:s,s:s,s:s,s:o}", "file",
            r->outline.file, "target", r->report.target, "kind", r->report.kind,
            "files", files));
}

int rb_taped_begin (rb_Run *r, rb_Problem *p) {
  char file[4096], host[64] = "";
  rb_VM *vm = r->vm;
  struct timespec now;
  if (!rb_tape_file(file, sizeof file))
    return rb_problem(p, RB_USAGE, "tape", "there is no place for the tape: set HOME "
                      "or XDG_STATE_HOME");
  vm->tape = rb_tape_open(file, p);
  if (vm->tape == NULL) return p->exit;
  gethostname(host, sizeof host - 1);
  clock_gettime(CLOCK_REALTIME, &now);
  char *params = json_dumps(r->report.params, JSON_COMPACT);
  rb_TapeRun run = {.runbook = r->report.runbook, .target = r->report.target,
                    .mode = r->report.mode, .who = r->who, .host = host,
                    .version = RB_VERSION, .params = params,
                    .started = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
  snprintf(run.id, sizeof run.id, "%s", r->report.run);
  int status = rb_tape_begin(vm->tape, &run, p);
  free(params);
  if (status != 0) return p->exit;
  tapestart(r);
  return rb_tape_commit(vm->tape, p);
}

/* -- the plan ------------------------------------------------------------------ */

/* [-0, +0]  the URLs of the runbook's system, without their passwords */
static void addurls (rb_Run *r, rb_Buffer *b) {
  const char *const *k = r->outline.system != NULL ?
    rb_target_resources(r->vm->target, r->outline.system) : NULL;
  for (; k != NULL && *k != NULL; k++) {
    rb_target_resource(r->vm->target, r->L, r->outline.system, *k, "url", NULL);
    size_t n;
    const char *url = lua_tolstring(r->L, -1, &n);
    rb_buffer_printf(b, "%s ", *k);
    if (url != NULL) rb_redact(b, url, n);
    rb_buffer_puts(b, "\n");
    lua_pop(r->L, 1);
  }
}

/* What was planned, for what, with which files: one digest. */
void rb_taped_digest (rb_Run *r) {
  char hash[65], *digest = NULL;
  json_t *files = json_object();
  rb_Buffer b = {0};
  rb_state_files(r->L, addfile, files);
  char *names = json_dumps(files, JSON_SORT_KEYS);
  char *params = json_dumps(r->report.params, JSON_SORT_KEYS);
  rb_buffer_printf(&b, "%s\n%s\n%s\n%s %s\n", r->outline.file, names, params,
                   r->report.target, r->report.kind);
  addurls(r, &b);
  rb_buffer_add(&b, r->vm->plan.s, r->vm->plan.n);
  rb_sha256(b.s, b.n, hash);
  if (asprintf(&digest, "sha256:%s", hash) > 0) r->report.digest = digest;
  rb_buffer_free(&b);
  free(names);
  free(params);
  json_decref(files);
}
