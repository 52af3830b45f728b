/*
** planfile.c - the file of a plan: written whole or not at all, read with care
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "vm/redact.h"
#include "vm/replay.h"
#include "vm/run/plan.h"
#include "vm/run/run.h"
#include "vm/state.h"

/* -- what it is ---------------------------------------------------------------- */

int rb_plan_is (const char *file) {
  char head[4096];
  FILE *f = fopen(file, "re");
  if (f == NULL) return 0;
  size_t n = fread(head, 1, sizeof head - 1, f);
  fclose(f);
  head[n] = '\0';
  return head[0] == '{' && strstr(head, "\"plan\"") != NULL;
}

/* over all of the document but the checksum itself */
static char *checksum (const json_t *doc) {
  char hash[65], *sum = NULL;
  json_t *copy = json_deep_copy(doc);
  json_object_del(json_object_get(copy, "plan"), "checksum");
  char *text = copy != NULL ? json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  if (text != NULL) {
    rb_sha256(text, strlen(text), hash);
    if (asprintf(&sum, "sha256:%s", hash) < 0) sum = NULL;
  }
  free(text);
  json_decref(copy);
  return sum;
}

static int checkdocument (const char *file, const json_t *doc, rb_Problem *p) {
  const json_t *plan = json_object_get(doc, "plan");
  const char *said = json_string_value(json_object_get(plan, "checksum"));
  json_int_t format = json_integer_value(json_object_get(plan, "format"));
  if (!json_is_object(plan) || said == NULL)
    return rb_problem(p, RB_USAGE, "plan", "%.500s is not a plan: runbook plan NAME -o "
                      "FILE makes one", file);
  if (format != RB_PLANFORMAT)
    return rb_problem(p, RB_USAGE, "plan", "%.500s is a plan of format %d, and this "
                      "version reads format %d: make it again", file, (int)format,
                      RB_PLANFORMAT);
  char *sum = checksum(doc);
  int same = sum != NULL && strcmp(sum, said) == 0;
  free(sum);
  if (same) return 0;
  return rb_problem(p, RB_STALE, "plan", "%.500s was changed after it was made (its "
                    "checksum does not fit): make the plan again", file);
}

json_t *rb_plan_read (const char *file, rb_Problem *p) {
  json_error_t e;
  if (access(file, R_OK) != 0) {
    rb_problem(p, RB_USAGE, "plan", "cannot read the plan %.500s: %s", file,
               strerror(errno));
    return NULL;
  }
  json_t *doc = json_load_file(file, JSON_REJECT_DUPLICATES, &e);
  if (doc == NULL)
    rb_problem(p, RB_USAGE, "plan", "%.500s is not a plan: line %d: %.200s", file, e.line,
               e.text);
  else checkdocument(file, doc, p);
  if (p->exit == 0) return doc;
  json_decref(doc);
  return NULL;
}

/* -- where it goes ------------------------------------------------------------------ */

int rb_plan_place (const char *file, rb_Problem *p) {
  char folder[4096];
  struct stat st;
  snprintf(folder, sizeof folder, "%s", file);
  char *slash = strrchr(folder, '/');
  if (slash != NULL) slash[slash == folder] = '\0';
  else snprintf(folder, sizeof folder, ".");
  if (stat(folder, &st) != 0 || access(folder, W_OK | X_OK) != 0)
    return rb_problem(p, RB_USAGE, "usage", "-o %.500s: cannot write into %.400s: %s",
                      file, folder, strerror(errno));
  if (lstat(file, &st) != 0) return 0;
  if (!S_ISREG(st.st_mode) || (st.st_size > 0 && !rb_plan_is(file)))
    return rb_problem(p, RB_USAGE, "usage", "-o %.500s: that is there already and is no "
                      "plan; it is left alone", file);
  return 0;
}

