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

/* servers that let one wait first, the library that takes longest to load last */
static const char *const order[] = {
  "pg", "redis", "service", "dotenv", "log", "backup", "http", NULL
};

/* one kind of resource, in the text of the script */
typedef struct Use {
  const char *word;      /* ".pg" */
  int named;
  rb_Buffer *verbs;      /* NULL, or " exec value ", what is called on it */
} Use;

static void addverb (rb_Buffer *b, const char *s, size_t n) {
  size_t len = 0;
  while (len < n && (isalnum((unsigned char)s[len]) || s[len] == '_')) len++;
  rb_buffer_add(b, s, len);
  rb_buffer_puts(b, " ");
}

static void look (void *ud, const char *path, const char *text, size_t n) {
  Use *u = ud;
  size_t len = strlen(u->word);
  const char *end = text + n, *at = text;
  (void)path;
  for (; (at = memmem(at, (size_t)(end - at), u->word, len)) != NULL; at += len) {
    u->named = 1;
    if (u->verbs == NULL) return;
    if (at[len] == ':') addverb(u->verbs, at + len + 1, (size_t)(end - at) - len - 1);
  }
}

/* does the script name the runbook's resource of this kind? */
static int uses (rb_Run *r, const char *kind, rb_Buffer *verbs) {
  char word[40];
  const char *const *have = rb_target_resources(r->vm->target, r->outline.system);
  while (have != NULL && *have != NULL && strcmp(*have, kind) != 0) have++;
  if (have == NULL || *have == NULL) return 0;
  snprintf(word, sizeof word, ".%s", kind);
  Use u = {.word = word, .verbs = verbs};
  rb_state_files(r->L, look, &u);
  return u.named;
}

void rb_ahead_load (rb_Run *r) {
  const char *names[sizeof order / sizeof *order];
  int n = 0;
  if (r->outline.system == NULL) return;
  for (const char *const *k = order; *k != NULL; k++)
    if (uses(r, *k, NULL)) names[n++] = *k;
  names[n] = NULL;
  if (n > 0) rb_warm(r->vm, names);
}

void rb_ahead_connect (rb_Run *r) {
  static const char *const servers[] = {"pg", NULL};
  if (r->outline.system == NULL) return;
  for (const char *const *k = servers; *k != NULL; k++) {
    rb_Buffer *verbs = &r->vm->text;
    rb_buffer_clear(verbs);
    rb_buffer_puts(verbs, " ");
    if (!uses(r, *k, verbs)) continue;
    lua_pushlstring(r->L, verbs->s, verbs->n);
    rb_ahead_begin(r->L, r->outline.system, *k, lua_tostring(r->L, -1));
    lua_pop(r->L, 1);
  }
}
