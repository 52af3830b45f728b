/*
** csv.c - CSV files: their header, rows, what is in them and whether that is as agreed
**
** A file is read a piece at a time, and between two pieces all others go on. What a job
** holds is bounded: one row, the first problems, and for a profile the values that
** differ.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stdlib/common/owned.h"
#include "stdlib/common/stream.h"
#include "stdlib/csv/csv.h"

#define JOB "csv.job"
#define PIECE ((long long)4 << 20)
#define ROOM ((size_t)12 << 20)      /* bytes of rows that a script gets at most */
#define SLOTS ((size_t)1 << 20)      /* 8 MB for the values that differ, all columns together */

enum { PATH = 1, WISH, STREAM, OWNER, JOBAT };  /* on the stack of a call */

/* -- jobs ------------------------------------------------------------------------- */

static int job_close (lua_State *L) {
  Job *j = luaL_checkudata(L, 1, JOB);
  for (size_t i = 0; i < j->ncolumns && j->column != NULL; i++) free(j->column[i].seen);
  free(j->column);
  free(j->names);
  free(j->ruled);
  free(j->scratch);
  rb_csv_freereport(&j->report);
  rb_csv_close(&j->r);
  j->column = NULL;
  j->ruled = NULL;
  j->names = j->scratch = NULL;
  return 0;
}

/* [-0, +1, m]  closed; closes itself with the call */
static Job *pushjob (lua_State *L) {
  Job *j = rb_owned(L, sizeof *j, JOB, job_close);
  j->budget = SLOTS;
  j->report.max = 100;
  return j;
}

static int nomemory (lua_State *L) { return luaL_error(L, "not enough memory"); }

static const char *pathof (lua_State *L) {
  return ((rb_Stream *)lua_touserdata(L, STREAM))->place.path;
}

static int unreadable (lua_State *L) {
  return rb_fail(L, "io", RB_NOTDONE, "%s cannot be read: %s", pathof(L), strerror(errno));
}

/* [-0, +0, v]  opens the reader of a file, or of the text at 'text' */
static void begin (lua_State *L, Job *j, int text) {
  size_t n = 0;
  const char *s = text != 0 ? lua_tolstring(L, text, &n) : NULL;
  int fd = text != 0 ? -1 : ((rb_Stream *)lua_touserdata(L, STREAM))->fd;
  Got got = rb_csv_open(&j->r, fd, s, n);
  if (got == RB_CSV_FAILED) unreadable(L);
  if (got != RB_CSV_ROW) nomemory(L);
}

static const char *checkpath (lua_State *L) {
  size_t n;
  const char *path = luaL_checklstring(L, PATH, &n);
  luaL_argcheck(L, n > 0, PATH, "an empty path");
  luaL_argcheck(L, strlen(path) == n, PATH, "the path holds a NUL byte");
  return path;
}

