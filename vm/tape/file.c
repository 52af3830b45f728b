/*
** file.c - a run of the tape as a file of its own: lines of JSON, chained, compressed
**
** Each line is an object whose last member is "hash": BLAKE2b-256 of the hash of the line
** before it (of 32 zeros at first) and all of the line that stands before `,"hash":`. The
** last line counts the others, so that a file that was cut short shows. gzip, so that
** `zcat FILE | jq` reads it; a file that is not compressed is read as well.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>
#include <zlib.h>

#include "vm/tape/file.h"

enum { HASHED = crypto_generichash_BYTES };
#define TAIL ",\"hash\":\""

struct rb_TapeFile {
  char *name, *beside;  /* beside NULL: standard output */
  gzFile z;
  unsigned char hash[HASHED];
  long long lines;
  int failed;
};

static void chain (unsigned char hash[HASHED], const char *s, size_t n) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, NULL, 0, HASHED);
  crypto_generichash_update(&state, hash, HASHED);
  crypto_generichash_update(&state, (const unsigned char *)s, n);
  crypto_generichash_final(&state, hash, HASHED);
}

/* -- writing --------------------------------------------------------------------- */

static void release (rb_TapeFile *f) {
  free(f->name);
  free(f->beside);
  free(f);
}

rb_TapeFile *rb_tapefile_create (const char *name, rb_Problem *p) {
  int out = strcmp(name, "-") == 0;
  rb_TapeFile *f = calloc(1, sizeof *f);
  if (f == NULL || (f->name = strdup(name)) == NULL
      || (!out && asprintf(&f->beside, "%s.%ld", name, (long)getpid()) < 0)) {
    if (f != NULL) { f->beside = NULL; release(f); }
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
    return NULL;
  }
  f->z = out ? gzdopen(dup(STDOUT_FILENO), "wb") : gzopen(f->beside, "wbxe");
  if (f->z != NULL) return f;
  rb_problem(p, RB_USAGE, "export", "cannot write %.500s: %s", name, strerror(errno));
  release(f);
  return NULL;
}

void rb_tapefile_put (rb_TapeFile *f, json_t *line) {
  char hex[2 * HASHED + 1], *s = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(12));
  json_decref(line);
  size_t n = s != NULL ? strlen(s) - 1 : 0;  /* without its brace */
  if (n == 0) f->failed = 1;
  else {
    chain(f->hash, s, n);
    sodium_bin2hex(hex, sizeof hex, f->hash, HASHED);
    f->failed |= gzwrite(f->z, s, (unsigned)n) != (int)n
                 || gzprintf(f->z, TAIL "%s\"}\n", hex) <= 0;
    f->lines++;
  }
  free(s);
}

int rb_tapefile_close (rb_TapeFile *f, int keep, rb_Problem *p) {
  if (keep) rb_tapefile_put(f, json_pack("{s:I}", "lines", (json_int_t)f->lines));
  int bad = gzclose(f->z) != Z_OK || f->failed;
  int error = errno;
  if (f->beside != NULL && keep && !bad && rename(f->beside, f->name) != 0) {
    bad = 1;
    error = errno;
  }
  if (f->beside != NULL && (bad || !keep)) unlink(f->beside);
  if (bad && keep)
    rb_problem(p, RB_USAGE, "export", "cannot write %.500s: %s", f->name,
               error != 0 ? strerror(error) : "not enough memory");
  release(f);
  return p->exit;
}

/* -- reading ----------------------------------------------------------------------- */

typedef struct Reading {
  const char *name;
  gzFile z;
  rb_Buffer line;
  unsigned char hash[HASHED];
  long long n;
  int ended;
  rb_Problem *p;
} Reading;

static int wrong (Reading *r, const char *why) {
  return rb_problem(r->p, RB_USAGE, "export", "%.400s:%lld: %s", r->name, r->n, why);
}

