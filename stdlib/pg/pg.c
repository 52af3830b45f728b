/*
** pg.c - PostgreSQL: look at it, and change it
*/

#include "stdlib/pg/pg.h"

static const rb_Reg methods[] = {
  {"query", RB_PROBE, rb_pg_query, NULL,
   "query(sql [, values [, {timeout=\"30s\"}]]) -> {row, ...} : all rows of a query, each "
   "{column = value}; :name in the SQL is a value of `values`, always bound, :\"name\" an "
   "identifier. A read-only transaction of its own; what is not SELECT, WITH, VALUES, "
   "TABLE, SHOW or EXPLAIN is refused. Integers and floats are numbers, json is a table, "
   "an array a list, null nil, a timestamptz text in UTC",
   NULL, NULL},
  {"row", RB_PROBE, rb_pg_row, NULL,
   "row(sql [, values [, {timeout=\"30s\"}]]) -> row | nil : the one row of a query; nil "
   "where there is none, and more than one is an error. Otherwise as pg:query",
   NULL, NULL},
  {"value", RB_PROBE, rb_pg_value, NULL,
   "value(sql [, values [, {timeout=\"30s\"}]]) -> value | nil : the one column of the "
   "one row of a query. Otherwise as pg:row",
   NULL, NULL},
  {"explain", RB_PROBE, rb_pg_explain, NULL,
   "explain(sql [, values]) -> string : how the server would run a statement, without "
   "running it",
   NULL, NULL},
  {"exec", RB_REMEDY, rb_pg_exec, rb_pg_execpreview,
   "exec(sql [, values] [, {rows=n|{min,max}, transaction=true, "
   "timeout=\"30s\"}]) -> {rows=n, returning={row, ...}} : one statement that "
   "changes something, in a transaction of its own (or in none with transaction=false: for "
   "what cannot be in one). `rows` is how many it may change: with another number it is "
   "rolled back. `returning` are the rows of RETURNING. The row limits of the run hold. Fails "
   "with \"drift\", not done, where it would change other rows than were looked at", NULL, NULL},
  {"transaction", RB_REMEDY, rb_pg_transaction, rb_pg_transactionpreview,
   "transaction(function (tx) ... end [, {timeout=\"30s\"}]) -> what the function returns "
   ": one effect of several statements, all of them or none: `tx:exec`, `tx:query`, "
   "`tx:row` and `tx:value`. An error inside rolls it back. In it only `tx` can be "
   "used", NULL, NULL},
  RB_END
};

static const rb_Reg statements[] = {
  {"exec", RB_WITHIN, rb_pg_txexec, NULL,
   "exec(sql [, values] [, {rows=n|{min,max}}]) -> {rows=n, returning={row, ...}} "
   ": a change inside the transaction", NULL, NULL},
  {"query", RB_WITHIN, rb_pg_txquery, NULL,
   "query(sql [, values]) -> {row, ...} : as it is inside the transaction",
   NULL, NULL},
  {"row", RB_WITHIN, rb_pg_txrow, NULL,
   "row(sql [, values]) -> row | nil : as it is inside the transaction",
   NULL, NULL},
  {"value", RB_WITHIN, rb_pg_txvalue, NULL,
   "value(sql [, values]) -> value | nil : as it is inside the transaction",
   NULL, NULL},
  RB_END
};

static const rb_Type types[] = {
  {"pg.transaction", statements},
  {NULL, NULL}
};

const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "pg",
  .doc = "a PostgreSQL database; SQL in psql's notation, values always bound",
  .methods = methods,
  .types = types,
  .close = rb_pg_close,
  .doctor = rb_pg_doctor,
  .identity = rb_pg_identity,
  .layer = rb_pg_layer,
  .holds = rb_pg_holds,
  .settle = rb_pg_settle,
  .lock = rb_pg_lock,
  .locked = rb_pg_locked,
  .ahead = rb_pg_ahead,
  .unahead = rb_pg_unahead,
  .read = rb_pg_read
};
