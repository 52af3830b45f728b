/*
** check.c - a file against its contract: the header, then every row
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/csv/csv.h"

char *rb_csv_scratch (Job *j, size_t n) {
  if (n < j->scratchsize) return j->scratch;
  char *more = realloc(j->scratch, n + 1024);
  if (more == NULL) return NULL;
  j->scratch = more;
  j->scratchsize = n + 1024;
  return more;
}

/* -- the file as a whole ------------------------------------------------------------- */

int rb_csv_begin (Job *j) {
  size_t mark;
  j->encoding = rb_csv_encoding(j->r.buf, j->r.end, &mark, &j->text);
  if (!j->text)
    return -!rb_csv_problem(&j->report, 0, "encoding", NULL, NULL,
                            "this is %s, no CSV file", j->encoding);
  if (strcmp(j->encoding, "UTF-8") != 0)
    return -!rb_csv_problem(&j->report, 0, "encoding", NULL, NULL, "this is %s, not UTF-8: "
                            "iconv -f %s -t UTF-8 makes it so", j->encoding, j->encoding);
  j->bom = mark > 0;
  j->r.from = mark;
  j->r.delimiter = rb_csv_delimiter(j->r.buf + mark, j->r.end - mark);
  char wanted = j->contract.delimiter;
  if (wanted != 0 && wanted != j->r.delimiter && !j->forced)
    if (!rb_csv_problem(&j->report, 0, "delimiter", NULL, NULL, "the delimiter is %s, not "
                        "%s", rb_csv_delimitername(j->r.delimiter),
                        rb_csv_delimitername(wanted))) return -1;
  if (wanted != 0 && j->forced) j->r.delimiter = wanted;
  return 1;
}

int rb_csv_stopped (Job *j) {
  int open = j->r.quote >= j->r.line;
  j->stopped = 1;
  if (open)
    return rb_csv_problem(&j->report, j->r.line, "quote", NULL, NULL, "the quote that opens "
                          "in line %lld is not closed within 1 MB: nothing after it was "
                          "read", j->r.quote);
  return rb_csv_problem(&j->report, j->r.line, "long", NULL, NULL, "it is longer than 1 MB: "
                        "nothing after it was read");
}

/* -- the header ---------------------------------------------------------------------- */

