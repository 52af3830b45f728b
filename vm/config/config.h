/*
** config.h - configuration, targets, systems, secrets
**
** The file is Lua, evaluated with nothing but env "NAME" and secret "NAME",
** in a small state of its own. Everything in it is checked when it is
** loaded; the environment is asked only for the target that is used.
*/

#ifndef rb_config_h
#define rb_config_h

#include <stddef.h>

#include <lua.h>

#include "vm/problem.h"

typedef struct rb_Config rb_Config;
typedef struct rb_Target rb_Target;

/* Looks where section 6 of the design says (file NULL: --config not given). No
** file at all is not a problem: a configuration without targets. Refuses
** ./runbook.config.lua of another user or writable by others. */
rb_Config *rb_config_load (const char *file, rb_Problem *p);
void rb_config_free (rb_Config *c);

const char *rb_config_file (const rb_Config *c);  /* NULL: none was found */

/* The folders of `runbooks`, absolute, NULL-terminated; where the configuration has
** no such key, or there is none: PREFIX/share/runbook/runbooks, if it is there. */
const char *const *rb_config_runbooks (const rb_Config *c);

/* The folder of locks that several people share, malloc'ed; NULL: none is named. */
char *rb_config_locks (const rb_Config *c);

/* Names of all targets; NULL-terminated, sorted. */
const char *const *rb_config_targets (const rb_Config *c);

/* Who holds a role: NULL-terminated list, or NULL for an unknown role. */
const char *const *rb_config_role (const rb_Config *c, const char *role);

/* Opens a target (name NULL: the configuration's `target`): environment and
** secrets are resolved, secrets and the passwords of URLs are registered for
** redaction. NULL and *p otherwise. It lives as long as c. */
rb_Target *rb_config_open (rb_Config *c, const char *name, rb_Problem *p);

/* Names of secrets, in the targets that were opened, that are too short to be
** redacted; NULL-terminated. */
const char *const *rb_config_weaksecrets (const rb_Config *c);

const char *rb_target_name (const rb_Target *t);
const char *rb_target_kind (const rb_Target *t);  /* "sandbox", "staging", "production" */

/* Names of systems, and of the resources of one (kinds: "http", "pg", ...);
** NULL-terminated, sorted; NULL for an unknown system. */
const char *const *rb_target_systems (const rb_Target *t);
const char *const *rb_target_resources (const rb_Target *t, const char *system);

/* [-0, +1, m]  Pushes onto another state L a copy of a resource's setting
** (a resource that is only a URL or path is {url = ...}; dotenv, log and
** backup: {path = ...}), a part of the system (settings, schema, as tables),
** or of the target (defaults, allow, limits, notify); nil where there is
** none. Secrets are copied by 'pushsecret' (name, text), which pushes one
** value. */
typedef void (*rb_PushSecret) (lua_State *L, const char *name,
                               const char *text, size_t len);
void rb_target_resource (const rb_Target *t, lua_State *L, const char *system,
                         const char *kind, const char *key,
                         rb_PushSecret push);
void rb_target_system (const rb_Target *t, lua_State *L, const char *system,
                       const char *part, rb_PushSecret push);
void rb_target_part (const rb_Target *t, lua_State *L, const char *part,
                     rb_PushSecret push);

/* From now on that setting of a resource ("url", where it is only a URL) is this text. 0:
** out of memory. */
int rb_target_reroute (rb_Target *t, const char *system, const char *kind, const char *key,
                       const char *url);

/* The target's allow-list: is 'value' in it? ("files": 'value' is below one of
** the folders; "programs": equal, or equal to the last part of the path when
** the list has no slash; "hosts": equal.) A system's own resources are
** asked by the modules, not here. */
int rb_target_allows (const rb_Target *t, const char *list, const char *value);
/* Does a URL of one of its systems name that host? */
int rb_target_owns (const rb_Target *t, const char *host);

/* The target's limit of that name, or -1. Known names: pg_rows,
** pg_rows_statement, redis_keys, http_writes, files, commands, notices. */
long long rb_target_limit (const rb_Target *t, const char *name);
extern const char *const rb_limitnames[];

/* Name look-up of section 5: as given, with ".lua", then in each runbooks
** folder and its subfolders. 0 and the absolute path, or a problem: unknown
** (the nearest suggested) or ambiguous (candidates listed). */
int rb_config_find (const rb_Config *c, const char *name, char *path,
                    size_t size, rb_Problem *p);

/* 1: schema.lua, NAME_parts.lua, or NAME_test.lua beside NAME.lua, which stand
** beside runbooks and are none. */
int rb_config_companion (const char *path);

/* Every runbook file (no companion) in the folders, sorted: calls 'each' with
** the absolute path. */
int rb_config_each (const rb_Config *c,
                    int (*each) (void *ud, const char *path), void *ud,
                    rb_Problem *p);

#endif
