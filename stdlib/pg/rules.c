/*
** rules.c - what may be sent: statements by kind, functions by name
**
** A READ ONLY transaction does not stop everything: these functions signal
** processes, write files, take locks that outlive the transaction, use up
** numbers or run SQL of their own. They are refused wherever they stand,
** with or without a schema. What users define themselves is held by the
** probe's role, not by this list.
*/

#include <stdio.h>
#include <string.h>

#include "stdlib/pg/pg.h"

/* -- functions ------------------------------------------------------------ */

/* 'outside': a ROLLBACK does not take it back */
typedef struct Function { const char *name; int outside; } Function;

static const Function functions[] = {
  {"autoprewarm_dump_now", 1}, {"autoprewarm_start_worker", 1},
  {"brin_desummarize_range", 0}, {"brin_summarize_new_values", 0},
  {"brin_summarize_range", 0}, {"connectby", 0}, {"currval", 0},
  {"gin_clean_pending_list", 0}, {"http", 1}, {"http_delete", 1},
  {"http_patch", 1}, {"http_post", 1}, {"http_put", 1}, {"lastval", 0},
  {"loread", 0}, {"lowrite", 0}, {"nextval", 0}, {"pg_backup_start", 1},
  {"pg_backup_stop", 1}, {"pg_cancel_backend", 1},
  {"pg_copy_logical_replication_slot", 1},
  {"pg_copy_physical_replication_slot", 1},
  {"pg_create_logical_replication_slot", 1},
  {"pg_create_physical_replication_slot", 1}, {"pg_create_restore_point", 1},
  {"pg_current_xact_id", 0}, {"pg_drop_replication_slot", 1},
  {"pg_export_snapshot", 0}, {"pg_import_system_collations", 0},
  {"pg_log_backend_memory_contexts", 1}, {"pg_log_standby_snapshot", 1},
  {"pg_logical_emit_message", 1}, {"pg_logical_slot_get_binary_changes", 1},
  {"pg_logical_slot_get_changes", 1}, {"pg_nextoid", 0}, {"pg_notify", 0},
  {"pg_promote", 1}, {"pg_reload_conf", 1},
  {"pg_replication_slot_advance", 1}, {"pg_rotate_logfile", 1},
  {"pg_rotate_logfile_old", 1}, {"pg_start_backup", 1}, {"pg_stat_file", 0},
  {"pg_stat_force_next_flush", 0}, {"pg_stat_statements_reset", 1},
  {"pg_stop_backup", 1}, {"pg_switch_wal", 1}, {"pg_switch_xlog", 1},
  {"pg_terminate_backend", 1}, {"pg_truncate_visibility_map", 1},
  {"pg_wal_replay_pause", 1}, {"pg_wal_replay_resume", 1},
  {"set_config", 0}, {"setval", 1}, {"ts_rewrite", 0}, {"ts_stat", 0},
  {"txid_current", 0}, {"xpath_table", 0},
};

static const Function prefixes[] = {
  {"binary_upgrade_", 1}, {"crosstab", 0}, {"cursor_to_", 0}, {"database_to_xml", 0},
  {"dblink", 1},
  {"lo_", 0}, {"pg_advisory_", 1}, {"pg_background_", 1}, {"pg_clear_", 0},
  {"pg_file_", 1}, {"pg_ls_", 0}, {"pg_read_", 0},
  {"pg_replication_origin_", 1}, {"pg_restore_", 0}, {"pg_sleep", 0},
  {"pg_stat_reset", 1}, {"pg_sync_", 1}, {"pg_try_advisory_", 1},
  {"postgres_fdw_", 1}, {"query_to_", 0}, {"schema_to_xml", 0}, {"table_to_xml", 0},
};

static const Function *find (const char *name) {
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
    if (strcmp(name, functions[i].name) == 0) return &functions[i];
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
    if (strncmp(name, prefixes[i].name, strlen(prefixes[i].name)) == 0)
      return &prefixes[i];
  return NULL;
}

/* the last name of a list of name nodes, or NULL */
static const char *lastname (const json_t *list) {
  const json_t *last = json_array_get(list, json_array_size(list) - 1);
  return json_string_value(json_object_get(json_object_get(last, "String"),
                                           "sval"));
}

/* f(x) has another notation: (x).f */
const char *rb_pg_calledname (const char *key, const json_t *node) {
  if (strcmp(key, "FuncCall") == 0)
    return lastname(json_object_get(node, "funcname"));
  if (strcmp(key, "A_Indirection") == 0)
    return lastname(json_object_get(node, "indirection"));
  if (strcmp(key, "ColumnRef") == 0 &&
      json_array_size(json_object_get(node, "fields")) > 1)
    return lastname(json_object_get(node, "fields"));
  return NULL;
}

