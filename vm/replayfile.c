/*
** replayfile.c - an exported run, read as the tape would be
*/

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "vm/exported.h"
#include "vm/replay.h"
#include "vm/tape/file.h"

typedef struct Reading {
  const char *file;
  rb_Replay *r;
  int (*event) (void *ud, const rb_TapeRow *row);
  void *events;
  rb_Buffer value;
  rb_Problem *p;
} Reading;

static const char *text (const json_t *o, const char *key) {
  return json_string_value(json_object_get(o, key));
}

static int64_t number (const json_t *o, const char *key) {
  return (int64_t)json_integer_value(json_object_get(o, key));
}

static int foreign (Reading *r, const char *why) {
  return rb_problem(r->p, RB_USAGE, "export", "%.500s: %s", r->file, why);
}

/* the first line: the run's row, and what takes the place of its key */
static int header (Reading *r, const json_t *o) {
  const char *key = text(o, "key");
  char *params = json_dumps(json_object_get(o, "params"), JSON_COMPACT);
  rb_Exported *e = calloc(1, sizeof *e);
  size_t n = 0;
  rb_TapeRun run = {
    .runbook = text(o, "runbook"), .target = text(o, "target"), .mode = text(o, "mode"),
    .who = text(o, "who"), .host = text(o, "host"), .version = text(o, "version"),
    .params = params, .started = number(o, "started"), .ended = number(o, "ended"),
    .status = text(o, "status"), .exit = (int)number(o, "exit")
  };
  snprintf(run.id, sizeof run.id, "%s", text(o, "run") != NULL ? text(o, "run") : "");
  r->r->exported = e;
  if (number(o, "tape") != 1) foreign(r, "another version of runbook made it: use that one");
  else if (e == NULL || key == NULL || *run.id == '\0' || run.mode == NULL
           || sodium_hex2bin(e->key, sizeof e->key, key, strlen(key), NULL, &n, NULL) != 0
           || n != sizeof e->key) foreign(r, "its first line does not say which run it is");
  else {
    e->drawn = json_incref(json_object_get(o, "drawn"));
    rb_replay_setrun(r->r, &run);
  }
  free(params);
  return r->p->exit;
}

static int event (Reading *r, const json_t *o) {
  const json_t *value = json_object_get(o, "value"), *how = json_object_get(o, "how");
  const json_t *said = json_object_get(o, "text");
  char *dumped = said != NULL ? json_dumps(said, JSON_COMPACT) : NULL;
  char *asked = how != NULL ? json_dumps(how, JSON_COMPACT) : NULL;
  rb_TapeRow row = {.seq = number(o, "seq"), .event = {
    .kind = text(o, "kind"), .path = text(o, "path"), .verb = text(o, "verb"),
    .text = dumped, .at = number(o, "at"), .secret = asked,
    .secretlen = asked != NULL ? strlen(asked) : 0
  }};
  if (value != NULL && rb_tapefile_unbytes(value, &r->value)) {
    row.event.secret = r->value.s;
    row.event.secretlen = r->value.n;
  }
  if (row.event.kind == NULL || row.seq == 0) foreign(r, "one of its lines is no event");
  else r->event(r->events, &row);
  free(dumped);
  free(asked);
  return r->p->exit;
}

static int line (void *ud, json_t *o) {
  Reading *r = ud;
  return r->r->exported == NULL ? header(r, o) : event(r, o);
}

static int fromfile (void *ud, rb_Replay *r, int (*each) (void *ud, const rb_TapeRow *row),
                     void *events, rb_Problem *p) {
  Reading reading = {.file = ud, .r = r, .event = each, .events = events, .p = p};
  rb_tapefile_read(ud, line, &reading, p);
  rb_buffer_free(&reading.value);
  return p->exit;
}

rb_Replay *rb_replay_file (const char *file, rb_Problem *p) {
  return sodium_init() < 0 ? NULL : rb_replay_make(fromfile, (void *)file, 0, p);
}
