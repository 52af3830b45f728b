/*
** case.c - one case: a run in the world of its test, and what is to be said of it
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sodium.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/clock.h"
#include "vm/fake.h"
#include "vm/replay.h"
#include "vm/run/options.h"
#include "vm/run/run.h"
#include "vm/test/suite.h"

typedef struct Case {
  rb_Suite *s;
  const rb_TestOptions *o;
  json_t *how, *result, *failures, *ran;
  rb_World *world;
  char folder[PATH_MAX], config[PATH_MAX + 20], answers[PATH_MAX + 20];
  int out, err;          /* what the run prints is kept there */
  rb_Problem p;
} Case;

/* -- a process in which nothing is by chance ----------------------------- */

static uint64_t drawn;

static void fill (void *const buffer, const size_t n) {
  unsigned char seed[randombytes_SEEDBYTES] = {0};
  memcpy(seed, &drawn, sizeof drawn);
  drawn++;
  randombytes_buf_deterministic(buffer, n, seed);
}

static uint32_t number (void) {
  uint32_t n;
  fill(&n, sizeof n);
  return n;
}

static const char *name (void) { return "a test's"; }

static randombytes_implementation fixed = {
  .implementation_name = name, .random = number, .buf = fill
};

static int privately (Case *c) {
  snprintf(c->folder, sizeof c->folder, "%s/XXXXXX", c->o->folder);
  if (mkdtemp(c->folder) == NULL || setenv("XDG_STATE_HOME", c->folder, 1) != 0)
    return rb_problem(&c->p, RB_USAGE, "test", "no folder for a test's tape: %s",
                      strerror(errno));
  snprintf(c->config, sizeof c->config, "%s/config.lua", c->folder);
  snprintf(c->answers, sizeof c->answers, "%s/answers.json", c->folder);
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  c->out = memfd_create("out", MFD_CLOEXEC);
  c->err = memfd_create("err", MFD_CLOEXEC);
  if (null < 0 || c->out < 0 || c->err < 0 || dup2(null, STDIN_FILENO) < 0
      || dup2(c->out, STDOUT_FILENO) < 0 || dup2(c->err, STDERR_FILENO) < 0)
    return rb_problem(&c->p, RB_USAGE, "test", "no place for a test's output: %s",
                      strerror(errno));
  return 0;
}

/* what was printed since the last time; malloc'ed */
static char *take (int fd, FILE *f) {
  rb_Buffer b = {0};
  char part[8192];
  ssize_t n;
  fflush(f);
  lseek(fd, 0, SEEK_SET);
  while ((n = read(fd, part, sizeof part)) > 0) rb_buffer_add(&b, part, (size_t)n);
  if (ftruncate(fd, 0) == 0) lseek(fd, 0, SEEK_SET);
  return b.s != NULL ? b.s : strdup("");
}

static int writefile (Case *c, const char *path, const char *text) {
  FILE *f = fopen(path, "we");
  int good = f != NULL && fputs(text, f) >= 0;
  if (f != NULL && fclose(f) != 0) good = 0;
  return good ? 0 : rb_problem(&c->p, RB_USAGE, "test", "cannot write %s: %s", path,
                               strerror(errno));
}

/* -- running ------------------------------------------------------------- */

static const char *textof (const Case *c, const char *key) {
  return json_string_value(json_object_get(c->how, key));
}

static const char **listof (const Case *c, const char *key) {
  json_t *list = json_object_get(c->how, key);
  const char **words = calloc(json_array_size(list) + 1, sizeof *words);
  for (size_t i = 0; words != NULL && i < json_array_size(list); i++)
    words[i] = json_string_value(json_array_get(list, i));
  return words;
}

static void run (Case *c) {
  static const char *const none[] = {NULL};
  const char **words = listof(c, "words"), **cases = listof(c, "cases");
  rb_RunOptions o = {
    .file = c->s->runbook, .words = words, .cases = cases, .yes = 1, .json = 1,
    .dry_run = json_is_true(json_object_get(c->how, "dry")), .only = textof(c, "only"),
    .from = textof(c, "from"), .to = textof(c, "to"), .approved_by = none, .limits = none,
    .no_notify = !json_is_true(json_object_get(c->how, "notify")), .target = textof(c, "target"),
    .answers = textof(c, "answers") != NULL ? c->answers : NULL, .world = c->world,
    .ran = c->ran,
    .config = c->world != NULL ? c->config : c->o->config
  };
  if (words != NULL && cases != NULL) rb_run(&o);
  free(words);
  free(cases);
}

/* -- a tape, and a target ---------------------------------------------------- */

/* Does the configuration that is there know the target? */
static int isknown (const Case *c, const char *target) {
  rb_Problem p = {0};
  rb_Config *config = rb_config_load(c->o->config, &p);
  int known = config != NULL && rb_config_file(config) != NULL
              && rb_config_open(config, target, &p) != NULL;
  rb_config_free(config);
  return known;
}

/* the tape's path, from the test's folder */
static const char *tapepath (const Case *c, char *path, size_t size) {
  const char *given = textof(c, "tape"), *slash = strrchr(c->s->file, '/');
  int folder = slash != NULL && *given != '/' ? (int)(slash + 1 - c->s->file) : 0;
  snprintf(path, size, "%.*s%s", folder, c->s->file, given);
  return path;
}

