/*
** fail.c - failures in words: what happened, where, and what to look at
*/

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdlib/pg/pg.h"

/* the beginnings of SQLSTATEs that are more than "the server said no" */
static const struct { const char *state, *kind, *advice; } states[] = {
  {"08", "io", ""},
  {"22", "data", ""},
  {"23", "data", ""},
  {"25006", "refused", "it would change something, and this is held read-only"},
  {"28", "auth", "check user and password of its URL in the configuration"},
  {"3D000", "missing", "check the database in its URL in the configuration"},
  {"3F000", "missing", ""},
  {"40", "server", ""},
  {"42501", "auth", ""},
  {"42P01", "missing", ""},
  {"42P08", "data", "give the value a type: :name::type"},
  {"42P18", "data", "give the value a type: :name::type"},
  {"42703", "missing", ""},
  {"42704", "missing", ""},
  {"42883", "missing", ""},
  {"53300", "io", "the server has no connection left"},
  {"55P03", "timeout", "somebody else holds the lock"},
  {"57014", "timeout", "give it more time: { timeout = \"5m\" }"},
  {"57P", "io", ""},
};

static int lookup (const char *state) {
  for (size_t i = 0; state != NULL && i < sizeof states / sizeof states[0]; i++)
    if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
      return (int)i;
  return -1;
}

static const char *kindof (const char *state) {
  int i = lookup(state);
  return i < 0 ? "server" : states[i].kind;
}

static const char *adviceof (const char *state) {
  int i = lookup(state);
  return i < 0 ? "" : states[i].advice;
}

/* certain unless a COMMIT, or what cannot be rolled back, is under way */
static rb_Certainty certainty (const rb_PgCall *c) {
  return c->committing ? RB_UNKNOWN : RB_NOTDONE;
}

/* -- places --------------------------------------------------------------- */

/* the byte at which character number 'at' (from 1) begins */
static size_t bytes (const char *s, int at) {
  size_t i = 0;
  while (at > 1 && s[i] != '\0') {
    i++;
    while (((unsigned char)s[i] & 0xC0) == 0x80) i++;
    at--;
  }
  return i;
}

/* from the text that was sent to the one that the script wrote */
static size_t tosource (const rb_PgStatement *st, size_t i) {
  size_t from = 0, to = 0;
  for (int m = 0; m < st->nmarks && st->marks[m].text <= i; m++) {
    from = st->marks[m].text;
    to = st->marks[m].source;
  }
  size_t at = to + (i - from), n = strlen(st->source);
  return at < n ? at : n;
}

const char *rb_pg_pointed (lua_State *L, const rb_PgStatement *st,
                           const char *words, int at) {
  if (st == NULL || at < 1) return lua_pushstring(L, words);
  const char *s = st->source;
  size_t i = tosource(st, bytes(st->text, at)), from = i;
  while (from > 0 && s[from - 1] != '\n') from--;
  while (s[from] == ' ' && from < i) from++;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, words);
  luaL_addstring(&b, "\n  ");
  luaL_addlstring(&b, s + from, strcspn(s + from, "\n"));
  luaL_addstring(&b, "\n  ");
  for (; from < i; from++)
    if (((unsigned char)s[from] & 0xC0) != 0x80)
      luaL_addchar(&b, s[from] == '\t' ? '\t' : ' ');
  luaL_addchar(&b, '^');
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* -- what the server said ------------------------------------------------- */

static const char *diag (const PGresult *r, int field) {
  const char *s = PQresultErrorField(r, field);
  return s != NULL ? s : "";
}

/* [-0, +1, m]  "message (detail; hint; advice; SQLSTATE 42P01)" */
static const char *pushwords (lua_State *L, const PGresult *r, const char *advice) {
  const char *extra[] = {diag(r, PG_DIAG_MESSAGE_DETAIL),
    diag(r, PG_DIAG_MESSAGE_HINT), advice};
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, diag(r, PG_DIAG_MESSAGE_PRIMARY));
  luaL_addstring(&b, " (");
  for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
    luaL_addstring(&b, extra[i]);
    if (*extra[i] != '\0') luaL_addstring(&b, "; ");
  }
  luaL_addstring(&b, "SQLSTATE ");
  luaL_addstring(&b, diag(r, PG_DIAG_SQLSTATE));
  luaL_addstring(&b, ")");
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* In a preview "no" is an answer; being out of time or reach is not. */
static int refusal (const rb_PgCall *c, const char *kind) {
  return c->preview && strcmp(kind, "io") != 0 && strcmp(kind, "timeout") != 0;
}

/* [-0, +1, m]  the same, with the place in the statement */
static const char *pushplaced (lua_State *L, const rb_PgCall *c, const PGresult *r,
                               const rb_PgStatement *st, const char *advice) {
  int at = atoi(diag(r, PG_DIAG_STATEMENT_POSITION)) - c->shift;
  return rb_pg_pointed(L, st, pushwords(L, r, advice), at);
}

const char *rb_pg_said (lua_State *L, const rb_PgCall *c, int i, const rb_PgStatement *st) {
  const PGresult *r = c->answers[i];
  return pushplaced(L, c, r, st, adviceof(diag(r, PG_DIAG_SQLSTATE)));
}

