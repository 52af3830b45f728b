/*
** profile.c - what is in a file: columns, kinds of values, how many differ; and the
** table that a script gets of that
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/csv/csv.h"

enum { MOSTDISTINCT = 10000 };  /* counted one by one; beyond that: "more" */

/* -- how many differ --------------------------------------------------------------------- */

/* two values with one hash of 64 bits count as one: with 10,000 of them one chance in
** 10^11; never 0, which means an empty slot */
static unsigned long long hash (const char *s, size_t n) {
  unsigned long long h = 0x9E3779B97F4A7C15ull ^ n, w;
  for (; n >= 8; n -= 8, s += 8) {
    memcpy(&w, s, 8);
    h = (h ^ w) * 0xFF51AFD7ED558CCDull;
    h ^= h >> 32;
  }
  w = 0;
  memcpy(&w, s, n);
  h = (h ^ w) * 0xC4CEB9FE1A85EC53ull;
  h ^= h >> 29;
  h *= 0xFF51AFD7ED558CCDull;
  h ^= h >> 32;
  return h != 0 ? h : 1;
}

static void put (unsigned long long *set, size_t room, unsigned long long h) {
  size_t i = h & (room - 1);
  while (set[i] != 0 && set[i] != h) i = (i + 1) & (room - 1);
  set[i] = h;
}

static int widen (Job *j, Column *c) {
  size_t room = c->room > 0 ? c->room * 2 : 64;
  if (room > j->budget) {
    c->more = 1;
    return 1;
  }
  unsigned long long *set = calloc(room, sizeof *set);
  if (set == NULL) return 0;
  for (size_t i = 0; i < c->room; i++)
    if (c->seen[i] != 0) put(set, room, c->seen[i]);
  j->budget -= room - c->room;
  free(c->seen);
  c->seen = set;
  c->room = room;
  return 1;
}

static int distinct (Job *j, Column *c, const char *s, size_t n) {
  if (c->more) return 1;
  if ((size_t)c->distinct * 2 >= c->room && !widen(j, c)) return 0;
  if (c->more) return 1;
  unsigned long long h = hash(s, n);
  size_t i = h & (c->room - 1);
  while (c->seen[i] != 0 && c->seen[i] != h) i = (i + 1) & (c->room - 1);
  if (c->seen[i] == h) return 1;
  if (c->distinct == MOSTDISTINCT) {
    c->more = 1;
    return 1;
  }
  c->seen[i] = h;
  c->distinct++;
  return 1;
}

/* -- rows --------------------------------------------------------------------------------- */

static int look (Job *j, Column *c, const char *s, size_t n) {
  if (n == 0) {
    c->empty++;
    return 1;
  }
  if (n > c->longest) c->longest = n;
  for (int kind = RB_CSV_INTEGER; kind < RB_CSV_KINDS; kind++)
    if ((c->kinds & 1u << kind) && !rb_csv_is((Kind)kind, s, n)) c->kinds &= ~(1u << kind);
  return distinct(j, c, s, n);
}

int rb_csv_profilerow (Job *j) {
  const Reader *r = &j->r;
  if ((r->flags != 0 || r->nfields != j->ncolumns)
      && !rb_csv_rowproblems(&j->report, r, j->ncolumns)) return 0;
  if (r->nfields != j->ncolumns) return 1;
  j->whole++;
  for (size_t i = 0; i < r->nfields; i++) {
    Text v;
    if (!rb_csv_get(j, &r->field[i], &v) || !look(j, &j->column[i], v.s, v.n)) return 0;
  }
  return 1;
}

/* -- results ------------------------------------------------------------------------------- */

static void setinteger (lua_State *L, const char *name, long long n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

static void setflag (lua_State *L, const char *name, int on) {
  lua_pushboolean(L, on);
  lua_setfield(L, -2, name);
}

/* the narrowest kind that all values are; of nothing but empty ones: "empty" */
static const char *kindof (const Column *c, long long rows) {
  if (c->empty == rows) return "empty";
  for (int kind = RB_CSV_INTEGER; kind < RB_CSV_KINDS; kind++)
    if (c->kinds & 1u << kind) return rb_csv_kinds[kind];
  return rb_csv_kinds[RB_CSV_STRING];
}

void rb_csv_pushcolumns (lua_State *L, const Job *j) {
  lua_createtable(L, (int)j->ncolumns, 0);
  for (size_t i = 0; i < j->ncolumns; i++) {
    lua_pushlstring(L, j->column[i].name.s, j->column[i].name.n);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void pushprofile (lua_State *L, const Job *j) {
  lua_createtable(L, (int)j->ncolumns, 0);
  for (size_t i = 0; i < j->ncolumns; i++) {
    const Column *c = &j->column[i];
    lua_createtable(L, 0, 6);
    lua_pushlstring(L, c->name.s, c->name.n);
    lua_setfield(L, -2, "name");
    setstring(L, "type", kindof(c, j->whole));
    setinteger(L, "empty", c->empty);
    setinteger(L, "distinct", c->distinct);
    if (c->more) setflag(L, "more", 1);
    setinteger(L, "longest", (long long)c->longest);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* [-0, +0, m]  a list of names: rules without a column, or columns without a rule */
static void setnames (lua_State *L, const Job *j, const char *field, int missing) {
  size_t n = missing ? j->contract.n : j->ncolumns;
  lua_newtable(L);
  for (size_t i = 0; i < n; i++) {
    const Rule *rule = missing ? &j->contract.rule[i] : j->column[i].rule;
    const Text *name = missing ? &rule->name : &j->column[i].name;
    if (missing ? !rule->there || rule->seen : rule != NULL) continue;
    lua_pushlstring(L, name->s, name->n);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_setfield(L, -2, field);
}

static const char *lineends (const Reader *r) {
  return r->crlf == 0 ? "LF" : r->lf == 0 ? "CRLF" : "mixed";
}

void rb_csv_pushresult (lua_State *L, const Job *j, const char *path) {
  int fine = j->report.counts[0].kind == NULL;
  lua_createtable(L, 0, 16);
  setstring(L, "path", path);
  setflag(L, "ok", fine);
  setstring(L, "encoding", j->report.guess != NULL ? j->report.guess : j->encoding);
  setflag(L, "bom", j->bom);
  lua_pushlstring(L, &j->r.delimiter, 1);
  lua_setfield(L, -2, "delimiter");
  setstring(L, "line_ends", lineends(&j->r));
  setinteger(L, "rows", j->rows);
  setinteger(L, "bytes", j->r.at);
  setflag(L, "complete", !j->stopped);
  rb_csv_pushreport(L, &j->report);
  if (j->profile) pushprofile(L, j);
  else rb_csv_pushcolumns(L, j);
  lua_setfield(L, -2, "columns");
  if (j->profile) return;
  setnames(L, j, "missing", 1);
  setnames(L, j, "unknown", 0);
}