/* [-0, +3, v]  PATH and WISH are given: the file, an owner of what is made of the wish,
** and the job. In a dry run that planned to write the file its text goes on the
** top; returns where, 0: the file itself, -1: nothing is planned for it */
static int open_ (lua_State *L, int predict, Job **j) {
  const char *path = checkpath(L);
  lua_settop(L, WISH);
  rb_Stream *s = predict ? rb_stream_find(L, "", path, "reads")
                         : rb_stream_open(L, "", path, "reads");
  lua_newtable(L);
  *j = pushjob(L);
  if (!predict) return 0;
  struct stat st;  /* a deed on one of its other names may be one on this file */
  if (lstat(s->place.path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1) return -1;
  if (!rb_planned(L, lua_pushfstring(L, "file:%s", s->place.path))) return -1;
  if (!lua_istable(L, -1))
    rb_fail(L, "missing", RB_NOTDONE, "there is no file %s", s->place.path);
  return lua_getfield(L, -1, "value") == LUA_TSTRING ? lua_gettop(L) : -1;
}

/* -- header, rows: what a script gets must be whole ------------------------------- */

/* [-0, +0, v]  raises the first problem there is */
static void checkfine (lua_State *L, const Job *j) {
  for (size_t i = 0; i < j->report.n; i++) {
    const Problem *p = &j->report.list[i];
    if (strcmp(p->kind, "duplicate") == 0 || strcmp(p->kind, "header") == 0) continue;
    rb_fail(L, "data", RB_NOTDONE, "%s: %s", pathof(L), p->message);
  }
}

/* [-0, +0, v]  the next row; 0: there is none */
static int next (lua_State *L, Job *j) {
  switch (rb_csv_next(&j->r)) {
    case RB_CSV_ROW: return 1;
    case RB_CSV_END: return 0;
    case RB_CSV_FAILED: return unreadable(L);
    case RB_CSV_LONG:
      if (rb_csv_stopped(j)) checkfine(L, j);
      break;
    case RB_CSV_NOMEMORY: break;
  }
  return nomemory(L);
}

/* [-0, +0, v]  reads the header; every way in which it is none raises */
static void header (lua_State *L, Job *j) {
  int going = rb_csv_begin(j);
  if (going < 0) nomemory(L);
  checkfine(L, j);
  if (!next(L, j))
    rb_fail(L, "data", RB_NOTDONE, "%s is empty: there is no header", pathof(L));
  j->profile = 1;  /* no contract */
  if (!rb_csv_header(j)) nomemory(L);
  checkfine(L, j);
}

typedef int (*Answer) (lua_State *L, Job *j);

static int header_ (lua_State *L, Job *j) {
  header(L, j);
  rb_csv_pushcolumns(L, j);
  return 1;
}

/* -- rows ------------------------------------------------------------------------- */

typedef struct Wish { lua_Integer limit; int named; } Wish;

static Wish wishof (lua_State *L, Job *j) {
  static const char *const keys[] = {"limit", "header", "delimiter", NULL};
  Wish w = {.limit = -1, .named = 1};
  if (lua_isnil(L, WISH)) return w;
  luaL_checktype(L, WISH, LUA_TTABLE);
  lua_pushnil(L);
  for (; lua_next(L, WISH) != 0; lua_pop(L, 1)) {
    const char *const *k = keys;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[1]";
    while (*k != NULL && strcmp(*k, name) != 0) k++;
    if (*k == NULL) luaL_error(L, "csv.rows: there is no option '%s': limit, header, "
                               "delimiter", name);
  }
  int isnum = 1, type = lua_getfield(L, WISH, "limit");
  if (type != LUA_TNIL) w.limit = lua_tointegerx(L, -1, &isnum);
  if (!isnum || (type != LUA_TNIL && w.limit < 0))
    luaL_error(L, "csv.rows: 'limit' is a whole number of rows");
  w.named = lua_getfield(L, WISH, "header") == LUA_TNIL || lua_toboolean(L, -1);
  lua_pop(L, 2);
  j->contract.delimiter = rb_csv_getdelimiter(L, WISH);
  j->forced = j->contract.delimiter != 0;
  return w;
}

/* [-0, +0, v]  columns that have one name cannot both be in a table by names */
static void checktwins (lua_State *L, const Job *j) {
  for (size_t i = 0; i < j->report.n; i++)
    if (strcmp(j->report.list[i].kind, "duplicate") == 0)
      rb_fail(L, "data", RB_NOTDONE, "%s: %s; rows(path, { header = false }) gives lists",
              pathof(L), j->report.list[i].message);
}

/* [-0, +0, v]  what is wrong with a row raises; as a list it may have any length */
static void checkrow (lua_State *L, Job *j, int named) {
  size_t wanted = named ? j->ncolumns : j->r.nfields;
  if (j->r.flags == 0 && j->r.nfields == wanted) return;
  if (!rb_csv_rowproblems(&j->report, &j->r, wanted)) nomemory(L);
  checkfine(L, j);
}

/* [-0, +1, v]  the row as a table by names, or as a list; counts its bytes */
static size_t pushrow (lua_State *L, Job *j, int named) {
  size_t sum = 0;
  lua_createtable(L, named ? 0 : (int)j->r.nfields, named ? (int)j->r.nfields : 0);
  for (size_t i = 0; i < j->r.nfields; i++) {
    Text v;
    if (!rb_csv_get(j, &j->r.field[i], &v)) nomemory(L);
    if (named) lua_pushlstring(L, j->column[i].name.s, j->column[i].name.n);
    lua_pushlstring(L, v.s, v.n);
    if (named) lua_rawset(L, -3);
    else lua_rawseti(L, -2, (lua_Integer)i + 1);
    sum += v.n + 16;
  }
  return sum;
}

static int rows_ (lua_State *L, Job *j) {
  Wish w = wishof(L, j);
  size_t sum = 0;
  if (w.named) {
    header(L, j);
    checktwins(L, j);
  } else {
    if (rb_csv_begin(j) < 0) nomemory(L);
    checkfine(L, j);
  }
  lua_newtable(L);
  for (lua_Integer i = 1; (w.limit < 0 || i <= w.limit) && next(L, j); i++) {
    checkrow(L, j, w.named);
    sum += pushrow(L, j, w.named);
    lua_rawseti(L, -2, i);
    if (sum > ROOM)
      rb_fail(L, "limit", RB_NOTDONE, "%s: more than 12 MB of rows: take some, rows(path, "
              "{ limit = 1000 }), or ask csv.validate or csv.profile", pathof(L));
  }
  return 1;
}

/* -- profile, validate: a piece at a time ----------------------------------------- */

/* [-0, +0, v]  one row; 0: that was all */
static int step (lua_State *L, Job *j) {
  switch (rb_csv_next(&j->r)) {
    case RB_CSV_FAILED: return unreadable(L);
    case RB_CSV_NOMEMORY: return nomemory(L);
    case RB_CSV_LONG: return rb_csv_stopped(j) ? 0 : nomemory(L);
    case RB_CSV_END:
      if (!j->named
          && !rb_csv_problem(&j->report, 0, "header", NULL, NULL,
                             "it is empty: there is no header")) nomemory(L);
      return 0;
    case RB_CSV_ROW: break;
  }
  int fine = !j->named ? rb_csv_header(j)
                       : j->profile ? rb_csv_profilerow(j) : rb_csv_checkrow(j);
  if (!fine) nomemory(L);
  j->rows += j->r.line > j->report.header;
  return 1;
}

static int piece (lua_State *L, int status, lua_KContext predict) {
  Job *j = lua_touserdata(L, JOBAT);
  long long from = j->r.at;
  int more = 1;
  (void)status;
  while (more && (predict || j->r.at - from < PIECE)) more = step(L, j);
  if (more && rb_timeleft(L) <= 0)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s was not read in time: it was at line %d",
                   pathof(L), (int)j->r.next);
  if (more) return rb_sleep(L, 0, predict, piece);
  rb_csv_pushresult(L, j, pathof(L));
  return 1;
}

