/*
** drill.c - `runbook drill`: kills and disturbs a run wherever that matters
**
** For each change of the runbook a run is ended, as by a power cut, just before its
** intent is on the tape, after that, after the deed, and after its outcome. Each is
** then resumed; the changes must be those of an undisturbed run, each done once, and
** servers and files must hold the same. Then each meets faults (faults.c). What was done
** is taken back before the next one, by undo or by --reset. The runs are on a tape of
** the drill's own.
*/

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/cli/session.h"
#include "vm/config/config.h"
#include "vm/replay.h"
#include "vm/show/show.h"

#define at(field) offsetof(rb_DrillOptions, field)

static const rb_Option options[] = {
  {"target", 't', RB_VALUE, "TARGET", "the sandbox (default: the configuration's)",
   at(o.target)},
  {"case", 0, RB_LIST, "CASE", "take this case, without asking its 'when'", at(o.cases)},
  {"approved-by", 0, RB_LIST, "ROLE=WHO:NOTE", "another person agreed", at(o.approved_by)},
  {"answers", 0, RB_VALUE, "FILE", "answers to questions: {\"id\": \"answer\"} as JSON",
   at(o.answers)},
  {"reset", 0, RB_VALUE, "COMMAND", "what brings the sandbox back (default: undo)",
   at(reset)},
  {"crashes", 0, RB_SWITCH, NULL, "only the crashes", at(crashes)},
  {"faults", 0, RB_SWITCH, NULL, "only the faults", at(faults)},
  {"probes", 0, RB_SWITCH, NULL, "let probes meet faults, too (of a wait's: the first)",
   at(probes)},
  {"files", 0, RB_LIST, "FOLDER", "compare the files of this folder, too", at(files)},
  {"varies", 0, RB_LIST, "NAME", "each run leaves this differently: \"*report.md\"", at(varies)},
  {"output", 'o', RB_VALUE, "FILE", "keep the table: .txt, .json or .md", at(output)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output, and nothing else",
   at(json)},
  {"markdown", 0, RB_SWITCH, NULL, "the table as Markdown", at(markdown)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)", at(o.config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_drill = {
  .name = "drill", .takes = "FILE|NAME [NAME=VALUE]...",
  .summary = "kill and disturb a run wherever that matters, and see what holds",
  .about = "On a sandbox only. For each change of the runbook a run is killed (SIGKILL) before\n"
           "its intent is on the tape, after that, after the deed, and after its outcome; then\n"
           "it is resumed. It held if all the changes of an undisturbed run are done, each\n"
           "once. Then each change meets faults: its server refuses, falls silent, answers by\n"
           "half, answers 500; the disk is full (files may not grow), also for the tape. It\n"
           "held if the run failed with words, undo brought back what was there before, and\n"
           "the tape verifies. Tables, keys and files are compared. 'asked' is a change of which\n"
           "nobody can tell whether it happened: the drill knows, and answers. Approvals of\n"
           "your own count as given. Exit 1 if any did not hold.",
  .example = "runbook drill tenant_isolation --case isolate --reset './sandbox reset'\n"
             "runbook drill tenant_isolation --case isolate --probes -o drill.md",
  .options = options, .min = 1, .max = -1, .main = rb_cmd_drill
};

/* -- what was done ------------------------------------------------------------------- */

static int isdeed (const rb_Taped *e) {
  return e->deed && e->seq != 0 && !e->failed && !e->unchanged && !e->within && !e->waited;
}

