/*
** holder.c - whose lock was waited for in vain
**
** What nobody let go of in time says who has it: the conversation is over by then, and
** one question more on the same connection costs nothing. Of others' sessions a role
** sees what the server lets it see.
*/

#include <string.h>

#include "stdlib/pg/pg.h"

#define LOCKED "55P03"

/* locks that keep out somebody who looks or plans; those of the statement's own tables
** first. Of its statement only the first words, and none from the
** first value on. */
static const char holders[] =
  "SELECT l.pid, coalesce(a.usename, '?'), l.mode || ' on ' || l.relation::regclass,"
  "       to_char(a.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS'),"
  "       left(rtrim((regexp_match(regexp_replace(a.query, '\\s+', ' ', 'g'),"
  "                                '^(?:[^''$=(< ]+ ?){1,8}'))[1]), 80),"
  "       mine.oid IS NOT NULL, l.granted"
  "  FROM pg_catalog.pg_locks l"
  "  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
  "  LEFT JOIN (SELECT DISTINCT to_regclass(name)::oid FROM unnest($1::text[]) AS t(name))"
  "    AS mine(oid) ON mine.oid = l.relation"
  " WHERE l.locktype = 'relation' AND l.relation >= 16384 AND l.pid <> pg_backend_pid()"
  "   AND l.database = (SELECT oid FROM pg_catalog.pg_database"
  "                      WHERE datname = current_database())"
  "   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"
  "                  'AccessExclusiveLock')"
  " ORDER BY mine.oid IS NOT NULL DESC, l.mode = 'AccessExclusiveLock' DESC,"
  "          l.granted DESC, a.xact_start LIMIT 1";

enum { PID, USER, LOCK, SINCE, QUERY, MINE, GRANTED };

/* [-0, +1, m]  "pid 12 holds it (user kim, since 22:10:05 UTC, ...)", or "" */
static const char *pushholder (lua_State *L, const rb_PgCall *c, int i) {
  const char *pid = rb_pg_field(c, i, 0, PID), *since = rb_pg_field(c, i, 0, SINCE);
  const char *query = rb_pg_field(c, i, 0, QUERY);
  if (pid == NULL) return lua_pushliteral(L, "");
  lua_pushfstring(L, "pid %s %s it (user %s, ", pid,
                  !rb_pg_true(c, i, 0, MINE) ? "may hold"
                  : rb_pg_true(c, i, 0, GRANTED) ? "holds" : "is first to wait for",
                  rb_pg_field(c, i, 0, USER));
  if (since != NULL) lua_pushfstring(L, "since %s UTC, ", since);
  else lua_pushliteral(L, "");
  lua_pushstring(L, rb_pg_field(c, i, 0, LOCK));
  if (query != NULL && *query != '\0') lua_pushfstring(L, ", last: %s)", query);
  else lua_pushliteral(L, ")");
  lua_concat(L, 4);
  return lua_tostring(L, -1);
}

static int told (lua_State *L, int status, lua_KContext ctx) {
  rb_PgCall *c = (rb_PgCall *)ctx;
  (void)status;
  return rb_pg_fail(L, c, c->locked, pushholder(L, c, c->sent - 1));
}

/* A row bears the number of the transaction that locked it, also when that is long over;
** one that goes on holds a lock on its own number. (Where several share a row it bears a
** number of another kind, and they are not found.) */
static const char lockers[] =
  "SELECT l.pid, coalesce(a.usename, '?'),"
  "       to_char(a.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS'),"
  "       left(rtrim((regexp_match(regexp_replace(a.query, '\\s+', ' ', 'g'),"
  "                                '^(?:[^''$=(< ]+ ?){1,8}'))[1]), 80)"
  "  FROM pg_catalog.pg_locks l"
  "  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
  " WHERE l.locktype = 'transactionid' AND l.granted AND l.pid <> pg_backend_pid()"
  "   AND l.transactionid::text = ANY ($1::text[]) ORDER BY a.xact_start LIMIT 1";

void rb_pg_sendlockers (lua_State *L, rb_PgCall *c, const char *xids) {
  const char *values[] = {xids};
  rb_pg_send(L, c, lockers, 1, NULL, values);
  rb_pg_sync(L, c);
}

const char *rb_pg_pushlocker (lua_State *L, const rb_PgCall *c) {
  int i = c->sent - 1;
  const char *pid = rb_pg_field(c, i, 0, 0), *since = rb_pg_field(c, i, 0, 2);
  const char *query = rb_pg_field(c, i, 0, 3);
  if (pid == NULL) {
    lua_pushnil(L);
    return NULL;
  }
  lua_pushfstring(L, "pid %s (user %s", pid, rb_pg_field(c, i, 0, 1));
  if (since != NULL) lua_pushfstring(L, ", since %s UTC", since);
  else lua_pushliteral(L, "");
  if (query != NULL && *query != '\0') lua_pushfstring(L, ", last: %s)", query);
  else lua_pushliteral(L, ")");
  lua_concat(L, 3);
  return lua_tostring(L, -1);
}

int rb_pg_islocked (const rb_PgCall *c) {
  if (c->locked != NULL || !c->stated || c->owner != NULL || c->committing
      || c->partial) return -1;
  for (int i = 0; i < c->sent; i++) {
    const char *state = c->answers[i] == NULL ? NULL
                      : PQresultErrorField(c->answers[i], PG_DIAG_SQLSTATE);
    if (state != NULL && strcmp(state, LOCKED) == 0) return i;
  }
  return -1;
}

int rb_pg_askholder (lua_State *L, rb_PgCall *c, int i) {
  c->locked = c->answers[i];
  c->answers[i] = NULL;
  rb_pg_forget(c);
  const rb_PgStatement *st = lua_touserdata(L, STATEMENT);
  if (PQtransactionStatus(c->conn->pg) != PQTRANS_IDLE)
    rb_pg_send(L, c, "ROLLBACK", 0, NULL, NULL);
  rb_pg_tables(L, st->tree);
  rb_pg_totext(L, c, "tables");
  const char *values[] = {lua_tostring(L, -1)};
  rb_pg_send(L, c, holders, 1, NULL, values);
  rb_pg_sync(L, c);
  return rb_pg_await(L, c, told);
}
