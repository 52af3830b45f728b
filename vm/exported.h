/*
** exported.h - what an export of a run knows in place of the run's key (private to vm/)
**
** Arguments are compared by a keyed hash. That of the tape covers what they really were,
** with a key that does not leave; that of an export covers them redacted, with a key of
** its own. What was drawn from the run's key (random.integer, not a token) is in the
** export itself; a token is another one there, under the same label.
*/

#ifndef rb_exported_h
#define rb_exported_h

#include <jansson.h>
#include <lua.h>

#include "vm/buffer.h"

struct rb_Task;

typedef struct rb_Exported {
  unsigned char key[32];
  json_t *marks;       /* while it is written: path -> hash; else NULL */
  json_t *drawn;       /* place -> bytes, as hexadecimal digits */
} rb_Exported;

/* [-0, +0, m]  The hash of the running call's arguments 'from'..'to'. */
void rb_exported_mark (lua_State *L, struct rb_Task *t, int from, int to, char out[65]);

/* [-0, +0, m]  A value of the tape with secrets replaced, appended; 0: it is not one. */
int rb_exported_value (lua_State *L, const char *s, size_t n, rb_Buffer *b);

/* While it is written: what was drawn at this place. Else: draws it. */
void rb_exported_drew (rb_Exported *e, const char *place, const void *bytes, size_t n);
void rb_exported_notokens (rb_Exported *e);  /* at the end: forgets those of tokens */
void rb_exported_draw (const rb_Exported *e, const char *place, void *out, size_t n);

#endif
