/*
** sql.h - psql's notation in SQL: where the names stand
*/

#ifndef rb_pg_sql_h
#define rb_pg_sql_h

#include <stddef.h>

typedef enum rb_SqlKind {
  RB_SQLEND,
  RB_SQLWORD,   /* keyword or identifier without quotes */
  RB_SQLTEXT,   /* string, quoted identifier, dollar quote, number */
  RB_SQLVALUE,  /* :name or :'name' */
  RB_SQLNAME,   /* :"name" */
  RB_SQLPARAM,  /* $1 */
  RB_SQLMARK    /* any other byte, and "::" */
} rb_SqlKind;

typedef struct rb_SqlToken {
  rb_SqlKind kind;
  size_t at, len;      /* where it stands */
  const char *name;    /* of RB_SQLVALUE and RB_SQLNAME: inside the text */
  size_t namelen;
  int depth;           /* of parentheses and brackets around it */
} rb_SqlToken;

/* Zeroed but for the text, it stands at its start. */
typedef struct rb_SqlScan {
  const char *s;
  size_t n, at;
  int depth, brackets;
  int operand;         /* the last token could be what a slice begins with */
} rb_SqlScan;

/* Reads the next token; returns its kind. Never fails: what is not closed
** goes on to the end, and PostgreSQL's parser says so better than we can. */
rb_SqlKind rb_sql_next (rb_SqlScan *scan, rb_SqlToken *t);

/* Is the token this keyword (given in lower case)? */
int rb_sql_is (const rb_SqlScan *scan, const rb_SqlToken *t, const char *word);

#endif
