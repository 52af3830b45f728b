/*
** redact.h - the one place where secrets are taken out of what leaves us
**
** Process-wide: a secret is secret in every sink. Each text is searched for
** as it is, percent-encoded and in base64 (at its three alignments).
*/

#ifndef rb_redact_h
#define rb_redact_h

#include <stddef.h>

#include "vm/buffer.h"

/* Texts under 6 bytes cannot be replaced safely: returns 0 for them. */
int rb_redact_add (const char *name, const char *text, size_t len);

/* Is that text one that is replaced (or too short to be)? */
int rb_redact_knows (const char *text, size_t len);

/* Appends s to b with every secret replaced by "[redacted NAME]". */
void rb_redact (rb_Buffer *b, const char *s, size_t len);

/* Does s hold a placeholder of ours? (Such a text must never reach a deed.) */
int rb_redact_placeholder (const char *s, size_t len);

void rb_redact_free (void);

#endif