typedef struct Search {
  int outside;             /* only those that no ROLLBACK takes back */
  const char *found;
} Search;

static int visit (void *ud, const char *key, const json_t *node) {
  Search *s = ud;
  const char *name = rb_pg_calledname(key, node);
  const Function *f = name != NULL ? find(name) : NULL;
  if (f == NULL || f->outside < s->outside) return 0;
  s->found = name;
  return 1;
}

const char *rb_pg_sideeffect (const json_t *tree) {
  Search s = {0, NULL};
  rb_pg_walk(tree, visit, &s);
  return s.found;
}

static const char *outsider (const json_t *tree) {
  Search s = {1, NULL};
  rb_pg_walk(tree, visit, &s);
  return s.found;
}

/* -- kinds ---------------------------------------------------------------- */

/* what an exec refuses has words; 'within': it makes sense in a transaction */
typedef struct Kind {
  const char *kind, *verb, *why;
  int within;
} Kind;

static const char whole[] =
  "each exec is a transaction already; p:transaction(fn) joins several";
static const char session[] =
  "it lasts only as long as the connection, which is not the script's";

static const Kind kinds[] = {
  {"AlterTableStmt", "ALTER TABLE", NULL, 0},
  {"CallStmt", "CALL", NULL, 0},
  {"ClosePortalStmt", "CLOSE", session, 0},
  {"ConstraintsSetStmt", "SET CONSTRAINTS", whole, 1},
  {"CopyStmt", "COPY", "files and programs of the server are not ours, and "
   "data are not streamed; use INSERT, or backup", 0},
  {"CreateStmt", "CREATE TABLE", NULL, 0},
  {"CreateTableAsStmt", "CREATE TABLE AS", NULL, 0},
  {"DeallocateStmt", "DEALLOCATE", session, 0},
  {"DeclareCursorStmt", "DECLARE", session, 0},
  {"DeleteStmt", "DELETE", NULL, 0},
  {"DiscardStmt", "DISCARD", session, 0},
  {"DoStmt", "DO", NULL, 0},
  {"DropStmt", "DROP", NULL, 0},
  {"ExecuteStmt", "EXECUTE", session, 0},
  {"ExplainStmt", "EXPLAIN", "use p:explain", 0},
  {"FetchStmt", "FETCH", session, 0},
  {"IndexStmt", "CREATE INDEX", NULL, 0},
  {"InsertStmt", "INSERT", NULL, 0},
  {"ListenStmt", "LISTEN", session, 0},
  {"LoadStmt", "LOAD", session, 0},
  {"LockStmt", "LOCK", whole, 1},
  {"MergeStmt", "MERGE", NULL, 0},
  {"NotifyStmt", "NOTIFY", NULL, 0},
  {"PrepareStmt", "PREPARE", session, 0},
  {"RefreshMatViewStmt", "REFRESH MATERIALIZED VIEW", NULL, 0},
  {"ReindexStmt", "REINDEX", NULL, 0},
  {"RenameStmt", "RENAME", NULL, 0},
  {"SelectStmt", "SELECT", NULL, 0},
  {"TransactionStmt", "a transaction statement", whole, 0},
  {"TruncateStmt", "TRUNCATE", NULL, 0},
  {"UnlistenStmt", "UNLISTEN", session, 0},
  {"UpdateStmt", "UPDATE", NULL, 0},
  {"VacuumStmt", "VACUUM or ANALYZE", NULL, 0},
  {"VariableSetStmt", "SET", session, 1},
  {"VariableShowStmt", "SHOW", "use p:query", 0},
};

static const Kind *findkind (const char *kind) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kind, kinds[i].kind) == 0) return &kinds[i];
  return NULL;
}

const char *rb_pg_verb (const rb_PgStatement *st) {
  const Kind *k = findkind(st->kind);
  return k != NULL ? k->verb : "this kind of statement";
}

/* -- probes --------------------------------------------------------------- */

/* what makes more of a SELECT than reading, wherever it stands */
static const struct { const char *key, *what; } writes[] = {
  {"InsertStmt", "INSERT"}, {"UpdateStmt", "UPDATE"},
  {"DeleteStmt", "DELETE"}, {"MergeStmt", "MERGE"},
  {"intoClause", "SELECT INTO"}, {"LockingClause", "SELECT FOR UPDATE or SHARE"},
};

static int findwrite (void *ud, const char *key, const json_t *node) {
  const char **what = ud;
  (void)node;
  for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
    if (strcmp(key, writes[i].key) == 0) *what = writes[i].what;
  return *what != NULL;
}

