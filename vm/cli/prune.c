/*
** prune.c - `runbook tape prune`: the content of old runs goes
*/

#include <pwd.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "vm/cli/cli.h"
#include "vm/cli/tape.h"
#include "vm/module.h"
#include "vm/show/show.h"

typedef struct List {
  int json, dry;
  json_t *gone, *kept;
} List;

static void each (void *ud, const char *run, const char *kept) {
  List *l = ud;
  if (kept != NULL)
    json_array_append_new(l->kept, json_pack("{s:s,s:s}", "run", run, "reason", kept));
  else json_array_append_new(l->gone, json_string(run));
  if (!l->json && (kept != NULL || l->dry))
    printf("%s  %s\n", run, kept != NULL ? kept : "would be pruned");
}

static const char *me (void) {
  struct passwd *pw = getpwuid(getuid());
  return pw != NULL ? pw->pw_name : "unknown";
}

static void print (const List *l, const rb_Pruned *s) {
  if (l->json) {
    json_t *doc = json_pack("{s:i,s:b,s:O,s:O,s:I,s:I,s:I,s:I,s:n}", "exit", 0, "dry_run", l->dry,
        "pruned", l->gone, "kept", l->kept, "events", (json_int_t)s->events, "keys",
        (json_int_t)s->keys, "bytes_before", (json_int_t)s->was, "bytes", (json_int_t)s->is,
        "error");
    json_dumpf(doc, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(doc);
    return;
  }
  printf("%lld run%s %s, %lld events", s->runs, s->runs == 1 ? "" : "s",
         l->dry ? "would be pruned" : s->runs == 1 ? "was pruned" : "were pruned", s->events);
  if (s->kept > 0) printf("; %lld old one%s kept", s->kept, s->kept == 1 ? " is" : "s are");
  if (s->keys > 0) printf("; %lld key%s of runs that left nothing else", s->keys,
                          s->keys == 1 ? "" : "s");
  if (!l->dry) printf("; the tape has %lld KB, before %lld KB", (long long)s->is / 1024,
                      (long long)s->was / 1024);
  putchar('\n');
}

static int prune (List *l, double seconds, rb_Problem *p) {
  rb_Pruned sum;
  int64_t before = (int64_t)(((double)time(NULL) - seconds) * 1000);
  rb_Tape *t = rb_pick_tape(p);
  if (t == NULL) return p->exit;
  if (rb_tape_prune(t, before, l->dry, me(), each, l, &sum, p) == 0) print(l, &sum);
  rb_tape_close(t);
  return p->exit;
}

int rb_tape_prunes (const char *older, int dry, int json) {
  double seconds;
  rb_Problem p = {0};
  List l = {json, dry, json_array(), json_array()};
  if (older == NULL)
    rb_problem(&p, RB_USAGE, "usage", "tape prune takes --older-than TIME: 90d, 12h");
  else if (!rb_duration(older, &seconds))
    rb_problem(&p, RB_USAGE, "usage", "--older-than takes a duration such as 90d or 12h, not "
               "'%s'", older);
  else prune(&l, seconds, &p);
  if (p.exit != 0) rb_show_problem(&p, json);
  json_decref(l.gone);
  json_decref(l.kept);
  return p.exit;
}
