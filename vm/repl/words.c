/*
** words.c - what begins with a colon: arming, looking at the session, leaving
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/repl/repl.h"
#include "vm/show/style.h"

#define ARMED 600.0        /* seconds, unless :live says otherwise */
#define LONGEST 86400.0

typedef struct Word {
  const char *name, *takes, *help;
  int (*does) (rb_Repl *s, const char *rest);  /* the exit code */
} Word;

static int help (rb_Repl *s, const char *rest);

static int wrong (rb_Repl *s, const char *usage) {
  rb_repl_complain(s, "%s", usage);
  return RB_FAILED;
}

/* the first word of 'rest' into 'out'; returns what is after it */
static const char *firstword (const char *rest, char *out, size_t size) {
  size_t n = strcspn(rest, " \t");
  snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), rest);
  return rest + n + strspn(rest + n, " \t");
}

/* -- arming ---------------------------------------------------------------- */

/* On production a person says it twice. */
static int confirmed (rb_Repl *s) {
  char question[200];
  if (strcmp(s->r.report.kind, "production") != 0 || s->asked->yes) return 1;
  snprintf(question, sizeof question, "%s is production. Change it for real?",
           s->r.report.target);
  int yes = rb_ask_yes(s->r.vm->show, question);
  if (yes < 0) rb_repl_complain(s, "%s is production: without a terminal :live needs "
                                "`runbook repl --yes`", s->r.report.target);
  return yes > 0;
}

static int live (rb_Repl *s, const char *rest) {
  char word[64], time[32];
  double seconds = ARMED;
  const char *reason = rest;
  if (isdigit((unsigned char)*rest)) {
    reason = firstword(rest, word, sizeof word);
    if (!rb_duration(word, &seconds) || seconds <= 0 || seconds > LONGEST)
      return wrong(s, ":live takes a duration up to 24h and a reason: "
                   ":live 10m the queue is stuck");
  }
  if (s->inside) return wrong(s, "inside of a run nothing is changed: leave it (Ctrl-D), and do "
                                 "it with the run, or in `runbook repl`");
  if (!confirmed(s)) return rb_ask_terminal() ? 0 : RB_STOPPED;
  if (*reason != '\0') {
    free(s->reason);
    s->reason = rb_redacted(reason, strlen(reason));
  }
  s->until = rb_now() + seconds;
  s->r.vm->dryrun = 0;
  rb_duration_text(seconds, time, sizeof time);
  rb_record(s->r.vm, "note", NULL, json_pack("{s:o}", "text",
            json_sprintf("armed for %s%s%s", time, *reason != '\0' ? ": " : "", reason)));
  rb_repl_complain(s, "remedies are for real now, for %s (:dry ends it)", time);
  return 0;
}

static int dry (rb_Repl *s, const char *rest) {
  (void)rest;
  if (s->until == 0) rb_repl_complain(s, "read-only as it was");
  rb_repl_disarm(s, "read-only again");
  return 0;
}

static int undo (rb_Repl *s, const char *rest) {
  (void)rest;
  return rb_repl_undo(s);
}

/* -- looking --------------------------------------------------------------- */

static int systems (rb_Repl *s, const char *rest) {
  const rb_Target *t = s->r.vm->target;
  const char *const *name = rb_target_systems(t);
  (void)rest;
  if (name == NULL || *name == NULL) return wrong(s, "this target has no systems");
  for (; *name != NULL; name++) {
    rb_Buffer b = {0};
    const char *const *kind = rb_target_resources(t, *name);
    for (; kind != NULL && *kind != NULL; kind++) {
      rb_target_resource(t, s->r.L, *name, *kind, "url", NULL);
      const char *url = lua_tostring(s->r.L, -1);
      rb_buffer_printf(&b, "\n  %-8s %s", *kind, url != NULL ? url : "");
      lua_pop(s->r.L, 1);
    }
    rb_repl_say(s, "system \"%s\"%s", *name, b.s != NULL ? b.s : "");
    rb_buffer_free(&b);
  }
  return 0;
}

static int tape (rb_Repl *s, const char *rest) {
  const rb_Report *rep = &s->r.report;
  (void)rest;
  rb_repl_say(s, "run %s (runbook report %s)", rep->run, rep->run + 18);
  for (const rb_StepRow *row = rep->steps; row < rep->steps + rep->nsteps; row++)
    for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next)
      rb_repl_say(s, "  %-3d %-8s %-10s %s", e->n, e->kind, e->verdict != NULL ? e->verdict
                  : e->outcome != NULL ? e->outcome : "", e->summary);
  return 0;
}