static int whole (lua_State *L, Job *j, int predict) {
  int going = rb_csv_begin(j);
  if (going < 0) return nomemory(L);
  if (going > 0) return piece(L, LUA_OK, predict);
  rb_csv_pushresult(L, j, pathof(L));
  return 1;
}

static int profile_ (lua_State *L, Job *j, int predict) {
  j->profile = 1;
  return whole(L, j, predict);
}

/* the owner at OWNER is the contract's: it holds what the rules point to */
static int validate_ (lua_State *L, Job *j, int predict) {
  rb_csv_contract(L, WISH, &j->contract);
  lua_rawseti(L, OWNER, 1);
  j->report.max = j->contract.problems;
  return whole(L, j, predict);
}

/* -- calls ------------------------------------------------------------------------ */

static int look (lua_State *L, const char *verb, Answer answer) {
  Job *j;
  open_(L, 0, &j);
  rb_describe(L, "%s of %s", verb, pathof(L));
  begin(L, j, 0);
  return answer(L, j);
}

static int plan (lua_State *L, Answer answer) {
  Job *j;
  int text = open_(L, 1, &j);
  if (text < 0) return 0;
  begin(L, j, text);
  return answer(L, j);
}

static int study (lua_State *L, const char *verb, int predict,
                  int (*answer) (lua_State *L, Job *j, int predict)) {
  Job *j;
  int text = open_(L, predict, &j);
  if (text < 0) return 0;
  if (!predict) rb_describe(L, "%s %s", verb, pathof(L));
  begin(L, j, text);
  return answer(L, j, predict);
}

