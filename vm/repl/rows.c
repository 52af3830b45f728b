/*
** rows.c - rows as a table, or one below the other where a terminal is too narrow for that
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm/base.h"
#include "vm/repl/repl.h"
#include "vm/show/style.h"

enum { COLUMNS = 300, CELL = 48, ROWS = 1000 };

typedef struct Table {
  const char *names[COLUMNS];  /* the rows, or what is known of them, keep them alive */
  int width[COLUMNS], number[COLUMNS];
  rb_Unit unit[COLUMNS];
  int n, known;                /* known: in their order, those that are nil in all rows, too */
} Table;

/* -- which columns ---------------------------------------------------------------------- */

/* the row at the top: its columns; 0: it is no row */
static int addrow (lua_State *L, Table *t) {
  if (!lua_istable(L, -1)) return 0;
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    int i = 0;
    int fits = lua_type(L, -2) == LUA_TSTRING && !lua_istable(L, -1);
    const char *name = fits ? lua_tostring(L, -2) : NULL;
    lua_pop(L, 1);
    while (fits && i < t->n && strcmp(t->names[i], name) != 0) i++;
    if (!fits || i == COLUMNS || (t->known && i == t->n)) { lua_pop(L, 1); return 0; }
    if (i == t->n) t->names[t->n++] = name;
  }
  return 1;
}

/* the columns that were told of these rows; 0: none were */
static int toldcolumns (lua_State *L, int idx, Table *t) {
  int told = rb_columns_of(L, idx);
  lua_Integer n = told ? (lua_Integer)lua_rawlen(L, -1) : 0;
  for (lua_Integer i = 1; i <= n && n <= COLUMNS; i++) {
    lua_rawgeti(L, -1, i);
    t->names[t->n++] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return t->known = t->n > 0;
}

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* 0: one of them is no row, or has a column that is not known */
static int addrows (lua_State *L, int idx, Table *t) {
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, idx); i++) {
    lua_rawgeti(L, idx, i);
    int fits = addrow(L, t);
    lua_pop(L, 1);
    if (!fits) return 0;
  }
  return 1;
}

/* a list whose items are all tables of plain values by name? */
static int isrows (lua_State *L, int idx, Table *t) {
  memset(t, 0, sizeof *t);
  if (toldcolumns(L, idx, t) && addrows(L, idx, t)) return 1;
  memset(t, 0, sizeof *t);  /* nobody told, or a script has changed them */
  if (!addrows(L, idx, t)) return 0;
  qsort(t->names, (size_t)t->n, sizeof t->names[0], byname);
  return t->n > 0;
}

/* -- cells --------------------------------------------------------------------------------- */

/* what a line of a table cannot hold */
static void addline (rb_Buffer *b, const char *s) {
  rb_Buffer line = {0};
  for (; *s != '\0'; s++)
    if (*s == '\n') rb_buffer_puts(&line, "\\n");
    else if (*s == '\t') rb_buffer_puts(&line, "\\t");
    else rb_buffer_add(&line, s, 1);
  rb_style_add(b, PLAIN, line.s != NULL ? line.s : "");
  rb_buffer_free(&line);
}

/* [-0, +0, m]  the cell at the top as marked text; its columns */
static int cell (lua_State *L, const Table *t, int c, rb_Show *show, rb_Buffer *b) {
  size_t n;
  char human[64];
  rb_buffer_clear(b);
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, -1, &n);
    char *clean = rb_redacted(s, n);
    if (clean != NULL) addline(b, clean);
    free(clean);
  } else rb_repl_scalar(L, -1, b);
  if (show->fold && t->unit[c] != RB_NOUNIT && lua_type(L, -1) == LUA_TNUMBER
      && *rb_repl_human(human, t->unit[c], lua_tonumber(L, -1)) != '\0')
    rb_style_addf(b, DIM, " (%s)", human);
  return rb_style_width(b->s, b->n);
}

