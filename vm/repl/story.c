/*
** story.c - what this session did so far, and runbooks that it runs: :steps, :plan, :run
*/

#include <stdlib.h>
#include <string.h>

#include "vm/repl/repl.h"
#include "vm/show/style.h"
#include "vm/show/terminal.h"

enum { WORDS = 64 };

/* -- what was typed -------------------------------------------------------- */

static int isdeed (const rb_EffectRow *e) { return strcmp(e->kind, "probe") != 0; }

static int wasdone (const rb_EffectRow *e) {
  return e->outcome != NULL && strcmp(e->outcome, "done") == 0 && !e->unchanged;
}

/* "done", "would do", ...; a change that is not among those that :undo may take back was
** taken back, or is a notice */
static const char *state (const rb_Repl *s, const rb_EffectRow *e) {
  if (strcmp(e->kind, "remedy") == 0 && wasdone(e)
      && json_object_get(s->done, e->path) == NULL) return "taken back";
  if (e->unchanged) return "nothing to do";
  return e->verdict != NULL ? e->verdict : e->outcome != NULL ? e->outcome : "";
}

static void statement (rb_Repl *s, const rb_StepRow *row) {
  int more = 0;
  const char *line = row->title;
  rb_repl_say(s, "%3d  %-9s %.*s", row->n, row->status, (int)strcspn(line, "\n"), line);
  while ((line = strchr(line, '\n')) != NULL) {
    line++;
    rb_repl_say(s, "               %.*s", (int)strcspn(line, "\n"), line);
  }
  for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next) {
    if (!isdeed(e) && ++more > 5) continue;
    rb_repl_say(s, "       %-8s %-13s %s %s", e->kind, state(s, e), e->verb, e->summary);
  }
  if (more > 5) rb_repl_say(s, "       and %d looks more", more - 5);
}

int rb_repl_steps (rb_Repl *s, const char *rest) {
  const rb_Report *rep = &s->r.report;
  (void)rest;
  if (rep->nsteps == 0) rb_repl_complain(s, "nothing yet");
  for (int i = 0; i < rep->nsteps; i++) statement(s, &rep->steps[i]);
  return 0;
}

/* -- what it changed, or would change --------------------------------------------- */

int rb_repl_plan (rb_Repl *s, const char *rest) {
  const rb_Report *rep = &s->r.report;
  int done = 0, back = 0, would = 0;
  (void)rest;
  for (const rb_StepRow *row = rep->steps; row < rep->steps + rep->nsteps; row++) {
    int deeds = 0;
    if (json_object_get(json_object_get(s->told, row->id), "undo") != NULL) continue;
    for (const rb_EffectRow *e = row->effects; e != NULL; e = e->next) {
      if (!isdeed(e)) continue;
      deeds++;
      back += strcmp(state(s, e), "taken back") == 0;
      done += wasdone(e) && strcmp(state(s, e), "taken back") != 0;
      would += e->verdict != NULL && strcmp(e->verdict, "would do") == 0;
    }
    if (deeds == 0) continue;
    rb_repl_say(s, "%3d  %.*s", row->n, (int)strcspn(row->title, "\n"), row->title);
    rb_terminal_effects(s->r.vm->show, rep, row);
    rb_style_flush(s->r.vm->show);
  }
  if (done + back + would == 0) rb_repl_say(s, "nothing was changed, and nothing would be");
  else rb_repl_say(s, "%d done, %d taken back, %d would be done", done, back, would);
  return 0;
}

/* -- a runbook ------------------------------------------------------------------- */

/* the words of a line, in place; a quoted part may hold spaces. How many, -1: too many */
static int split (char *line, const char **words) {
  int n = 0;
  char *in = line, *out;
  for (;;) {
    in += strspn(in, " \t");
    if (*in == '\0') break;
    if (n == WORDS) return -1;
    words[n++] = out = in;
    for (char quote = 0; *in != '\0' && (quote || (*in != ' ' && *in != '\t')); in++)
      if (quote == 0 && (*in == '"' || *in == '\'')) quote = *in;
      else if (*in == quote) quote = 0;
      else *out++ = *in;
    if (*in != '\0') in++;
    *out = '\0';
  }
  words[n] = NULL;
  return n;
}

static int inside (rb_Repl *s, const char **words) {
  static const char *const none[] = {NULL};
  char id[RB_RUNID] = "";
  rb_Problem p = {0};
  rb_RunOptions o = {.file = words[0], .words = words + 1, .dry_run = s->r.vm->dryrun,
    .yes = s->asked->yes, .nocolor = s->asked->nocolor, .target = s->asked->target,
    .config = s->asked->config, .cases = none, .limits = none, .approved_by = none, .id = id};
  rb_tape_commit(s->r.vm->tape, &p);
  rb_stop_close(s->r.vm);
  int exit = rb_run_inside(&o);
  rb_stop_open(s->r.vm);
  s->r.vm->interrupts = 0;
  rb_record(s->r.vm, "note", NULL, json_pack("{s:o}", "text", json_sprintf(
            "%s %s: exit %d%s%s", o.dry_run ? "a dry run of" : "ran", words[0], exit,
            id[0] != '\0' ? ", run " : "", id)));
  return exit == 0 || exit == RB_DEFERRED ? 0 : exit;
}

int rb_repl_run (rb_Repl *s, const char *rest) {
  const char *words[WORDS + 1];
  char *line = strdup(rest);
  int exit = RB_FAILED, n = line != NULL ? split(line, words) : -1;
  if (n > 0) exit = inside(s, words);
  else rb_repl_complain(s, ":run takes a runbook and its parameters: "
                        ":run tenant_isolation tenant=greenwood_high");
  free(line);
  return exit;
}
