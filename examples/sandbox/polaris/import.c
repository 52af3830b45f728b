/*
** import.c - the import of Pathful's export of virtual sessions
**
** Columns are found by their names in the contract, or by aliases.json, a map
** from a name in the export to the one in the contract. Without a required
** column nothing is imported; a row that is wrong is counted and left out.
*/

#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "polaris.h"

static const char *const required[] = {
  "Session ID", "Title", "Date", "Status", "User Auth Id", "Name", "SignUp Role", "School"
};

#define REQUIRED (sizeof required / sizeof *required)

static int isdate (const char *s) {
  int n = 0;
  for (const char *form = "dddd-dd-dd"; form[n] != '\0'; n++)
    if (form[n] == 'd' ? !isdigit((unsigned char)s[n]) : s[n] != '-') return 0;
  return s[n] == '\0';
}

/* the columns of the contract: name -> place in the sheet; by name first */
static json_t *columns_find (const App *app, const json_t *header) {
  json_t *aliases = json_load_file(erp_env(app, "ALIASES_FILE", "aliases.json"), 0, NULL);
  json_t *places = json_object();
  size_t i;
  json_t *each;
  json_array_foreach(header, i, each) {
    const char *name = json_string_value(each);
    const char *known = json_string_value(json_object_get(aliases, name));
    json_object_set_new(places, known ? known : name, json_integer((json_int_t)i));
  }
  json_decref(aliases);
  return places;
}

/* the names of required columns that are not there; "" when all are */
static void missing (const json_t *places, char *out, size_t size) {
  size_t n = 0;
  *out = '\0';
  for (size_t i = 0; i < REQUIRED && n < size; i++) {
    if (json_object_get(places, required[i])) continue;
    n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", required[i]);
  }
}

/* the row by name, or NULL when a required value is empty or the date is none */
static json_t *row_read (const json_t *places, const json_t *cells) {
  json_t *row = json_object();
  int good = 1;
  for (size_t i = 0; i < REQUIRED; i++) {
    json_int_t at = json_integer_value(json_object_get(places, required[i]));
    json_t *cell = json_array_get(cells, (size_t)at);
    const char *text = cell ? json_string_value(cell) : NULL;
    if (!text || *text == '\0') good = 0;
    else if (strcmp(required[i], "Date") == 0 && !isdate(text)) good = 0;
    json_object_set(row, required[i], cell);
  }
  if (good) return row;
  json_decref(row);
  return NULL;
}

static const char import_sql[] =
  "WITH r AS (SELECT DISTINCT ON (1, 2) x->>'Session ID' AS session, x->>'User Auth Id' AS who,"
  "  x->>'Title' AS title, (x->>'Date')::date AS held_on, x->>'Status' AS status,"
  "  x->>'Name' AS name, x->>'SignUp Role' AS role, x->>'School' AS school FROM jsonb_array_elements($1::jsonb) x),"
  " put AS (INSERT INTO virtual_session (session_id, user_auth_id, title, held_on, status, name,"
  "  role, school) SELECT session, who, title, held_on, status, name, role, school FROM r"
  "  ON CONFLICT (session_id, user_auth_id) DO UPDATE SET title = EXCLUDED.title,"
  "  held_on = EXCLUDED.held_on, status = EXCLUDED.status, name = EXCLUDED.name,"
  "  role = EXCLUDED.role, school = EXCLUDED.school),"
  " fresh AS (UPDATE sync_status SET last_status = 'ok', last_success_at = now(),"
  "  records = $4::int WHERE name = 'pathful' AND $5::text IS NULL)"
  " INSERT INTO virtual_session_import (file, rows, invalid_rows, status, error)"
  " VALUES ($2, $4::int + $3::int, $3::int,"
  "  CASE WHEN $5::text IS NULL THEN 'ok' ELSE 'failed' END, $5)"
  " RETURNING id, rows, invalid_rows, status, error";

static Reply record (const char *file, const json_t *rows, size_t invalid, const char *error) {
  char bad[24], good[24];
  char *text = json_dumps(rows, JSON_COMPACT);
  snprintf(bad, sizeof bad, "%zu", invalid);
  snprintf(good, sizeof good, "%zu", json_array_size(rows));
  const char *values[] = {text, file, bad, good, error};
  json_t *row = text ? erp_row(import_sql, 5, values) : NULL;
  free(text);
  if (!row) return erp_error(503, "database_unavailable", erp_db_why());
  erp_journal(error ? "warn" : "info", error ? "IMPORT_FAILED" : "IMPORTED",
              json_pack("{s:s, s:O}", "file", file, "import", row));
  return erp_reply(error ? 422 : 200, row);
}

Reply polaris_import (App *app, const char *file, const char *text) {
  char lacks[400], error[440];
  json_t *none = json_array(), *sheet = polaris_sheet(text);
  Reply reply;
  if (!sheet || json_array_size(sheet) == 0)
    reply = record(file, none, 0, sheet ? "the file is empty" : "a quote is never closed");
  else {
    json_t *places = columns_find(app, json_array_get(sheet, 0)), *rows = json_array();
    missing(places, lacks, sizeof lacks);
    snprintf(error, sizeof error, "missing required columns: %s", lacks);
    for (size_t i = 1; i < json_array_size(sheet) && !*lacks; i++) {
      json_t *row = row_read(places, json_array_get(sheet, i));
      if (row) json_array_append_new(rows, row);
    }
    size_t all = *lacks ? 0 : json_array_size(sheet) - 1;
    reply = record(file, rows, all - json_array_size(rows), *lacks ? error : NULL);
    json_decref(places);
    json_decref(rows);
  }
  json_decref(sheet);
  json_decref(none);
  return reply;
}

/* POST /virtual/import-sheet/FILE, the sheet as the body */
Reply polaris_import_sheet (App *app, const Request *r) {
  return polaris_import(app, r->segment[2], r->body);
}