/* the next line without its newline: 1; 0 at the end; -1 where the file is damaged */
static int next (Reading *r) {
  char part[8192];
  rb_buffer_clear(&r->line);
  while (gzgets(r->z, part, sizeof part) != NULL) {
    size_t n = strlen(part);
    int whole = n > 0 && part[n - 1] == '\n';
    rb_buffer_add(&r->line, part, whole ? n - 1 : n);
    if (r->line.failed) return -1;
    if (whole) return 1;
  }
  int error;
  gzerror(r->z, &error);
  return error != Z_OK && error != Z_STREAM_END ? -1 : r->line.n > 0 ? -1 : 0;
}

static int fits (Reading *r) {
  char hex[2 * HASHED + 1], tail[2 * HASHED + 20];
  const char *s = r->line.s;
  size_t n = r->line.n, tailed = sizeof TAIL - 1 + 2 * HASHED + 2;
  if (n <= tailed) return 0;
  chain(r->hash, s, n - tailed);
  sodium_bin2hex(hex, sizeof hex, r->hash, HASHED);
  snprintf(tail, sizeof tail, TAIL "%s\"}", hex);
  return memcmp(s + n - tailed, tail, tailed) == 0;
}

static int onelines (Reading *r, int (*line) (void *ud, json_t *line), void *ud) {
  r->n++;
  if (r->ended) return wrong(r, "something was added after the end of the export");
  if (r->n == 1 && strncmp(r->line.s, "{\"tape\":", 8) != 0)
    return wrong(r, "this is no exported run: see 'runbook tape export'");
  if (!fits(r))
    return wrong(r, "this line does not fit the one before it: the export has been edited");
  json_t *o = json_loads(r->line.s, JSON_ALLOW_NUL, NULL);
  if (!json_is_object(o)) {
    json_decref(o);
    return wrong(r, "this line is no JSON object");
  }
  const json_t *lines = json_object_get(o, "lines");
  r->ended = lines != NULL;
  if (r->ended && json_integer_value(lines) != r->n - 1)
    wrong(r, "the export ends with another number of lines than it had");
  else if (!r->ended) line(ud, o);
  json_decref(o);
  return r->p->exit;
}

int rb_tapefile_read (const char *name, int (*line) (void *ud, json_t *line), void *ud,
                      rb_Problem *p) {
  int more = 0;
  Reading r = {.name = name, .z = gzopen(name, "rbe"), .p = p};
  if (r.z == NULL)
    return rb_problem(p, RB_USAGE, "export", "cannot read %.500s: %s", name, strerror(errno));
  while (p->exit == 0 && (more = next(&r)) > 0) onelines(&r, line, ud);
  if (p->exit == 0 && more < 0)
    rb_problem(p, RB_USAGE, "export", "%.400s:%lld: it cannot be read further: the file is "
               "damaged or cut short", name, r.n + 1);
  else if (p->exit == 0 && !r.ended)
    rb_problem(p, RB_USAGE, "export", "%.400s:%lld: its end is missing: the export was cut "
               "short", name, r.n + 1);
  gzclose(r.z);
  rb_buffer_free(&r.line);
  return p->exit;
}

/* -- bytes --------------------------------------------------------------------------- */

json_t *rb_tapefile_bytes (const char *s, size_t n) {
  rb_Buffer b = {0};
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    const char two[2] = {(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))};
    if (c < 0x80) rb_buffer_add(&b, s + i, 1);
    else rb_buffer_add(&b, two, 2);
  }
  json_t *j = b.failed ? NULL : json_stringn(b.s != NULL ? b.s : "", b.n);
  rb_buffer_free(&b);
  return j;
}

int rb_tapefile_unbytes (const json_t *text, rb_Buffer *b) {
  const unsigned char *s = (const unsigned char *)json_string_value(text);
  size_t n = json_string_length(text);
  rb_buffer_clear(b);
  if (s == NULL) return 0;
  for (size_t i = 0; i < n; i++) {
    char c = (char)s[i];
    if (s[i] >= 0xC4 || (s[i] >= 0xC0 && i + 1 == n)) return 0;
    if (s[i] >= 0xC0) {
      c = (char)((s[i] & 3) << 6 | (s[i + 1] & 0x3F));
      i++;
    }
    rb_buffer_add(b, &c, 1);
  }
  rb_buffer_puts(b, "");
  return !b->failed;
}