static void measure (lua_State *L, int idx, Table *t, rb_View *v) {
  rb_Buffer b = {0};
  for (int c = 0; c < t->n; c++) {
    t->width[c] = rb_style_width(t->names[c], strlen(t->names[c]));
    t->number[c] = 1;
    t->unit[c] = rb_repl_unit(v->result, t->names[c]);
  }
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, idx) && i <= ROWS; i++) {
    lua_rawgeti(L, idx, i);
    for (int c = 0; c < t->n; c++) {
      lua_getfield(L, -1, t->names[c]);
      int wide = cell(L, t, c, v->show, &b);
      if (wide > t->width[c]) t->width[c] = wide;
      if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER) t->number[c] = 0;
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  for (int c = 0; c < t->n; c++) if (t->width[c] > CELL) t->width[c] = CELL;
  rb_buffer_free(&b);
}

/* marked text of that width: the beginning of it that fits */
static void addcut (rb_Buffer *line, const rb_Buffer *b, int room) {
  size_t n = b->n;
  while (n > 2 && rb_style_width(b->s, n) > room - 3) n--;
  while (n > 2 && (b->s[n] & 0xC0) == 0x80) n--;
  rb_buffer_add(line, b->s, n);
  rb_style_add(line, PLAIN, "...");
}

/* marked text in its column: cut, or padded */
static void place (rb_Buffer *line, rb_Buffer *b, int wide, const Table *t, int c) {
  int last = c == t->n - 1, room = t->width[c];
  if (t->number[c]) rb_repl_pad(line, room - wide);
  if (wide > room) addcut(line, b, room);
  else rb_buffer_add(line, b->s, b->n);
  if (!last) rb_repl_pad(line, (t->number[c] || wide > room ? 0 : room - wide) + 2);
}

static void header (rb_Show *show, const Table *t) {
  rb_Buffer b = {0};
  for (int c = 0; c < t->n; c++) {
    rb_buffer_clear(&b);
    rb_style_add(&b, BOLD, t->names[c]);
    place(&show->text, &b, rb_style_width(b.s, b.n), t, c);
  }
  rb_repl_endline(show);
  rb_buffer_free(&b);
}

/* -- rows ----------------------------------------------------------------------------------- */

static void line (lua_State *L, const Table *t, rb_Show *show, rb_Buffer *b) {
  for (int c = 0; c < t->n; c++) {
    lua_getfield(L, -1, t->names[c]);
    int wide = cell(L, t, c, show, b);
    place(&show->text, b, wide, t, c);
    lua_pop(L, 1);
  }
  rb_repl_endline(show);
}

/* one field a line, as it is */
static void record (lua_State *L, const Table *t, lua_Integer i, rb_Show *show, rb_Buffer *b) {
  int most = 0;
  for (int c = 0; c < t->n; c++) {
    int wide = rb_style_width(t->names[c], strlen(t->names[c]));
    if (wide > most && wide <= CELL) most = wide;
  }
  rb_style_addf(&show->text, DIM, "-- %lld --", (long long)i);
  rb_repl_endline(show);
  for (int c = 0; c < t->n; c++) {
    rb_style_add(&show->text, BOLD, t->names[c]);
    rb_repl_pad(&show->text, most + 2 - rb_style_width(t->names[c], strlen(t->names[c])));
    lua_getfield(L, -1, t->names[c]);
    cell(L, t, c, show, b);
    rb_buffer_add(&show->text, b->s, b->n);
    lua_pop(L, 1);
    rb_repl_endline(show);
  }
}

/* Lines of a table that a terminal folds are read by nobody. */
static int narrow (const Table *t, const rb_Show *show) {
  struct winsize size;
  int sum = -2;
  if (!show->fold || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  for (int c = 0; c < t->n; c++) sum += t->width[c] + 2;
  return sum > size.ws_col;
}

int rb_repl_rows (lua_State *L, int idx, rb_View *v) {
  Table t;
  rb_Buffer b = {0};
  char count[64];
  if (!isrows(L, idx, &t)) return 0;
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  measure(L, idx, &t, v);
  int below = n > 0 && narrow(&t, v->show);
  if (!below) header(v->show, &t);
  for (lua_Integer i = 1; i <= n && i <= ROWS; i++) {
    lua_rawgeti(L, idx, i);
    if (below) record(L, &t, i, v->show, &b);
    else line(L, &t, v->show, &b);
    lua_pop(L, 1);
  }
  rb_buffer_free(&b);
  rb_style_addf(&v->show->text, DIM, "(%s%s)", rb_style_many(count, n, "row", "rows"),
                n > ROWS ? ", of which the first thousand are shown: _ has all" : "");
  rb_repl_endline(v->show);
  return 1;
}
