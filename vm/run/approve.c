/*
** approve.c - who has to agree, and did
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/replay.h"
#include "vm/run/run.h"

static int holds (const char *const *people, const char *who) {
  for (; people != NULL && *people != NULL; people++)
    if (strcmp(*people, who) == 0) return 1;
  return 0;
}

static void taped (rb_Run *r, const char *role, const char *what, const char *who,
                   const char *note, int attested) {
  rb_record(r->vm, "approval", NULL, json_pack("{s:s,s:o,s:s,s:o,s:b}", "role", role,
            "for", rb_jsontext(what, strlen(what)), "who", who,
            "note", rb_jsontext(note, strlen(note)), "attested",
            attested));
}

static int nobody (rb_Run *r, const char *role, const char *what, rb_Problem *p) {
  char *people = rb_join(rb_config_role(r->vm->config, role));
  rb_problem(p, RB_STOPPED, "approval", "%s needs the approval of a %s; %s%s. With "
             "their word: --approved-by %s=NAME:\"how they said so\"", what, role,
             people != NULL ? "they are: " : "the configuration names nobody for "
             "that role", people != NULL ? people : "", role);
  free(people);
  return p->exit;
}

/* --approved-by ROLE=WHO:NOTE: 1 when one is for this role, -1 and *p when it
** names somebody who does not hold it */
static int attested (rb_Run *r, const char *role, const char *what, rb_Problem *p) {
  size_t n = strlen(role);
  for (const char *const *a = r->o->approved_by; *a != NULL; a++) {
    char who[64];
    if (strncmp(*a, role, n) != 0 || (*a)[n] != '=') continue;
    const char *colon = strchr(*a + n + 1, ':');
    size_t len = colon != NULL ? (size_t)(colon - (*a + n + 1)) : strlen(*a + n + 1);
    snprintf(who, sizeof who, "%.*s", (int)len, *a + n + 1);
    if (!holds(rb_config_role(r->vm->config, role), who)) {
      char *people = rb_join(rb_config_role(r->vm->config, role));
      rb_problem(p, RB_STOPPED, "approval", "%s does not hold the role %s; it is "
                 "held by: %s", who, role, people != NULL ? people : "nobody");
      free(people);
      return -1;
    }
    taped(r, role, what, who, colon != NULL ? colon + 1 : "", 1);
    return 1;
  }
  return 0;
}

/* there was nobody to ask, or who was asked has gone */
static int unanswered (rb_Run *r, const char *kind, const char *what,
                       rb_Problem *p) {
  if (r->vm->interrupts > 0)
    return rb_problem(p, RB_INTERRUPTED, kind, "%s: interrupted at the question", what);
  if (rb_ask_terminal())
    return rb_problem(p, RB_STOPPED, kind, "%s: the question was not answered", what);
  return 0;
}

static int approveone (rb_Run *r, const char *role, const char *what,
                       rb_Problem *p) {
  char question[256];
  if (rb_replay_approved(r->vm, role, what)) return 0;
  int got = attested(r, role, what, p);
  if (got != 0) return got > 0 ? 0 : p->exit;
  if (!holds(rb_config_role(r->vm->config, role), r->who))
    return nobody(r, role, what, p);
  if (!r->o->yes) {
    snprintf(question, sizeof question, "Approve as %s: %s?", role, what);
    int yes = rb_ask_yes(r->vm->show, question);
    if (yes < 0 && unanswered(r, "approval", what, p) != 0) return p->exit;
    if (yes < 0)
      return rb_problem(p, RB_STOPPED, "approval", "%s needs your approval as %s: "
                        "run it on a terminal, or with --yes", what, role);
    if (yes == 0)
      return rb_problem(p, RB_STOPPED, "approval", "%s was not approved", what);
  }
  taped(r, role, what, r->who, r->o->yes ? "--yes" : "at the prompt", 0);
  return 0;
}

int rb_approve (rb_Run *r, const char *const *roles, const char *what,
                rb_Problem *p) {
  if (r->vm->dryrun) return 0;
  for (; *roles != NULL; roles++)
    if (approveone(r, *roles, what, p) != 0) return p->exit;
  return 0;
}

int rb_confirm (rb_Run *r, rb_Problem *p) {
  char question[256];
  if (r->vm->dryrun || r->vm->mute || r->production
      || strcmp(rb_target_kind(r->vm->target), "production") != 0) return 0;
  if (!r->o->yes) {
    snprintf(question, sizeof question, "Go on for real, on %s (production)?",
             rb_target_name(r->vm->target));
    int yes = rb_ask_yes(r->vm->show, question);
    if (yes < 0 && unanswered(r, "confirmation", rb_target_name(r->vm->target), p) != 0)
      return p->exit;
    if (yes < 0)
      return rb_problem(p, RB_STOPPED, "confirmation", "%s is production: confirm on a "
                        "terminal, or with --yes", rb_target_name(r->vm->target));
    if (yes == 0)
      return rb_problem(p, RB_STOPPED, "confirmation", "not confirmed");
  }
  r->production = 1;
  return 0;
}