static int writeall (int fd, const char *s, size_t n) {
  while (n > 0) {
    ssize_t done = write(fd, s, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return 0;
    s += done;
    n -= (size_t)done;
  }
  return fsync(fd) == 0;
}

/* written beside its place, 0600, and renamed */
static int replace (const char *file, const char *s, rb_Problem *p) {
  char beside[4200];
  snprintf(beside, sizeof beside, "%s.XXXXXX", file);
  int fd = mkostemp(beside, O_CLOEXEC);
  int whole = fd >= 0 && writeall(fd, s, strlen(s));
  if (fd >= 0 && close(fd) != 0) whole = 0;
  if (whole && rename(beside, file) == 0) return 0;
  rb_problem(p, RB_FAILED, "plan", "the plan cannot be written to %.500s: %s", file,
             strerror(errno));
  if (fd >= 0) unlink(beside);
  return p->exit;
}

/* -- what is in it -------------------------------------------------------------------- */

static void addfile (void *ud, const char *path, const char *text, size_t n) {
  char hash[65];
  rb_sha256(text, n, hash);
  json_object_set_new(ud, path, json_string(hash));
}

static json_t *listof (const char *const *words) {
  json_t *list = json_array();
  for (; words != NULL && *words != NULL; words++)
    json_array_append_new(list, json_string(*words));
  return list;
}

/* what the page says beside the JSON of a run */
static json_t *page (const rb_Report *rep) {
  json_t *steps = json_array(), *cases = json_array();
  for (int i = 0; i < rep->nsteps; i++)
    json_array_append_new(steps, json_pack("{s:s?,s:s?}", "manual", rep->steps[i].manual,
                                           "approve", rep->steps[i].approve));
  for (int i = 0; i < rep->ncases; i++)
    json_array_append_new(cases, json_pack("{s:s?,s:s?,s:i,s:s?}", "id",
      rep->cases[i].id, "title", rep->cases[i].title, "taken", rep->cases[i].taken,
      "evidence", rep->cases[i].evidence));
  return json_pack("{s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:o,s:o}", "kind",
    rep->kind, "title", rep->title, "use_when", rep->use_when, "impact", rep->impact,
    "severity", rep->severity, "approve", rep->approve, "protocolwhy",
    rep->protocolwhy, "kernelwhy", rep->kernelwhy, "cases", cases, "steps", steps);
}

/* The parameters as words; a secret is only named, and given again by who applies. */
static int addwords (rb_Run *r, json_t *plan, rb_Problem *p) {
  json_t *list = json_array(), *secrets = json_array();
  const char **words = rb_given_words(r);
  json_object_set_new(plan, "words", list);
  json_object_set_new(plan, "secrets", secrets);
  for (const char **w = words; w != NULL && *w != NULL && p->exit == 0; w++) {
    size_t n = strcspn(*w, "=");
    const rb_Param *q = r->outline.params;
    while (strncmp(q->name, *w, n) != 0 || q->name[n] != '\0') q++;
    char *clean = rb_redacted(*w, strlen(*w));
    if (q->type == RB_SECRET) json_array_append_new(secrets, json_string(q->name));
    else if (clean == NULL || strcmp(clean, *w) != 0)
      rb_problem(p, RB_FAILED, "plan", "no plan is kept: the parameter %s holds a "
                 "secret, and a plan is for others to read", q->name);
    else json_array_append_new(list, json_string(*w));
    free(clean);
  }
  rb_given_free(words);
  return p->exit;
}

/* the plan that this run applies, or an earlier session of it began to; NULL: none */
static const json_t *applied (const rb_Run *r) {
  if (r->o->apply != NULL || r->o->resume == NULL) return r->o->apply;
  return json_object_get(r->o->resume->how, "plan");
}

int rb_plan_chance (rb_Run *r, rb_Problem *p) {
  rb_VM *vm = r->vm;
  const json_t *seed = json_object_get(json_object_get(applied(r), "plan"), "random");
  const char *hex = json_string_value(seed);
  size_t n = 0;
  vm->planned = hex != NULL || r->o->plan != NULL;
  if (hex == NULL && vm->planned)
    rb_tape_derive(vm->tape, "chance", vm->chance, sizeof vm->chance);
  if (hex == NULL || (sodium_hex2bin(vm->chance, sizeof vm->chance, hex, strlen(hex), NULL,
      &n, NULL) == 0 && n == sizeof vm->chance)) return 0;
  return rb_problem(p, RB_STALE, "plan", "what the plan says of chance cannot be read: make "
                    "it again");
}

static json_t *madeof (rb_Run *r, rb_Problem *p) {
  const rb_RunOptions *o = r->o;
  char host[64] = "", chance[2 * RB_CHANCE + 1];
  json_t *files = json_object();
  gethostname(host, sizeof host - 1);
  sodium_bin2hex(chance, sizeof chance, r->vm->chance, sizeof r->vm->chance);
  rb_state_files(r->L, addfile, files);
  json_t *plan = json_pack("{s:i,s:s,s:s,s:s,s:I,s:s,s:o,s:o,s:o,s:s?,s:s?,s:s?,s:b,s:o,s:s}",
    "format", RB_PLANFORMAT, "version", RB_VERSION, "operator", r->who, "host", host,
    "made", (json_int_t)r->report.startedms, "file", r->outline.file, "files", files,
    "cases", listof(o->cases), "limits", listof(o->limits), "only", o->only, "from",
    o->from, "to", o->to, "no_notify", o->no_notify, "page", page(&r->report),
    "random", chance);
  json_t *is = json_object();
  if (plan != NULL) json_object_set_new(plan, "identity", is);
  if (plan == NULL || addwords(r, plan, p) != 0 || rb_identities(r, is, p) != 0) {
    json_decref(plan);
    return NULL;
  }
  return plan;
}

/* The JSON of a run, and of each deed what apply holds it to. */
static json_t *document (const rb_Report *rep) {
  rb_Buffer b = {0};
  rb_show_document(rep, RB_JSON, 0, &b);
  json_t *doc = !b.failed ? json_loadb(b.s, b.n, 0, NULL) : NULL;
  rb_buffer_free(&b);
  for (int i = 0; doc != NULL && i < rep->nsteps; i++) {
    json_t *step = json_array_get(json_object_get(doc, "steps"), (size_t)i);
    size_t k = 0;
    for (const rb_EffectRow *e = rep->steps[i].effects; e != NULL; e = e->next, k++)
      if (e->asked != NULL)
        json_object_set_new(json_array_get(json_object_get(step, "effects"), k), "asked",
          json_pack("{s:s,s:s}", "arguments", e->asked->arguments, "before",
                    e->asked->before));
  }
  return doc;
}

int rb_plan_write (rb_Run *r, const char *file, rb_Problem *p) {
  json_t *plan = madeof(r, p);
  if (plan == NULL)
    return p->exit != 0 ? p->exit : rb_problem(p, RB_FAILED, "memory",
                                               "not enough memory");
  json_t *doc = json_pack("{s:o}", "plan", plan), *run = document(&r->report);
  json_object_update(doc, run);
  json_decref(run);
  char *sum = checksum(doc);
  if (sum != NULL) json_object_set_new(plan, "checksum", json_string(sum));
  char *text = sum != NULL ? json_dumps(doc, JSON_INDENT(2)) : NULL;
  if (text == NULL) rb_problem(p, RB_FAILED, "memory", "not enough memory");
  else replace(file, text, p);
  free(sum);
  free(text);
  json_decref(doc);
  return p->exit;
}