/* The present script against what the tape has. Its settings are those of the test, or of
** the configuration where that knows the target. */
static void replay (Case *c) {
  char path[PATH_MAX];
  rb_RunOptions o = {.json = 1, .config = c->config, .ran = c->ran};
  rb_Replay *r = rb_again_file(tapepath(c, path, sizeof path), &c->p);
  if (r == NULL) return;
  json_object_del(r->how, "files");
  r->offline = 1;
  if (!json_is_true(json_object_get(c->how, "settings")) && isknown(c, r->run.target))
    o.config = c->o->config;
  else {
    lua_pushstring(c->s->W, r->run.target);
    char *text = rb_test_call(c->s->W, c->s->file, "tapeconfig", 1, &c->p);
    if (text != NULL) writefile(c, c->config, text);
    free(text);
  }
  if (c->p.exit == 0) rb_again_run(&o, r, c->s->runbook, &c->p);
  rb_replay_free(r);
}

/* Real parts are for sandboxes only. */
static int issandbox (Case *c) {
  rb_Config *config = rb_config_load(c->o->config, &c->p);
  rb_Target *t = config != NULL ? rb_config_open(config, textof(c, "target"), &c->p) : NULL;
  if (t != NULL && strcmp(rb_target_kind(t), "sandbox") != 0)
    rb_problem(&c->p, RB_USAGE, "target", "a test is for sandbox targets only, and %s is %s",
               rb_target_name(t), rb_target_kind(t));
  rb_config_free(config);
  return c->p.exit == 0;
}

static void undo (Case *c) {
  static const char *const none[] = {NULL};
  rb_RunOptions o = {.yes = 1, .json = 1, .undo = 1, .approved_by = none, .world = c->world,
                     .ran = c->ran, .config = c->world != NULL ? c->config : c->o->config};
  rb_Replay *r = rb_again_load(NULL, 0, rb_again_isrun, &c->p);
  if (r == NULL) return;
  r->offline = 1;
  rb_again_run(&o, r, NULL, &c->p);
  rb_replay_free(r);
}

/* T.finish or T.undone: what is to be said of the run; 1: it is to be taken back */
static int judge (Case *c, const char *judging) {
  lua_State *W = c->s->W;
  char *doc = take(c->out, stdout), *said = take(c->err, stderr);
  lua_pushstring(W, doc);
  lua_pushstring(W, said);
  lua_pushstring(W, c->world != NULL ? rb_world_surprise(c->world) : "");
  char *text = rb_test_call(W, c->s->file, judging, 3, &c->p);
  json_t *verdict = text != NULL ? json_loads(text, 0, NULL) : NULL;
  json_array_extend(c->failures, json_object_get(verdict, "failures"));
  int again = json_is_true(json_object_get(verdict, "undo"));
  if (strcmp(judging, "finish") == 0) {
    json_object_set(c->result, "steps", json_object_get(verdict, "steps"));
    json_object_set(c->result, "cases", json_object_get(verdict, "cases"));
  }
  json_object_set_new(c->result, "said", json_string(said));
  json_decref(verdict);
  free(text);
  free(doc);
  free(said);
  return again;
}

static int begin (Case *c, int i) {
  lua_State *W = c->s->W;
  char *info = json_dumps(c->s->info, JSON_COMPACT);
  lua_pushinteger(W, i + 1);
  lua_pushstring(W, info);
  lua_pushstring(W, rb_operator());
  char *text = rb_test_call(W, c->s->file, "begin", 3, &c->p);
  c->how = text != NULL ? json_loads(text, 0, NULL) : NULL;
  free(info);
  free(text);
  if (c->p.exit != 0) return c->p.exit;
  if (textof(c, "answers") != NULL && writefile(c, c->answers, textof(c, "answers")) != 0)
    return c->p.exit;
  if (!json_is_true(json_object_get(c->how, "fakes"))) return 0;
  randombytes_set_implementation(&fixed);
  rb_clock_virtual(json_integer_value(json_object_get(c->how, "clock")));
  c->world = rb_world_open(W);
  return writefile(c, c->config, textof(c, "config"));
}

static void all (Case *c, int i) {
  if (privately(c) != 0 || begin(c, i) != 0) return;
  if (textof(c, "tape") != NULL) replay(c);
  else if (textof(c, "target") == NULL || issandbox(c)) run(c);
  if (c->p.exit != 0) return;
  if (judge(c, "finish") && c->p.exit == 0) {
    undo(c);
    if (c->p.exit == 0) judge(c, "undone");
  }
  json_object_set(c->result, "dry", json_object_get(c->how, "dry"));
}

/* -- what became of it --------------------------------------------------- */

static void conclude (Case *c, const json_t *row) {
  if (c->p.exit != 0) {
    json_t *line = c->p.line > 0 ? json_integer(c->p.line)
                                 : json_incref(json_object_get(row, "line"));
    json_array_clear(c->failures);
    json_array_append_new(c->failures, json_pack("{s:s, s:o}", "what", c->p.message,
                          "line", line));
  }
  json_object_set_new(c->result, "status", json_string(c->p.exit != 0 ? "broken"
                      : json_array_size(c->failures) > 0 ? "failed" : "passed"));
  json_object_set(c->result, "failures", c->failures);
  json_object_set(c->result, "ran", c->ran);
}

void rb_case_run (rb_Suite *s, int i, const rb_TestOptions *o, int fd) {
  Case c = {.s = s, .o = o, .result = json_object(), .failures = json_array(),
            .ran = json_object()};
  double before = rb_clock_real();
  all(&c, i);
  conclude(&c, json_array_get(s->cases, (size_t)i));
  json_object_set_new(c.result, "ms", json_real((rb_clock_real() - before) * 1000));
  json_dumpfd(c.result, fd, JSON_COMPACT);
}