static int equal (const char *a, const char *b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Did this look come before, in the same field? A wait looks as often as it takes, which
** is another number each time: its first look stands for all. */
static int isrepeated (const rb_Taped *list, const rb_Taped *e) {
  const char *slash = strrchr(e->path, '/');
  size_t n = slash != NULL ? (size_t)(slash + 1 - e->path) : 0;
  for (const rb_Taped *before = list; before < e; before++)
    if (n > 0 && strncmp(before->path, e->path, n) == 0 && equal(before->verb, e->verb)
        && equal(before->summary, e->summary)) return 1;
  return 0;
}

/* the changes of the last run, in their order; NULL: they cannot be read */
static rb_DrillEffect *effects (int *n, int probes, rb_Problem *p) {
  rb_Replay *r = rb_again_load(NULL, 0, rb_again_isrun, p);
  if (r == NULL) return NULL;
  rb_DrillEffect *list = calloc((size_t)r->n + 1, sizeof *list);
  *n = 0;
  for (const rb_Taped *e = r->list; list != NULL && e < r->list + r->n; e++) {
    int looked = probes && !e->deed && !e->waited && !e->within && e->seq != 0
                 && !e->failed && e->verb != NULL && !isrepeated(r->list, e);
    if (!isdeed(e) && !looked) continue;
    list[(*n)++] = (rb_DrillEffect){
      .path = strdup(e->path), .verb = strdup(e->verb != NULL ? e->verb : ""),
      .target = strdup(e->target != NULL ? e->target : ""), .deed = isdeed(e)
    };
  }
  rb_replay_free(r);
  return list;
}

static void freelist (rb_DrillEffect *list, int n) {
  for (int i = 0; i < n; i++) {
    free(list[i].path);
    free(list[i].verb);
    free(list[i].target);
  }
  free(list);
}

static int has (const rb_DrillEffect *list, int n, const char *path) {
  for (int i = 0; i < n; i++)
    if (list[i].deed && strcmp(list[i].path, path) == 0) return 1;
  return 0;
}

static int deeds (const rb_DrillRun *d) {
  int n = 0;
  for (int i = 0; i < d->n; i++) n += d->effects[i].deed;
  return n;
}

int rb_drill_same (const rb_DrillRun *d) {
  rb_Problem p = {0};
  int n = 0, equal = 1;
  rb_DrillEffect *now = effects(&n, 0, &p);
  if (now == NULL) return 0;
  for (int i = 0; i < d->n; i++)
    if (d->effects[i].deed) equal &= has(now, n, d->effects[i].path);
  equal &= n == deeds(d);
  freelist(now, n);
  return equal;
}

/* -- the world -------------------------------------------------------------------------- */

static json_t *look (rb_DrillRun *d, rb_Problem *p) {
  return rb_world_look(d->o, &d->folders, d->script, d->unseen, p);
}

static char *names (const json_t *set) {
  rb_Buffer b = {0};
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)set, name, value)
    rb_buffer_printf(&b, "%s%s", b.n > 0 ? ", " : "", name);
  return b.s;
}

char *rb_drill_differs (rb_DrillRun *d, const json_t *was, const json_t *but) {
  rb_Problem p = {0};
  json_t *now = look(d, &p);
  if (now == NULL) return strdup(p.message);
  json_t *set = rb_world_differ(was, now, d->moving, but);
  char *text = names(set);
  json_decref(set);
  json_decref(now);
  return text;
}

/* What --reset brings back may be another world each time: seeds with the time in them. */
static int lookagain (rb_DrillRun *d, rb_Problem *p) {
  if (d->before == NULL) return 0;
  json_decref(d->before);
  d->before = look(d, p);
  return p->exit;
}

int rb_drill_reset (rb_DrillRun *d, rb_Problem *p) {
  rb_Session s = {.o = d->o};
  if (d->o->reset != NULL) {
    int status = system(d->o->reset);
    if (status == 0) return lookagain(d, p);
    return rb_problem(p, RB_FAILED, "reset", "--reset failed: %s", d->o->reset);
  }
  if (rb_session(&s, RB_SESSION_UNDO) != 0)
    rb_problem(p, RB_FAILED, "undo", "the run cannot be taken back, so the next one "
               "would begin elsewhere (give --reset): %s", rb_session_why(&s));
  rb_session_free(&s);
  return p->exit;
}

/* -- crashes ------------------------------------------------------------------------------ */

void rb_drill_last (char id[RB_RUNID]) {
  rb_Problem p = {0};
  rb_Replay *r = rb_again_load(NULL, 0, rb_again_isrun, &p);
  snprintf(id, RB_RUNID, "%s", r != NULL ? r->run.id : "");
  rb_replay_free(r);
}

