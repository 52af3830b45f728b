/*
** rows.h - everything that scripts can call, row by row
*/

#ifndef rb_rows_h
#define rb_rows_h

#include "vm/module.h"
#include "vm/problem.h"

/* one row, and how a script calls it */
typedef struct rb_Row {
  const rb_Module *module;
  const rb_Type *type;  /* NULL: a function or a method of a resource */
  const rb_Reg *reg;
  int method;
  char name[80];        /* "http.get", "http.response.json": as on the tape */
} rb_Row;

typedef void rb_EachRow (void *ud, const rb_Row *row);

/* what is done with a Lua state in which modules can be loaded */
typedef struct rb_WithRows {
  void (*fn) (lua_State *L, void *ud);  /* may raise */
  void *ud;
} rb_WithRows;

/* 0, or the exit code and *p. */
int rb_rows_with (rb_WithRows with, rb_Problem *p);
/* [-0, +0, v]  `run` first, then the modules by name; NULL after the last. */
const rb_Module *rb_rows_module (lua_State *L, int i);
/* [-0, +0, v]  The module of that name, or NULL. */
const rb_Module *rb_rows_find (lua_State *L, const char *name, size_t n);
int rb_rows_isrun (const rb_Module *m);
void rb_rows_each (const rb_Module *m, rb_EachRow *each, void *ud);

/* "get(key) -> string | nil : what it is for": its second part; the first as a script
** says it, "redis:get(key) -> string | nil". */
const char *rb_row_purpose (const rb_Row *row);
void rb_row_signature (const rb_Row *row, char *out, size_t size);
/* A sentence: its first letter large, a full stop at the end. */
void rb_sentence (const char *s, char *out, size_t size);

#endif
