/*
** syntax.c - is this SQL, as PostgreSQL's own parser reads it? For `runbook check`
**
** A part of its own, so that no connection's library is loaded for it.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pg_query.h>

#include "stdlib/pg/sql.h"
#include "vm/module.h"

/* psql's :name as a value, its :"name" as a name: what stands for them is as long as it
** may be. NULL: no memory. */
static char *plain (const char *s, size_t n) {
  rb_SqlScan scan = {.s = s, .n = n};
  rb_SqlToken t;
  char *out = malloc(n + 1);
  size_t to = 0, from = 0;
  while (out != NULL && rb_sql_next(&scan, &t) != RB_SQLEND) {
    if (t.kind != RB_SQLVALUE && t.kind != RB_SQLNAME) continue;
    memcpy(out + to, s + from, t.at - from);  /* both are two bytes or more */
    to += t.at - from;
    memcpy(out + to, t.kind == RB_SQLVALUE ? "$1" : "x1", 2);
    to += 2;
    from = t.at + t.len;
  }
  if (out == NULL) return NULL;
  memcpy(out + to, s + from, n - from);
  out[to + n - from] = '\0';
  return out;
}

static int check (const char *s, size_t n, char *why, size_t size) {
  char *text = plain(s, n);
  if (text == NULL) return 1;
  PgQuerySplitResult r = pg_query_split_with_parser(text);  /* parses, and prints no tree */
  if (r.error != NULL) snprintf(why, size, "%s", r.error->message);
  int ok = r.error == NULL;
  pg_query_free_split_result(r);
  free(text);
  return ok;
}

static void names (const char *s, size_t n,
                   void (*each) (void *ud, const char *name, size_t n, int part), void *ud) {
  rb_SqlScan scan = {.s = s, .n = n};
  rb_SqlToken t;
  while (rb_sql_next(&scan, &t) != RB_SQLEND)
    if (t.kind == RB_SQLVALUE || t.kind == RB_SQLNAME)
      each(ud, t.name, t.namelen, t.kind == RB_SQLNAME);
}

extern RB_API const rb_Syntax rb_part;
const rb_Syntax rb_part = {check, names};
