/*
** terminal.h - a run for a person (private to vm/show)
*/

#ifndef rb_terminal_h
#define rb_terminal_h

#include "vm/show/style.h"

/* All of these leave their lines in s->out. */
void rb_terminal_banner (rb_Show *s, const rb_Report *r);
void rb_terminal_case (rb_Show *s, const rb_Report *r, const rb_CaseRow *c);
void rb_terminal_step (rb_Show *s, const rb_Report *r, const rb_StepRow *step);
void rb_terminal_end (rb_Show *s, const rb_Report *r);

/* effect.c: what a step did or would do, below its line */
void rb_terminal_effects (rb_Show *s, const rb_Report *r,
                          const rb_StepRow *step);
/* Which steps the effects rest on: "3, 5"; 0 when none is known. */
int rb_terminal_assumed (const rb_Report *r, const rb_EffectRow *e,
                         char *out, size_t size);
/* "only after steps 6, 8 and 2 more, if they go well"; NULL: it comes in any case. */
const char *rb_terminal_provided (const rb_EffectRow *e, char *out, size_t size);
/* A JSON value in one line, as a person would write it. */
void rb_terminal_value (rb_Buffer *b, Style style, const json_t *v, int quote);
/* Is what stands in the place of an after-image a request that is sent? What it makes of what is
** there nobody knows. */
int rb_terminal_isrequest (const json_t *after);
/* Is what an effect has no image of not there? Not so rows, which may not have been counted. */
int rb_terminal_isthing (const rb_EffectRow *e);

/* How a step ended, in words for people: "would do". */
const char *rb_terminal_status (const rb_Report *r, const rb_StepRow *step);

/* recorded.c: who, where and when; what was noted, agreed and answered */
void rb_terminal_recorded (rb_Show *s, const rb_Report *r);
void rb_terminal_said (rb_Show *s, const rb_Report *r);

/* json.c: the document of a finished run; NULL: no memory */
char *rb_json_report (const rb_Report *r);
char *rb_json_problem (const rb_Problem *p);
/* A new object with the same members, by name; NULL: none, or no memory. */
json_t *rb_json_sorted (const json_t *o);

static inline int rb_same (const char *a, const char *b) {
  return a != NULL && b != NULL && __builtin_strcmp(a, b) == 0;
}

#endif