static int csv_header (lua_State *L) { return look(L, "header", header_); }
static int csv_rows (lua_State *L) { return look(L, "rows", rows_); }
static int csv_profile (lua_State *L) { return study(L, "profile", 0, profile_); }
static int csv_validate (lua_State *L) { return study(L, "validate", 0, validate_); }
static int plan_header (lua_State *L) { return plan(L, header_); }
static int plan_rows (lua_State *L) { return plan(L, rows_); }
static int plan_profile (lua_State *L) { return study(L, "", 1, profile_); }
static int plan_validate (lua_State *L) { return study(L, "", 1, validate_); }

/* -- rows of the module ----------------------------------------------------------- */

static const rb_Reg functions[] = {
  {"header", RB_PROBE, csv_header, NULL,
   "header(path) -> {name, ...} : the names of the columns as they stand in the first row. "
   "The delimiter (, ; tab |) is found out, a byte order mark is left out. The path is one "
   "that file.read may have; the file may have any size. Fails with \"data\" where it is "
   "empty, not UTF-8 (says what instead), holds NUL bytes or an open quote in that row, or "
   "has a first row of more than 1 MB", plan_header, NULL},
  {"rows", RB_PROBE, csv_rows, NULL,
   "rows(path [, { limit = n, header = false, delimiter = \";\" }]) -> {row, ...} : the rows "
   "as tables by the names of the columns, all values as texts; with header = false as "
   "lists, the first row among them. At most `limit` of them and 12 MB. Fails with \"data\" "
   "at the first row that has more or fewer fields than the header, holds a NUL byte, is "
   "not UTF-8 or has quotes that do not fit, and where two columns have one name; with "
   "\"limit\" where there is more", plan_rows, NULL},
  {"profile", RB_PROBE, csv_profile, NULL,
   "profile(path) -> {ok, encoding, bom, delimiter, line_ends, rows, bytes, columns, bad_rows, "
   "problems, counts, complete} : what is in a file of any size. `columns` is a list of {name, "
   "type, empty, distinct, more, longest}: the narrowest type that all values have "
   "(integer, number, boolean, date, datetime, email, string; \"empty\" where there are "
   "none), how many are empty, how many differ (`more`: more than that), bytes of the "
   "longest. Problems as csv.validate reports them. Fails only where it cannot be read",
   plan_profile, NULL},
  {"validate", RB_PROBE, csv_validate, NULL,
   "validate(path, contract) -> report : reads a file of any size against what was agreed. "
   "The contract: `required` and `optional`, lists of columns; `columns`, rules by column, "
   "each a type or { type =, pattern =, values = {...}, longest = bytes, filled = true, "
   "required = true }, where a pattern is Perl's and must match the whole value, and an "
   "empty value breaks `filled` only; `only` = true: no other columns; `delimiter`; "
   "`problems` = n: so many are kept (100; at most 1000). The report: ok, rows, bad_rows, "
   "columns, missing, unknown (lists of names), problems (a list of {kind, line, column, value, "
   "message}), counts (by kind: missing, duplicate, unknown, header, delimiter, encoding, "
   "fields, quote, nul, long, type, pattern, value, length, empty), encoding, bom, "
   "delimiter, line_ends, bytes, complete (false: nothing after the last problem was read). "
   "Fails only where it cannot be read", plan_validate, NULL},
  {"format", RB_PURE, rb_csv_format, NULL,
   "format(rows [, { columns = {name, ...}, delimiter = \",\", line_end = \"\\r\\n\" }]) -> "
   "string : rows as a CSV text (RFC 4180), to be read back as they were. Rows are lists, or "
   "tables by name with a line of names above: `columns` says which, and in which order; "
   "without it all names of any row, sorted. nil is empty; a row's name that is no column is "
   "an error", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "csv",
  .doc = "CSV files: their columns, rows, and whether they are as agreed",
  .functions = functions
};