/* What came of a killed run: NULL, or why it did not hold (malloc'ed). One that is not on
** the tape had changed nothing, and is begun anew. */
static char *goon (rb_DrillRun *d, const char *when, int taped, int *asked) {
  rb_Session s = {.o = d->o};
  char *why = NULL;
  rb_session(&s, taped ? RB_SESSION_RESUME : RB_SESSION_RUN);
  if (s.exit == RB_INDOUBT) {
    *asked = 1;
    s.policy = strcmp(when, "after the deed") == 0 ? "done" : "retry";
    rb_session(&s, RB_SESSION_RESUME);
  }
  if (s.exit != 0 && asprintf(&why, "exit %d %.400s", s.exit, rb_session_why(&s)) < 0)
    why = NULL;
  int fine = s.exit == 0;
  rb_session_free(&s);
  if (!fine) return why;
  if (!rb_drill_same(d)) return strdup("not the same changes");
  return rb_drill_differs(d, d->after, d->varying);
}

/* whether a killed deed was looked at, and by itself told done from not done */
static int lookedat (const char *when, int asked) {
  return !asked && (strcmp(when, "after the intent") == 0
                    || strcmp(when, "after the deed") == 0);
}

/* one run that is killed at a point: 1, or 0 when there is no such point any more */
static int point (rb_DrillRun *d, int k, rb_Problem *p) {
  char path[256] = "", when[64] = "", result[700];
  rb_Session s = {.o = d->o, .drill = {.crash = k}};
  char before[RB_RUNID], after[RB_RUNID];
  rb_drill_last(before);
  int asked = 0, end = rb_session(&s, RB_SESSION_RUN);
  rb_session_free(&s);
  if (end == 0) return 0;
  if (end > 0 || sscanf(s.said, "%255[^\t]\t%63[^\t]", path, when) != 2) {
    rb_problem(p, RB_FAILED, "drill", "a run failed by itself (exit %d)", end);
    return 0;
  }
  rb_drill_last(after);
  int taped = strcmp(before, after) != 0;
  char *why = goon(d, when, taped, &asked);
  snprintf(result, sizeof result, why != NULL ? "DID NOT HOLD: %.680s" : "%s",
           why != NULL ? why : !taped ? "held, begun anew" : asked ? "held, asked" : "held");
  rb_DrillRow r = {.path = path, .kind = "crash", .what = when, .exit = -1,
                   .result = result, .held = why == NULL};
  rb_drilled_row(d, &r);
  d->points++;
  d->pointsheld += why == NULL;
  d->asked += asked;
  d->lookedat += lookedat(when, asked);
  free(why);
  return 1;
}

static int crashes (rb_DrillRun *d, rb_Problem *p) {
  for (int k = 1; point(d, k, p); k++)
    if (rb_drill_reset(d, p) != 0) return p->exit;
  return p->exit != 0 ? p->exit : rb_drill_reset(d, p);
}

/* -- before them ---------------------------------------------------------------------------- */

/* one run to its end that nothing disturbs, its errors shown */
static int undisturbed (rb_DrillRun *d, rb_Problem *p) {
  rb_Session s = {.o = d->o, .loud = 1};
  int end = rb_session(&s, RB_SESSION_RUN);
  rb_session_free(&s);
  return end == 0 ? 0 : rb_problem(p, RB_FAILED, "drill", "the undisturbed run ends with "
                                   "exit code %d", end);
}

/* The files that the changes name: "write /a/b (2 bytes)". */
static void learnfolders (rb_DrillRun *d, rb_Problem *p) {
  rb_Replay *r = rb_again_load(NULL, 0, rb_again_isrun, p);
  for (const rb_Taped *e = r != NULL ? r->list : NULL; e != NULL && e < r->list + r->n; e++) {
    const char *s = isdeed(e) && e->summary != NULL ? strstr(e->summary, " /") : NULL;
    for (; s != NULL; s = strstr(s, " /")) {
      char path[4096];
      size_t n = strcspn(++s, " ");
      snprintf(path, sizeof path, "%.*s", (int)n, s);
      rb_folders_add(&d->folders, path, 1);
    }
  }
  rb_replay_free(r);
}

