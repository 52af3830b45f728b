/*
** ahead.c - what the run will need is begun before it is needed
**
** What the script will use is guessed from its text, which says "erp.pg:value"
** or not: a wrong guess costs a moment, and nothing else.
*/

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vm/run/run.h"
#include "vm/state.h"

#define MOST 8  /* kinds of resources */

/* servers, whose connections are begun: their modules are loaded first */
static const char *const servers[] = {"pg", NULL};

/* one kind of resource, in the text of the script */
typedef struct Use {
  const char *kind, *file;  /* the runbook's own file: what it requires comes later */
  size_t at;             /* where it is named first; NOWHERE: it is not */
  rb_Buffer *verbs;      /* NULL, or " exec value ", what is called on it */
} Use;

#define NOWHERE ((size_t)-1)

static void addverb (rb_Buffer *b, const char *s, size_t n) {
  size_t len = 0;
  while (len < n && (isalnum((unsigned char)s[len]) || s[len] == '_')) len++;
  rb_buffer_add(b, s, len);
  rb_buffer_puts(b, " ");
}

static void look (void *ud, const char *path, const char *text, size_t n) {
  Use *u = ud;
  char word[40];
  size_t len = (size_t)snprintf(word, sizeof word, ".%s", u->kind);
  size_t later = strcmp(path, u->file) == 0 ? 0 : NOWHERE / 2;
  const char *end = text + n, *at = text;
  for (; (at = memmem(at, (size_t)(end - at), word, len)) != NULL; at += len) {
    size_t here = later + (size_t)(at - text);
    if (here < u->at) u->at = here;
    if (u->verbs == NULL) return;
    if (at[len] == ':') addverb(u->verbs, at + len + 1, (size_t)(end - at) - len - 1);
  }
}

/* where the script first names the runbook's resource of this kind */
static size_t uses (rb_Run *r, const char *kind, rb_Buffer *verbs) {
  Use u = {.kind = kind, .file = r->outline.file, .at = NOWHERE, .verbs = verbs};
  rb_state_files(r->L, look, &u);
  return u.at;
}

static int isserver (const char *kind) {
  const char *const *s = servers;
  while (*s != NULL && strcmp(*s, kind) != 0) s++;
  return *s != NULL;
}

/* the kinds of resources that the runbook's system has here; an empty list */
static const char *const *resources (rb_Run *r) {
  static const char *const none[] = {NULL};
  const char *const *have = r->outline.system != NULL
    ? rb_target_resources(r->vm->target, r->outline.system) : NULL;
  return have != NULL ? have : none;
}

void rb_ahead_load (rb_Run *r) {
  const char *names[MOST + 1];
  size_t at[MOST];
  int n = 0;
  if (r->vm->world != NULL) return;
  for (const char *const *k = resources(r); *k != NULL && n < MOST; k++) {
    size_t first = uses(r, *k, NULL);
    if (first == NOWHERE) continue;
    if (isserver(*k)) first = 0;
    int i = n++;
    for (; i > 0 && at[i - 1] > first; i--) {
      names[i] = names[i - 1];
      at[i] = at[i - 1];
    }
    names[i] = *k;
    at[i] = first;
  }
  names[n] = NULL;
  if (n > 0) rb_warm(r->vm, names);
}

void rb_ahead_connect (rb_Run *r) {
  if (r->vm->world != NULL || r->vm->aheads != NULL) return;  /* or begun already */
  for (const char *const *k = resources(r); *k != NULL; k++) {
    rb_Buffer *verbs = &r->vm->text;
    if (!isserver(*k)) continue;
    rb_buffer_clear(verbs);
    rb_buffer_puts(verbs, " ");
    if (uses(r, *k, verbs) == NOWHERE) continue;
    lua_pushlstring(r->L, verbs->s, verbs->n);
    rb_ahead_begin(r->L, r->outline.system, *k, lua_tostring(r->L, -1));
    lua_pop(r->L, 1);
  }
}
