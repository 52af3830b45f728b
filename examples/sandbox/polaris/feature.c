/*
** feature.c - what is switched on and off, and how Polaris is
*/

#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "polaris.h"

static const char *const names[] = {"magic_link", "pathful_imports"};

#define NAMES (sizeof names / sizeof *names)

static int isfeature (const char *name) {
  for (size_t i = 0; i < NAMES; i++)
    if (strcmp(names[i], name) == 0) return 1;
  return 0;
}

static int says_off (const json_t *value) {
  const char *text = json_string_value(value);
  return text && strcmp(text, "off") == 0;
}

/* .env is read each time: a person who is in a hurry does not restart it first */
static int off_in_dotenv (const App *app, const char *name) {
  char key[64];
  size_t n = strlen(name);
  json_t *env = erp_dotenv(erp_env(app, "DOTENV_FILE", ".env"));
  if (!env) return 1;
  for (size_t i = 0; i <= n && i < sizeof key; i++)
    key[i] = (char)toupper((unsigned char)name[i]);
  int off = says_off(json_object_get(env, key));
  json_decref(env);
  return off;
}

static int off_in_redis (const char *name) {
  char key[80];
  const char *keys[] = {key};
  json_t *value = NULL;
  snprintf(key, sizeof key, "feature:%s", name);
  if (erp_redis_get(1, keys, &value) < 0) return 1;
  int off = says_off(value);
  json_decref(value);
  return off;
}

static int off_in_settings (const char *name) {
  const char *values[] = {name};
  json_t *row = erp_row("SELECT value FROM app_setting WHERE name = 'feature:' || $1",
                        1, values);
  if (!row) return 1;
  int off = says_off(json_object_get(row, "value"));
  json_decref(row);
  return off;
}

int polaris_feature (const App *app, const char *name) {
  return !off_in_dotenv(app, name) && !off_in_redis(name) && !off_in_settings(name);
}

Reply polaris_features (App *app, const Request *r) {
  json_t *all = json_object();
  (void)r;
  for (size_t i = 0; i < NAMES; i++)
    json_object_set_new(all, names[i], json_boolean(polaris_feature(app, names[i])));
  return erp_reply(200, all);
}

Reply polaris_feature_get (App *app, const Request *r) {
  const char *name = r->segment[1];
  if (!isfeature(name))
    return erp_error(404, "unknown_feature", "There is no such feature.");
  return erp_reply(200, json_pack("{s:s, s:b}", "feature", name, "enabled",
                                  polaris_feature(app, name)));
}

/* PUT /features/NAME { "enabled": true } */
Reply polaris_feature_put (App *app, const Request *r) {
  int enabled = 0;
  const char *name = r->segment[1];
  if (!isfeature(name))
    return erp_error(404, "unknown_feature", "There is no such feature.");
  json_t *body = json_loads(r->body, 0, NULL);
  int wrong = json_unpack(body, "{s:b}", "enabled", &enabled);
  json_decref(body);
  if (wrong) return erp_error(400, "bad_request", "{ \"enabled\": true or false }");
  const char *values[] = {name, enabled ? "on" : "off"};
  json_t *row = erp_row("INSERT INTO app_setting (name, value) VALUES ('feature:' || $1, $2)"
                        " ON CONFLICT (name) DO UPDATE SET value = $2 RETURNING value",
                        2, values);
  if (!row) return erp_error(503, "database_unavailable", erp_db_why());
  json_decref(row);
  erp_journal("info", "FEATURE", json_pack("{s:s, s:b}", "feature", name,
                                           "enabled", enabled));
  return erp_reply(200, json_pack("{s:s, s:b}", "feature", name, "enabled",
                                  polaris_feature(app, name)));
}

Reply polaris_health (App *app, const Request *r) {
  (void)r;
  return erp_reply(200, json_pack("{s:s, s:i, s:s}", "status", "ok", "pid", (int)getpid(),
                                  "instance", erp_env(app, "INSTANCE_TOKEN", "")));
}

/* what the mail provider says of itself */
Reply polaris_provider (App *app, const Request *r) {
  (void)app; (void)r;
  json_t *row = erp_row("SELECT coalesce(max(value) FILTER (WHERE name = 'provider:status'),"
    " 'up') AS status, max(value) FILTER (WHERE name = 'provider:detail') AS detail"
    " FROM app_setting", 0, NULL);
  if (!row) return erp_error(503, "database_unavailable", erp_db_why());
  return erp_reply(200, row);
}
