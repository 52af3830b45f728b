/*
** csv.h - what the parts of the csv module share
*/

#ifndef rb_csv_h
#define rb_csv_h

#include "stdlib/common/pattern.h"
#include "stdlib/csv/reader.h"
#include "vm/module.h"

/* -- detect.c: what kind of text this is ------------------------------------------- */

/* The encoding by its first bytes ("UTF-8", "UTF-16LE", ...), and how many of them are
** its mark; or what it is that is no text ("gzip"), with *text 0. */
const char *rb_csv_encoding (const char *s, size_t n, size_t *mark, int *text);

/* The delimiter by which the first rows agree best; ',' where none is in the first. */
char rb_csv_delimiter (const char *s, size_t n);

const char *rb_csv_delimitername (char c);  /* "a comma" */

/* What bytes that are no UTF-8 probably are: "Latin-1", "Windows-1252", ... */
const char *rb_csv_guess (const char *s, size_t n);

/* -- kind.c: what a value is ---------------------------------------------------------- */

typedef enum Kind {
  RB_CSV_STRING, RB_CSV_INTEGER, RB_CSV_NUMBER, RB_CSV_BOOLEAN, RB_CSV_DATE,
  RB_CSV_DATETIME, RB_CSV_EMAIL, RB_CSV_KINDS
} Kind;

extern const char *const rb_csv_kinds[RB_CSV_KINDS + 1];  /* their names; NULL at the end */
extern const char *const rb_csv_like[RB_CSV_KINDS];       /* "a date (2026-11-25)" */
int rb_csv_is (Kind kind, const char *s, size_t n);

/* -- report.c: what was found -------------------------------------------------------- */

typedef struct Problem {
  long long line;            /* 0: of the whole file */
  const char *kind;          /* "type": a constant */
  char *column, *value;      /* NULL: none */
  char *message;
} Problem;

typedef struct Report {
  Problem *list;
  size_t n, max;             /* max: how many are kept */
  struct { const char *kind; long long n; } counts[20];
  long long badrows, lastbad;
  long long header;          /* its line: what is wrong there makes no row bad */
  const char *guess;         /* the encoding of what is no UTF-8; NULL: all is */
} Report;

typedef struct Text { const char *s; size_t n; } Text;

/* One problem more: counted always, kept while there is room. The words after
** "line 3, Date: 'x' " are the printf-like rest. 0: out of memory. */
int rb_csv_problem (Report *r, long long line, const char *kind, const Text *column,
                    const Text *value, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void rb_csv_freereport (Report *r);

/* [-0, +0, m]  Sets problems, counts and bad_rows in the table at the top. */
void rb_csv_pushreport (lua_State *L, const Report *r);

/* The problems of a row as such: its quotes, NUL bytes, encoding, number of fields.
** 0: out of memory. */
int rb_csv_rowproblems (Report *out, const Reader *r, size_t wanted);

/* -- contract.c, check.c, profile.c: a job, row by row ----------------------------------- */

typedef struct Rule {        /* for one column of the contract */
  Text name;
  Kind kind;
  int there, filled, seen;   /* must be there; must not be empty; is there */
  rb_Pattern *pattern;       /* NULL: any */
  Text patterntext;
  Text *value;               /* NULL: any */
  size_t nvalues, most;      /* most: bytes at most; 0: any number */
} Rule;

typedef struct Contract {
  Rule *rule;
  size_t n;
  int only;                  /* no other columns */
  char delimiter;            /* 0: any */
  size_t problems;
} Contract;

/* [-0, +1, v]  Reads the contract at 'idx' into c; pushes a table that owns all of it. */
void rb_csv_contract (lua_State *L, int idx, Contract *c);

typedef struct Column {      /* one column of the file */
  Text name;
  const Rule *rule;
  /* of a profile */
  unsigned kinds;            /* bits of what every value so far is */
  long long empty, distinct;
  size_t longest;
  unsigned long long *seen;  /* a set of hashes */
  size_t room;
  int more;                  /* there are more distinct ones than were counted */
} Column;

typedef struct Job {
  Reader r;
  Report report;
  Contract contract;
  Column *column;
  size_t *ruled, nruled;     /* the columns that have a rule */
  size_t ncolumns, budget;   /* budget: slots left for sets */
  char *names;               /* what the names of columns point into */
  char *scratch;
  size_t scratchsize;
  int profile;
  int forced;                /* contract.delimiter is what is read by, whatever it looks like */
  long long rows, whole;     /* whole: those with a value for each column */
  const char *encoding;
  int text, bom, named;      /* named: the header has been read */
  int stopped;               /* before the end of the file */
} Job;

/* What is wrong with the file as a whole, and what may be read of it: 1, 0: no more, -1:
** out of memory. */
int rb_csv_begin (Job *j);

/* Reading stopped at r->line: says so. 0: out of memory. */
int rb_csv_stopped (Job *j);

/* The header is in j->r: its names, and what is wrong with them. 0: out of memory. */
int rb_csv_header (Job *j);
int rb_csv_checkrow (Job *j);
int rb_csv_profilerow (Job *j);

/* [-0, +1, m]  What the job found. */
void rb_csv_pushresult (lua_State *L, const Job *j, const char *path);
void rb_csv_pushcolumns (lua_State *L, const Job *j);

/* Room for what a field means; NULL: out of memory. */
char *rb_csv_scratch (Job *j, size_t n);

/* What a field means, into v; 0: out of memory. */
static inline int rb_csv_get (Job *j, const Field *f, Text *v) {
  if (!f->quoted) {
    *v = (Text){f->s, f->n};
    return 1;
  }
  char *scratch = rb_csv_scratch(j, f->n);
  if (scratch == NULL) return 0;
  v->s = rb_csv_value(f, scratch, &v->n);
  return 1;
}

/* -- format.c -------------------------------------------------------------------------- */

int rb_csv_format (lua_State *L);

/* [-0, +0, v]  A delimiter in the field of that name of the table at 'idx'; 0: none. */
char rb_csv_getdelimiter (lua_State *L, int idx);

#endif
