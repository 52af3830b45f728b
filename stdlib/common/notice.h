/*
** notice.h - what the modules share that tell people something over HTTP
**
** Where a notice may go stands in the configuration (targets.NAME.notify.MODULE) and
** nowhere else; its URL is a credential and never shown. A notice is rendered by its
** preview; the deed sends the same.
*/

#ifndef rb_notice_h
#define rb_notice_h

#include "stdlib/common/curl.h"
#include "vm/module.h"

/* -- where it goes -------------------------------------------------------------- */

/* [-0, +1, v]  The configuration's entry of that name ("#ops"): a text, secret or
** table. Fails with "missing", naming the nearest. 'what': "channel". */
void rb_notice_entry (lua_State *L, const char *name, const char *what);

/* [-0, +1, v]  All of the module's configuration: a text, secret or table; fails with
** "missing" where the target has none. */
void rb_notice_settings (lua_State *L);

/* [-0, +1, v]  Pushes the text or secret at idx, which is redacted as NAME from now
** on, and returns it; nil: NULL. */
const char *rb_notice_secret (lua_State *L, int idx, const char *name);

/* [-0, +1, v]  The URL of the channel whose name is at idx; 'module' is for its redaction
** ("slack #ops"). */
const char *rb_notice_channel (lua_State *L, int idx, const char *module);

/* -- arguments ---------------------------------------------------------------------- */

/* [-0, +0, v]  The options at idx ({timeout =}): seconds; unknown ones raise. */
double rb_notice_timeout (lua_State *L, int idx);

/* [-0, +0, v]  Only these fields are in the table at idx (NULL-terminated). */
void rb_notice_known (lua_State *L, int idx, const char *const *fields);

/* [-0, +1, v]  Pushes the value at idx as JSON; a secret in it is an error unless
** 'secrets'. */
const char *rb_notice_json (lua_State *L, int idx, int secrets, size_t *n);

/* [-0, +1, m]  The texts of the list at idx, with 'between' between them. */
const char *rb_notice_join (lua_State *L, int idx, const char *between);

/* -- preview ------------------------------------------------------------------------- */

/* [-1 (the rendered text), +1 (the plan), m]  'to' is whom it tells ("#ops"); its result
** is true. */
void rb_notice_plan (lua_State *L, const char *to);

/* -- deed ---------------------------------------------------------------------------- */

typedef struct rb_NoticePost {
  const char *to, *url;     /* on the stack of the call */
  const char *body; size_t nbody;  /* JSON */
  const char *key;          /* by which the receiver knows a repetition; NULL: it cannot */
  double timeout;
  /* NULL, or why an answer of 2xx is not that of the service; may push words */
  const char *(*judge) (lua_State *L, const rb_Curl *t);
  lua_KFunction done;       /* pushes the result; NULL: true. Its context: the transfer */
} rb_NoticePost;

/* [-0, +1, v]  A transfer for it; more headers may be added. */
rb_Curl *rb_notice_open (lua_State *L, const rb_NoticePost *p);
/* [-0, +?, vy]  Pledges, sends and judges the answer; the transfer is at the top. */
int rb_notice_send (lua_State *L, rb_Curl *t, const rb_NoticePost *p);

#endif
