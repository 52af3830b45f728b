/*
** mail.h - what the files of this module share
*/

#ifndef rb_mail_h
#define rb_mail_h

#include "stdlib/common/curl.h"
#include "stdlib/common/notice.h"
#include "vm/module.h"

enum { MESSAGE = 1, OPTIONS, READ };  /* on the stack of a running call */

/* -- address.c: whom it is for, and what a header may hold ------------------------- */

/* [-0, +1, v]  Pushes {{name =, address =}, ...} of the text or list in field `field` of
** the table at idx; addresses without spaces around, in small letters. */
void rb_mail_addresses (lua_State *L, int idx, const char *field);
/* [-0, +1, v]  "Name <address>, ..." of such a list, as a header has it. */
const char *rb_mail_addressline (lua_State *L, int list);
/* [-0, +1, v]  A text as a header has it: encoded words where it is not plain. Line
** breaks and other control characters are an error that names `what`. */
const char *rb_mail_header (lua_State *L, const char *what, const char *s, size_t n);

/* -- message.c: what it says --------------------------------------------------------- */

/* [-0, +1, v]  Reads the argument at MESSAGE: {to=, cc=, bcc=, replyto=, subject=, text=,
** html=, attach = {{name=, type=, content=}, ...}}, all of it checked. */
void rb_mail_read (lua_State *L);
/* [-0, +1, m]  That at READ as a person reads it. */
const char *rb_mail_rendered (lua_State *L, const char *from);
/* [-0, +1, m]  "a@example.org, b@example.org": all who get it. */
const char *rb_mail_recipients (lua_State *L);
/* [-0, +0, v]  That at READ into the transfer, as MIME. */
void rb_mail_compose (lua_State *L, rb_Curl *t);

/* -- attach.c ---------------------------------------------------------------------------- */

/* [-1, +1, v]  The attachment at the top, a path or a table, as {name=, type=, content=}. */
void rb_mail_attachment (lua_State *L);

#endif