static int time_ (rb_Repl *s, const char *rest) {
  int exit = 0;
  char text[32];
  if (*rest == '\0') return wrong(s, ":time takes an expression: :time erp.redis:get \"k\"");
  double before = rb_now();
  if (rb_repl_eval(s, rest, &exit) == RB_EVALMORE)
    return wrong(s, ":time takes a whole expression in one line");
  rb_repl_say(s, "%s", rb_style_duration(text, (rb_now() - before) * 1000));
  return exit;
}

/* again and again, until Ctrl-C */
static int watch (rb_Repl *s, const char *rest) {
  char word[64];
  double every;
  int exit = 0;
  const char *text = firstword(rest, word, sizeof word);
  if (!rb_duration(word, &every) || every < 0.1 || *text == '\0')
    return wrong(s, ":watch takes a time and an expression: :watch 5s erp.redis:get \"k\"");
  s->interrupted = 0;
  while (exit == 0 && s->r.vm->interrupts == 0 && !s->interrupted) {
    if (rb_repl_eval(s, text, &exit) == RB_EVALMORE)
      return wrong(s, ":watch takes a whole expression in one line");
    struct timespec t = {.tv_sec = (time_t)every};
    t.tv_nsec = (long)((every - (double)t.tv_sec) * 1e9);
    if (exit == 0 && !s->interrupted && nanosleep(&t, NULL) != 0) break;
  }
  s->r.vm->interrupts = 0;
  return exit == RB_INTERRUPTED ? 0 : exit;
}

static int quit (rb_Repl *s, const char *rest) {
  (void)rest;
  s->quit = 1;
  return 0;
}

/* -- the words ------------------------------------------------------------- */

static const Word words[] = {
  {"help", "[NAME]", "this, or a primitive: :help redis.get", help},
  {"doc", "NAME", "the same: :doc http.get", help},
  {"live", "[10m] [reason]", "remedies are for real, for a time", live},
  {"dry", "", "read-only again", dry},
  {"undo", "", "takes back the last change of this session", undo},
  {"run", "NAME [k=v]", "a runbook: a dry run, unless armed", rb_repl_run},
  {"steps", "", "what was typed so far, and what it did", rb_repl_steps},
  {"plan", "", "what the session changed, or would change", rb_repl_plan},
  {"save", "FILE", "the session as a runbook, with a tape as its first test", rb_repl_save},
  {"system", "", "the systems of this target, and where they are", systems},
  {"time", "EXPR", "how long it takes", time_},
  {"watch", "5s EXPR", "again and again, until Ctrl-C", watch},
  {"tape", "", "what this session looked at and changed", tape},
  {"quit", "", "leaves, as Ctrl-D does", quit},
  {NULL, NULL, NULL, NULL}
};

const char *rb_repl_wordname (int i) { return words[i].name; }

static int help (rb_Repl *s, const char *rest) {
  char line[200];
  if (*rest != '\0') {
    rb_Problem p = {0};
    int found = s->asked->help(rest, &p);
    fflush(stdout);
    if (found) return 0;
    return wrong(s, p.message[0] != '\0' ? p.message : "nothing is called that");
  }
  rb_repl_say(s, "An expression is shown; what it changes is previewed, until :live. `_` is the "
              "last value, `run` has note, each, try, sleep. A statement goes on in the next "
              "line until it is whole.");
  for (const Word *w = words; w->name != NULL; w++) {
    snprintf(line, sizeof line, "  :%s %s", w->name, w->takes);
    rb_repl_say(s, "%-28s %s", line, w->help);
  }
  return 0;
}

int rb_repl_word (rb_Repl *s, const char *line) {
  char name[32];
  line += strspn(line, ":");
  const char *rest = firstword(line, name, sizeof name);
  const char *names[32];
  int n = 0;
  rb_repl_expire(s);
  for (const Word *w = words; w->name != NULL; w++) {
    if (strcmp(w->name, name) == 0) return w->does(s, rest);
    names[n++] = w->name;
  }
  names[n] = NULL;
  const char *near = rb_nearest(name, names);
  rb_repl_complain(s, near != NULL ? "there is no :%s (did you mean :%s?)"
                   : "there is no :%s; :help lists what there is", name, near);
  return RB_FAILED;
}