static int analyzes (const json_t *explain) {
  const json_t *o;
  size_t i;
  json_array_foreach(json_object_get(explain, "options"), i, o) {
    const char *name = json_string_value(
      json_object_get(json_object_get(o, "DefElem"), "defname"));
    if (name != NULL && strcmp(name, "analyze") == 0) return 1;
  }
  return 0;
}

const char *rb_pg_writes (const json_t *tree) {
  const char *what = NULL;
  rb_pg_walk(tree, findwrite, &what);
  return what;
}

/* NULL where the statement only reads */
static const char *changes (const rb_PgStatement *st) {
  const char *what = rb_pg_writes(st->tree);
  if (what != NULL) return what;
  if (strcmp(st->kind, "SelectStmt") == 0) return NULL;
  if (strcmp(st->kind, "VariableShowStmt") == 0) return NULL;
  if (strcmp(st->kind, "ExplainStmt") != 0) return rb_pg_verb(st);
  if (analyzes(st->body)) return "EXPLAIN ANALYZE";
  const json_t *query = json_object_get(st->body, "query");
  return json_object_get(query, "SelectStmt") != NULL
    ? NULL : "EXPLAIN of anything but a SELECT";
}

const char *rb_pg_notprobe (const rb_PgStatement *st, char *why, size_t size) {
  const char *what = changes(st), *function = rb_pg_sideeffect(st->tree);
  if (what != NULL)
    snprintf(why, size, "%s is not for a probe, which only looks; use p:exec in "
             "a remedy", what);
  else if (function != NULL)
    snprintf(why, size, "%s() does more than look; use p:exec in a remedy",
             function);
  return what != NULL || function != NULL ? why : NULL;
}

/* -- execs ---------------------------------------------------------------- */

static int truth (const json_t *body, const char *key) {
  return json_is_true(json_object_get(body, key));
}

static int onwhole (const json_t *body) {
  const char *kind = json_string_value(json_object_get(body, "kind"));
  return kind != NULL && (strcmp(kind, "REINDEX_OBJECT_SCHEMA") == 0 ||
                          strcmp(kind, "REINDEX_OBJECT_SYSTEM") == 0 ||
                          strcmp(kind, "REINDEX_OBJECT_DATABASE") == 0);
}

static int concurrentoption (void *ud, const char *key, const json_t *node) {
  const char *name = json_string_value(json_object_get(node, "defname"));
  (void)ud;
  (void)key;
  return name != NULL && strcmp(name, "concurrently") == 0;
}

/* PostgreSQL itself refuses these inside a transaction */
static int standsalone (const rb_PgStatement *st) {
  static const char *const alone[] = {
    "AlterSystemStmt", "CreatedbStmt", "DropdbStmt", "CreateTableSpaceStmt",
    "DropTableSpaceStmt", "AlterSubscriptionStmt", "CreateSubscriptionStmt",
    "DropSubscriptionStmt", NULL
  };
  for (const char *const *a = alone; *a != NULL; a++)
    if (strcmp(st->kind, *a) == 0) return 1;
  if (strcmp(st->kind, "VacuumStmt") == 0) return truth(st->body, "is_vacuumcmd");
  if (strcmp(st->kind, "ReindexStmt") == 0)
    return onwhole(st->body) || rb_pg_walk(st->body, concurrentoption, NULL);
  return (strcmp(st->kind, "IndexStmt") == 0 ||
          strcmp(st->kind, "DropStmt") == 0) && truth(st->body, "concurrent");
}

static int hascall (void *ud, const char *key, const json_t *node) {
  (void)ud;
  (void)node;
  return strcmp(key, "FuncCall") == 0;
}

/* a SELECT that calls nothing and changes nothing */
static int onlyreads (const rb_PgStatement *st) {
  return changes(st) == NULL && rb_pg_sideeffect(st->tree) == NULL &&
         !rb_pg_walk(st->tree, hascall, NULL);
}

const char *rb_pg_notexec (const rb_PgStatement *st, int outside, int within,
                           char *why, size_t size) {
  const Kind *k = findkind(st->kind);
  const char *function = outsider(st->tree);
  const char *hint = within ? "use p:exec with { transaction = false }, outside "
    "p:transaction" : "add { transaction = false }";
  if (k != NULL && k->why != NULL && !(within && k->within))
    snprintf(why, size, "%s is not for p:exec: %s", k->verb, k->why);
  else if (onlyreads(st))
    snprintf(why, size, "this %s only looks; use p:query", rb_pg_verb(st));
  else if (!outside && standsalone(st))
    snprintf(why, size, "this %s cannot run inside a transaction; %s",
             rb_pg_verb(st), hint);
  else if (!outside && function != NULL)
    snprintf(why, size, "what %s() does, no rollback takes back; %s", function,
             hint);
  else return NULL;
  return why;
}