static int fail (lua_State *L, rb_PgCall *c, const PGresult *r,
                 const rb_PgStatement *st, const char *advice) {
  const char *kind = kindof(diag(r, PG_DIAG_SQLSTATE));
  const char *words = pushplaced(L, c, r, st, advice);
  if (refusal(c, kind)) rb_refuse(L, "%s: %s", c->resource->name, words);
  return rb_fail(L, kind, c->partial ? RB_UNKNOWN : RB_NOTDONE, "%s: %s",
                 c->resource->name, words);
}

int rb_pg_fail (lua_State *L, rb_PgCall *c, const PGresult *r, const char *advice) {
  return fail(L, c, r, NULL, *advice != '\0' ? advice
              : adviceof(diag(r, PG_DIAG_SQLSTATE)));
}

/* libpq calls a result that is not there fatal, too */
static int iserror (const PGresult *r) {
  return r != NULL && PQresultStatus(r) == PGRES_FATAL_ERROR;
}

void rb_pg_check (lua_State *L, rb_PgCall *c, const rb_PgStatement *st) {
  for (int i = 0; i < c->sent; i++)
    if (iserror(c->answers[i]))
      fail(L, c, c->answers[i], i == c->at ? st : NULL,
           adviceof(PQresultErrorField(c->answers[i], PG_DIAG_SQLSTATE)));
}

/* -- what the network said ------------------------------------------------ */

/* [-0, +1, m]  libpq's words on one line, without where in its source */
static const char *pushline (lua_State *L, const char *s) {
  luaL_Buffer b;
  const char *end = strstr(s, "\nLOCATION:");
  size_t n = end != NULL ? (size_t)(end - s) : strlen(s);
  luaL_buffinit(L, &b);
  while (n > 0 && isspace((unsigned char)s[n - 1])) n--;
  for (size_t i = 0; i < n; i++) {
    if (s[i] != '\n' && s[i] != '\t') luaL_addchar(&b, s[i]);
    else if (s[i] == '\n') luaL_addstring(&b, "; ");
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

int rb_pg_lost (lua_State *L, rb_PgCall *c) {
  const char *next = c->committing
    ? "it is not known whether the change was made"
    : "nothing was changed; the next call opens a new connection";
  const char *why = pushline(L, PQerrorMessage(c->conn->pg));
  const char *said = c->current != NULL
    ? PQresultErrorField(c->current, PG_DIAG_MESSAGE_PRIMARY) : NULL;
  for (int i = 0; said == NULL && i < RB_PGSENT; i++)
    if (iserror(c->answers[i]))
      said = PQresultErrorField(c->answers[i], PG_DIAG_MESSAGE_PRIMARY);
  c->conn->spoiled = 1;
  return rb_fail(L, "io", certainty(c), "%s: the connection was lost (%s); %s",
                 c->resource->name, said != NULL ? said : why, next);
}

int rb_pg_late (lua_State *L, rb_PgCall *c) {
  if (c->cancelled) return rb_pg_interrupted(L, c);
  int connected = c->conn->pg != NULL && PQstatus(c->conn->pg) == CONNECTION_OK;
  c->conn->spoiled = 1;
  if (!connected)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s: the server did not let us in "
                   "in time (is it overloaded, or is the port another "
                   "service's?)", c->resource->name);
  return rb_fail(L, "timeout", certainty(c), "%s: no answer in time (%s)",
                 c->resource->name, c->committing
                 ? "it is not known whether the change was made"
                 : "give it more time: { timeout = \"5m\" }");
}

/* the SQLSTATE in a message of verbosity VERBOSE: "FATAL:  28P01: ..." */
static const char *findstate (const char *s) {
  for (; (s = strstr(s, ":  ")) != NULL; s++) {
    size_t n = strspn(s + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (n == 5 && s[8] == ':') return s + 3;
  }
  return "";
}

int rb_pg_unreachable (lua_State *L, rb_PgCall *c, const char *why) {
  const char *state = findstate(why);
  if (PQconnectionNeedsPassword(c->conn->pg)) state = "28P01";
  const char *kind = *state != '\0' ? kindof(state) : "io";
  const char *advice = *state != '\0' ? adviceof(state)
    : "check that the server runs, and the host and port of its URL";
  c->conn->spoiled = 1;
  return rb_fail(L, kind, RB_NOTDONE, "%s: cannot connect: %s%s%s",
                 c->resource->name, pushline(L, why),
                 *advice != '\0' ? "; " : "", advice);
}

int rb_pg_refuse (lua_State *L, rb_PgCall *c, const char *fmt, ...) {
  char words[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(words, sizeof words, fmt, ap);
  va_end(ap);
  if (c->preview) return rb_refuse(L, "%s: %s", c->resource->name, words);
  return rb_fail(L, "refused", RB_NOTDONE, "%s: %s", c->resource->name, words);
}

const char *rb_pg_rows (lua_State *L, lua_Integer n) {
  char digits[32], text[48];
  int len = snprintf(digits, sizeof digits, "%lld", (long long)n), to = 0;
  for (int i = 0; i < len; i++) {
    if (i > 0 && (len - i) % 3 == 0) text[to++] = ',';
    text[to++] = digits[i];
  }
  text[to] = '\0';
  return lua_pushfstring(L, n == 1 ? "%s row" : "%s rows", text);
}