static int same (const Text *a, const Text *b) {
  return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

static int readnames (Job *j) {
  size_t n, room = 1;
  for (size_t i = 0; i < j->r.nfields; i++) room += j->r.field[i].n;
  j->ncolumns = j->r.nfields;
  j->column = calloc(j->ncolumns + 1, sizeof *j->column);
  j->ruled = calloc(j->ncolumns + 1, sizeof *j->ruled);
  char *to = j->names = malloc(room);
  if (j->column == NULL || j->ruled == NULL || to == NULL) return 0;
  for (size_t i = 0; i < j->ncolumns; i++) {
    const char *s = rb_csv_value(&j->r.field[i], to, &n);
    memmove(to, s, n);
    j->column[i] = (Column){.name = {to, n}, .kinds = ~0u};
    to += n;
  }
  return 1;
}

/* names that are there twice, or not at all */
static int badnames (Job *j) {
  int fine = 1;
  for (size_t i = 0; i < j->ncolumns && i < 1024; i++) {
    Text *name = &j->column[i].name;
    if (name->n == 0)
      fine &= rb_csv_problem(&j->report, j->r.line, "header", NULL, NULL,
                             "column %zu has no name", i + 1);
    for (size_t k = 0; k < i && name->n > 0; k++)
      if (same(name, &j->column[k].name)) {
        fine &= rb_csv_problem(&j->report, j->r.line, "duplicate", name, NULL,
                               "columns %zu and %zu have the same name", k + 1, i + 1);
        break;
      }
  }
  return fine;
}

/* values where names should be: the header is missing */
static int looksdata (Job *j) {
  for (size_t i = 0; i < j->ncolumns; i++) {
    const Text *name = &j->column[i].name;
    for (int kind = RB_CSV_INTEGER; kind < RB_CSV_KINDS; kind++)
      if (rb_csv_is((Kind)kind, name->s, name->n))
        return rb_csv_problem(&j->report, j->r.line, "header", NULL, name,
                              "is %s, no name of a column: is the header missing?",
                              rb_csv_like[kind]);
  }
  return 1;
}

/* which rule is for which column; those that are for none */
static int bind (Job *j) {
  Contract *c = &j->contract;
  size_t found = 0, wanted = 0;
  int fine = 1;
  for (size_t k = 0; k < c->n; k++) {
    for (size_t i = 0; i < j->ncolumns; i++) {
      if (!same(&c->rule[k].name, &j->column[i].name)) continue;
      if (!c->rule[k].seen) found++;
      c->rule[k].seen = 1;
      j->column[i].rule = &c->rule[k];
    }
    wanted += (size_t)c->rule[k].there;
  }
  for (size_t i = 0; i < j->ncolumns; i++)
    if (j->column[i].rule != NULL) j->ruled[j->nruled++] = i;
  if (found == 0 && wanted > 0)
    fine = rb_csv_problem(&j->report, j->r.line, "header", NULL, NULL, "it holds none of "
                          "the contract's columns: is the header missing?");
  for (size_t k = 0; k < c->n; k++)
    if (c->rule[k].there && !c->rule[k].seen)
      fine &= rb_csv_problem(&j->report, j->r.line, "missing", &c->rule[k].name, NULL,
                             "this column is required, and not there");
  for (size_t i = 0; i < j->ncolumns && c->only; i++)
    if (j->column[i].rule == NULL)
      fine &= rb_csv_problem(&j->report, j->r.line, "unknown", &j->column[i].name, NULL,
                             "this column is not in the contract");
  return fine;
}

int rb_csv_header (Job *j) {
  j->named = 1;
  j->report.header = j->r.line;
  if (!readnames(j) || !rb_csv_rowproblems(&j->report, &j->r, j->ncolumns)
      || !badnames(j)) return 0;
  return (j->profile || j->contract.n == 0 ? looksdata(j) : 1)
         && (j->profile || bind(j));
}

/* -- rows ------------------------------------------------------------------------------ */

static int isone (const Rule *rule, const Text *v) {
  for (size_t i = 0; i < rule->nvalues; i++)
    if (same(&rule->value[i], v)) return 1;
  return 0;
}

static int wrong (Job *j, const Column *c, const Text *v) {
  const Rule *rule = c->rule;
  Report *out = &j->report;
  long long line = j->r.line;
  if (rule->kind != RB_CSV_STRING && !rb_csv_is(rule->kind, v->s, v->n))
    return rb_csv_problem(out, line, "type", &c->name, v, "is not %s",
                          rb_csv_like[rule->kind]);
  if (rule->value != NULL && !isone(rule, v))
    return rb_csv_problem(out, line, "value", &c->name, v, "is none of the %zu values "
                          "that are allowed", rule->nvalues);
  if (rule->most > 0 && v->n > rule->most)
    return rb_csv_problem(out, line, "length", &c->name, v, "is longer than %zu bytes",
                          rule->most);
  int matches = rule->pattern == NULL
                || rb_pattern_match(rule->pattern, v->s, v->n, 0, NULL) > 0;
  return matches || rb_csv_problem(out, line, "pattern", &c->name, v, "is not like %.100s",
                                   rule->patterntext.s);
}

int rb_csv_checkrow (Job *j) {
  const Reader *r = &j->r;
  if ((r->flags != 0 || r->nfields != j->ncolumns)
      && !rb_csv_rowproblems(&j->report, r, j->ncolumns)) return 0;
  if (r->nfields != j->ncolumns) return 1;  /* which value is whose is not known */
  for (size_t k = 0; k < j->nruled; k++) {
    const Column *c = &j->column[j->ruled[k]];
    Text v;
    if (!rb_csv_get(j, &r->field[j->ruled[k]], &v)) return 0;
    if (v.n == 0) {
      if (c->rule->filled && !rb_csv_problem(&j->report, r->line, "empty", &c->name, NULL,
                                             "it is empty")) return 0;
    } else if (!wrong(j, c, &v)) return 0;
  }
  return 1;
}