/* Is the whole of it taken back? Else what stays is said, or it does not hold. */
static int takeback (rb_DrillRun *d, const json_t *was, int nfolders, rb_Problem *p) {
  rb_Session s = {.o = d->o};
  int end = rb_session(&s, RB_SESSION_UNDO), all = d->folders.n;
  char *doc = json_dumps(s.doc, JSON_COMPACT), result[700];
  int said = doc != NULL && strstr(doc, "stays: ") != NULL;
  d->folders.n = nfolders;
  json_t *now = look(d, p);
  d->folders.n = all;
  d->stays = rb_world_differ(was, now, d->moving, NULL);
  char *left = names(d->stays);
  int held = end == 0 && (left == NULL || said);
  snprintf(result, sizeof result, "%s%.600s%s", held ? "held" : "DID NOT HOLD: ",
           end != 0 ? rb_session_why(&s) : left == NULL ? "" : held ? ", stays: " : "",
           end == 0 && left != NULL ? left : "");
  rb_DrillRow r = {.path = "(the whole run)", .kind = "undo", .what = "undisturbed",
                   .exit = end, .result = result, .held = held};
  if (p->exit == 0) rb_drilled_row(d, &r);
  d->faults++;
  d->faultsheld += held;
  rb_session_free(&s);
  json_decref(now);
  free(left);
  free(doc);
  if (p->exit == 0 && json_object_size(d->stays) > 0 && d->o->reset == NULL)
    rb_problem(p, RB_FAILED, "drill", "not all of the run is taken back, so the next one "
               "would begin elsewhere: give --reset");
  return p->exit;
}

/* a dry run changes nothing: what is another afterwards, moves by itself */
static int findmoving (rb_DrillRun *d, const json_t *was, rb_Problem *p) {
  rb_Session s = {.o = d->o};
  rb_session(&s, RB_SESSION_DRYRUN);
  const char *name = json_string_value(json_object_get(s.doc, "runbook"));
  snprintf(d->runbook, sizeof d->runbook, "%s", name != NULL ? name : d->o->o.file);
  rb_session_free(&s);
  json_t *now = look(d, p);
  if (now != NULL) d->moving = rb_world_differ(was, now, NULL, NULL);
  json_decref(now);
  return p->exit;
}

/* What the operator says that each run leaves differently, is not compared. */
static void setvarying (rb_DrillRun *d) {
  const char *name;
  json_t *value;
  json_object_foreach(d->after, name, value)
    for (const char *const *v = d->o->varies; *v != NULL; v++)
      if (fnmatch(*v, name, 0) == 0) json_object_set_new(d->varying, name, json_true());
}

/* What an undisturbed run does, what it leaves, and what undo leaves of that. */
static int learn (rb_DrillRun *d, rb_Problem *p) {
  int nfolders = d->folders.n;
  if (d->o->reset != NULL && rb_drill_reset(d, p) != 0) return p->exit;
  json_t *was = look(d, p);
  if (was == NULL || findmoving(d, was, p) != 0 || undisturbed(d, p) != 0) goto out;
  d->effects = effects(&d->n, d->o->probes, p);
  learnfolders(d, p);
  if (p->exit != 0 || (d->after = look(d, p)) == NULL
      || takeback(d, was, nfolders, p) != 0
      || (d->o->reset != NULL && rb_drill_reset(d, p) != 0)
      || (d->before = look(d, p)) == NULL || undisturbed(d, p) != 0) goto out;
  json_t *again = look(d, p);
  if (again != NULL) d->varying = rb_world_differ(d->after, again, d->moving, NULL);
  json_decref(again);
  if (d->varying != NULL) setvarying(d);
  if (p->exit == 0) rb_drill_reset(d, p);
 out:
  json_decref(was);
  return p->exit;
}

/* -- the whole -------------------------------------------------------------------------------- */

static void pushtext (lua_State *L, const char *name, const char *text, size_t n) {
  (void)name;
  lua_pushlstring(L, text, n);
}

static void addpath (rb_DrillRun *d, const rb_Target *t, lua_State *L, const char *system,
                     const char *kind, int parent) {
  rb_target_resource(t, L, system, kind, "path", pushtext);
  if (lua_isstring(L, -1)) rb_folders_add(&d->folders, lua_tostring(L, -1), parent);
  lua_pop(L, 1);
}

