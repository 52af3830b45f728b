/*
** reread.h - a report made from JSON again (private to vm/run)
*/

#ifndef rb_reread_h
#define rb_reread_h

#include "vm/run/report.h"

/* A status, verdict or the like, as the word that a report points to; or NULL. */
const char *rb_reread_word (const json_t *o, const char *key);
const char *rb_reread_textof (const json_t *o, const char *key);
char *rb_reread_copy (const json_t *o, const char *key);  /* malloc'ed, or NULL */
int rb_reread_intof (const json_t *o, const char *key, int otherwise);
json_t *rb_reread_valueof (const json_t *o, const char *key);  /* a new reference */
void rb_reread_put (char *out, size_t size, const json_t *o, const char *key);

/* One effect more of the step; NULL: no memory. */
rb_EffectRow *rb_reread_effect (rb_StepRow *step, const char *path, const char *verb,
                                const json_t *o);

#endif
