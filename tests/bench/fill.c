/*
** fill.c - a tape with many effects on it, written by the tape's own objects
**
** fill TAPE RUNS EFFECTS [RUNS EFFECTS]...: so many finished runs of so many probes each, one
** group after the other, with the events that a real run has around them.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/tape/tape.h"

static rb_Problem problem;

static void die (const char *what) {
  fprintf(stderr, "fill: %s\n", what);
  exit(1);
}

static void add (rb_Tape *t, const char *kind, const char *path, const char *text) {
  rb_TapeEvent e = {.kind = kind, .path = path, .text = text};
  if (rb_tape_append(t, &e) == 0) die("not enough memory");
}

/* as the gate writes the answer of a probe */
static void probe (rb_Tape *t, int n) {
  static const char answer[] = "s\x0c\0\0\0\0\0\0\0greenwood_hi";
  char path[80], text[400], row[40] = "";
  snprintf(path, sizeof path, "look/probe/1[%d]/1", n);
  if (n <= 100) snprintf(row, sizeof row, ",\"n\":%d", n);  /* the rows that are kept */
  snprintf(text, sizeof text, "{\"effect\":\"probe\",\"target\":\"school_erp.redis\",\"summary\":"
           "\"GET bench:%d\",\"fingerprint\":\"%064d\",\"ms\":0.142,\"outcome\":\"done\"%s}",
           n, n, row);
  rb_TapeEvent e = {.kind = "outcome", .path = path, .verb = "redis.get", .text = text,
                    .secret = answer, .secretlen = sizeof answer - 1};
  if (rb_tape_append(t, &e) == 0) die("not enough memory");
  if (n % 5000 == 0 && rb_tape_commit(t, &problem) != 0) die(problem.message);
}

static void run (rb_Tape *t, int effects) {
  rb_TapeRun run = {.runbook = "tenant_isolation", .target = "local", .mode = "run",
                    .who = "bench", .host = "here", .version = "0", .started = 1764000000000,
                    .params = "{\"tenant\":\"greenwood_high\",\"block\":\"1h\"}"};
  rb_ulid(run.id);
  if (rb_tape_begin(t, &run, &problem) != 0) die(problem.message);
  add(t, "start", NULL, "{\"file\":\"/srv/tenant_isolation.lua\",\"target\":\"local\",\"kind\":"
      "\"sandbox\",\"files\":{},\"outline\":{\"title\":\"Tenant isolation\",\"cases\":[{\"id\":"
      "\"isolate\",\"title\":\"Take it offline\"}],\"steps\":[{\"id\":\"look\",\"title\":"
      "\"Look\",\"case\":\"isolate\"}]}}");
  add(t, "step", "isolate", "{\"case\":\"isolate\",\"evidence\":\"not blocked yet\"}");
  add(t, "step", "look", "{\"n\":1,\"title\":\"Look\",\"manual\":null}");
  for (int i = 1; i <= effects; i++) probe(t, i);
  add(t, "stepped", "look", "{\"n\":1,\"status\":\"done\",\"verify\":null,\"reason\":null,"
      "\"field\":null,\"irreversible\":null,\"ms\":7.1}");
  add(t, "result", NULL, "{\"digest\":null,\"ms\":8.2,\"enforced\":{\"script\":true,\"gate\":true,"
      "\"kernel\":false,\"protocol\":[],\"protocolwhy\":null,\"kernelwhy\":null},\"cases\":"
      "[{\"taken\":1,\"evidence\":\"not blocked yet\"}],\"left\":[],\"error\":null}");
  if (rb_tape_end(t, "done", 0, &problem) != 0) die(problem.message);
}

int main (int argc, char **argv) {
  if (argc < 4 || argc % 2 != 0) die("fill TAPE RUNS EFFECTS [RUNS EFFECTS]...");
  rb_Tape *t = rb_tape_open(argv[1], &problem);
  if (t == NULL) die(problem.message);
  for (int i = 2; i < argc; i += 2)
    for (int k = atoi(argv[i]); k > 0; k--) run(t, atoi(argv[i + 1]));
  rb_tape_close(t);
  return 0;
}