/* what of the target can be compared */
static void describe (rb_DrillRun *d, const rb_Target *t, lua_State *L, json_t *resources) {
  char name[128];
  snprintf(d->target, sizeof d->target, "%s", rb_target_name(t));
  for (const char *const *s = rb_target_systems(t); *s != NULL; s++) {
    const char *const *r = rb_target_resources(t, *s);
    for (; r != NULL && *r != NULL; r++) {
      snprintf(name, sizeof name, "%s.%s", *s, *r);
      if (strcmp(*r, "pg") == 0 || strcmp(*r, "redis") == 0)
        json_array_append_new(resources, json_string(name));
    }
    addpath(d, t, L, *s, "dotenv", 1);
    addpath(d, t, L, *s, "backup", 0);
  }
  for (const char *const *f = d->o->files; *f != NULL; f++)
    rb_folders_add(&d->folders, *f, 0);
}

static int opentarget (rb_DrillRun *d, json_t *resources, rb_Problem *p) {
  lua_State *L = luaL_newstate();
  rb_Config *c = rb_config_load(d->o->o.config, p);
  rb_Target *t = c != NULL ? rb_config_open(c, d->o->o.target, p) : NULL;
  if (L == NULL) rb_problem(p, RB_USAGE, "memory", "not enough memory");
  else if (t != NULL && strcmp(rb_target_kind(t), "sandbox") != 0)
    rb_problem(p, RB_USAGE, "target", "a drill kills and disturbs runs in the middle, so it "
               "is for sandbox targets only, and %s is %s", rb_target_name(t),
               rb_target_kind(t));
  else if (t != NULL) describe(d, t, L, resources);
  rb_config_free(c);
  if (L != NULL) lua_close(L);
  return p->exit;
}

static int drill (rb_DrillRun *d, rb_Problem *p) {
  json_t *resources = json_array();
  int both = d->o->crashes == d->o->faults;
  if (opentarget(d, resources, p) == 0 && rb_world_script(d->script, resources, p) == 0
      && learn(d, p) == 0 && (!both && !d->o->crashes ? 0 : crashes(d, p)) == 0
      && (both || d->o->faults) && rb_drill_routes(d, p) == 0)
    rb_drill_faults(d, p);
  rb_proxy_stop(&d->proxy);
  json_decref(resources);
  if (p->exit == 0 && d->o->reset != NULL) rb_drill_reset(d, p);
  return p->exit != 0 ? p->exit : d->pointsheld == d->points && d->faultsheld == d->faults
         ? 0 : RB_FAILED;
}

static int64_t milliseconds (void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* a tape of its own, gone with the drill */
static int privately (rb_DrillRun *d, rb_Problem *p) {
  char dir[] = "/tmp/runbook-drill.XXXXXX", command[80];
  int64_t started = milliseconds();
  if (mkdtemp(dir) == NULL || setenv("XDG_STATE_HOME", dir, 1) != 0)
    return rb_problem(p, RB_USAGE, "tape", "no place for the drill's tape: %s",
                      strerror(errno));
  snprintf(d->script, sizeof d->script, "%s/world.lua", dir);
  int status = drill(d, p);
  rb_Problem q = {0};
  if (json_array_size(d->rows) > 0 && rb_drilled_write(d, started, status, &q) != 0) {
    if (p->exit == 0) *p = q;
    status = p->exit;
  }
  snprintf(command, sizeof command, "rm -rf %s", dir);
  if (system(command) != 0) fprintf(stderr, "runbook: %s is left\n", dir);
  return status;
}

static void forget (rb_DrillRun *d) {
  json_t *all[] = {d->before, d->after, d->moving, d->varying, d->stays, d->unseen,
                   d->left, d->rows};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_decref(all[i]);
  freelist(d->effects, d->n);
  rb_folders_free(&d->folders);
}

int rb_cmd_drill (int argc, char **argv) {
  rb_DrillOptions o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  rb_DrillRun d = {.o = &o, .proxy.control = -1};
  static const char *const none[] = {NULL};
  int status = rb_options_read(&rb_command_drill, argc, argv, &o, &a);
  if (status != 0) return status;
  d.unseen = json_object();
  d.left = json_object();
  d.rows = json_array();
  o.o.file = a.words[0];
  o.o.words = a.words + 1;
  o.o.limits = none;
  status = rb_drilled_check(&o, &p) != 0 ? p.exit : privately(&d, &p);
  if (p.exit != 0) {
    rb_show_problem(&p, o.json && json_array_size(d.rows) == 0);
    status = p.exit;
  }
  forget(&d);
  rb_options_free(&a);
  return status;
}
