/*
** types.c - runbook types: everything that scripts can say, as annotations for an
** editor's language server (LuaCATS)
*/

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/cli/rows.h"
#include "vm/cli/types.h"
#include "vm/config/config.h"
#include "vm/run/shape.h"
#include "vm/show/show.h"

typedef struct Options { const char *folder; } Options;

static const rb_Option options[] = {
  {"output", 'o', RB_VALUE, "FOLDER", "the folder that the file goes to (default: the "
   "standard output)", offsetof(Options, folder)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_types = {
  .name = "types", .takes = "",
  .summary = "annotations for your editor: what scripts can call, with its arguments",
  .about = "Writes FOLDER/runbook.lua in the format of the Lua language server (LuaCATS), from\n"
           "the rows that the modules register: completion, hints and documentation for\n"
           "every word, primitive and method of `run`. `runbook new` makes a .luarc.json\n"
           "that names the folder.",
  .example = "runbook types -o .luatypes",
  .options = options, .max = 0, .main = rb_cmd_types
};

/* -- words ------------------------------------------------------------------- */

static const struct { const char *check, *type; } fieldtypes[] = {
  {"string", "string"}, {"id", "string"}, {"duration", "string"}, {"boolean", "boolean"},
  {"count", "integer"}, {"function", "fun(run: runbook.run): any"},
  {"text", "string | fun(run: runbook.run): string"},
  {"when", "\"asked\" | fun(run: runbook.run): any, string?"},
  {"roles", "string | string[]"},
  {"targets", "string | (\"sandbox\" | \"staging\" | \"production\")[]"},
  {"limits", "runbook.limits"}, {"params", "table<string, table>"},
  {"retry", "runbook.retry"}, {"outcome", "\"stop\" | \"continue\" | \"warn\""},
  {"asked", "\"asked\""}, {NULL, "any"}
};

static const char *fieldtype (const char *check) {
  int i = 0;
  while (fieldtypes[i].check != NULL && strcmp(fieldtypes[i].check, check) != 0) i++;
  return fieldtypes[i].type;
}

/* [-0, +0, m]  a word's table, of fields that none must have */
static void word (lua_State *L, rb_Buffer *b, const char *name) {
  rb_buffer_printf(b, "\n---@class runbook.%s\n", name);
  lua_getfield(L, LUA_REGISTRYINDEX, RB_WORDFIELDS);
  lua_getfield(L, -1, name);
  for (lua_Integer i = 1; lua_geti(L, -1, i) == LUA_TTABLE; i++) {
    for (int k = 1; k <= 3; k++) lua_geti(L, -k, k);
    rb_buffer_printf(b, "---@field %s? %s %s\n", lua_tostring(L, -3),
                     fieldtype(lua_tostring(L, -2)), lua_tostring(L, -1));
    lua_pop(L, 4);
  }
  lua_pop(L, 3);
  if (strcmp(name, "runbook") == 0 || strcmp(name, "case") == 0)
    rb_buffer_puts(b, "---@field [integer] runbook.item\n");
}

static void words (lua_State *L, rb_Buffer *b) {
  rb_buffer_puts(b, "\n---@class runbook.item\n\n---@class runbook.limits\n");
  for (int i = 0; rb_limitnames[i] != NULL; i++)
    rb_buffer_printf(b, "---@field %s? integer\n", rb_limitnames[i]);
  word(L, b, "retry");
  word(L, b, "step");
  word(L, b, "case");
  word(L, b, "runbook");
  rb_buffer_puts(b,
    "\n--- What the file returns: `return runbook { ... }`.\n---@param fields runbook.runbook\n"
    "---@return runbook.item\nfunction runbook(fields) end\n"
    "\n--- A step of a runbook or case: `step \"Its title\" { ... }`.\n---@param title string | "
    "fun(run: runbook.run): string\n---@return fun(fields: runbook.step): runbook.item\n"
    "function step(title) end\n"
    "\n--- One of several ways: `case \"isolate\" { when = ..., step ... }`.\n---@param id string\n"
    "---@return fun(fields: runbook.case): runbook.item\nfunction case(id) end\n"
    "\n--- The value, or the step fails in these words.\n---@generic T\n---@param value T\n"
    "---@param what? string\n---@return T\nfunction expect(value, what) end\n");
}

/* -- modules ------------------------------------------------------------------- */

static void row (void *ud, const rb_Row *row) {
  rb_Buffer *b = ud;
  char text[4096];
  static const char *const effects[] = {
    "pure", "probe", "remedy", "notice", "probe or remedy", "inside a transaction"
  };
  rb_sentence(rb_row_purpose(row), text, sizeof text);
  rb_buffer_puts(b, "\n");
  if (!rb_rows_isrun(row->module)) rb_buffer_printf(b, "--- *%s*  \n", effects[row->reg->effect]);
  rb_buffer_printf(b, "--- %s\n---\n", text);
  rb_row_signature(row, text, sizeof text);
  rb_buffer_printf(b, "---     %s\n", text);
  rb_types_function(row, b);
}

/* [-0, +0, m]  json.null and its like */
static void constants (lua_State *L, const rb_Module *m, rb_Buffer *b) {
  if (m->constants == NULL) return;
  lua_newtable(L);
  m->constants(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    rb_buffer_printf(b, "---@field %s any\n", lua_tostring(L, -2));
  lua_pop(L, 1);
}

/* the table that scripts see as the module's name, its resources, and its results */
static void module (lua_State *L, const rb_Module *m, rb_Buffer *b) {
  char text[1024];
  rb_sentence(m->doc != NULL ? m->doc : "", text, sizeof text);
  if (m->functions != NULL) {
    rb_buffer_printf(b, "\n--- %s\n---@class runbook.%slib\n", text, m->name);
    constants(L, m, b);
    rb_buffer_printf(b, "%s = {}\n", m->name);
  }
  if (m->methods != NULL || rb_rows_isrun(m))
    rb_buffer_printf(b, "\n--- %s\n---@class runbook.%s\n%slocal %s = {}\n", text, m->name,
                     rb_rows_isrun(m) ? "---@field id string\n---@field operator string\n"
                     "---@field started number\n---@field target string\n---@field answers "
                     "table<string, string>\n---@field done table\n---@field [string] any\n" : "",
                     m->name);
  for (const rb_Type *t = m->types; t != NULL && t->name != NULL; t++)
    rb_buffer_printf(b, "\n---@class runbook.%s\n---@field [string] any\nlocal %s = {}\n",
                     strchr(t->name, '.') + 1, strchr(t->name, '.') + 1);
  rb_rows_each(m, row, b);
}

static void system_ (lua_State *L, rb_Buffer *b) {
  const rb_Module *m;
  rb_buffer_puts(b, "\n--- A system of the configuration, as the target has it.\n"
                    "---@class runbook.system\n---@field settings table<string, any>\n"
                    "---@field schema table<string, any>\n");
  for (int i = 0; (m = rb_rows_module(L, i)) != NULL; i++)
    if (m->methods != NULL)
      rb_buffer_printf(b, "---@field %s runbook.%s %s\n", m->name, m->name,
                       m->doc != NULL ? m->doc : "");
  rb_buffer_puts(b, "\n---@param name string as the configuration calls it\n"
                    "---@return runbook.system\nfunction system(name) end\n");
}

static int annotations (lua_State *L) {
  rb_Buffer *b = lua_touserdata(L, 1);
  const rb_Module *m;
  rb_buffer_puts(b, "---@meta\n-- What runbooks can say, printed by `runbook types` of version "
                    RB_VERSION ".\n-- It is read by the editor, and never run.\n");
  words(L, b);
  system_(L, b);
  for (int i = 0; (m = rb_rows_module(L, i)) != NULL; i++) module(L, m, b);
  return 0;
}

/* -- the file ------------------------------------------------------------------- */

/* 0, or the exit code and *p */
static int writefile (const char *folder, const rb_Buffer *b, rb_Problem *p) {
  char path[PATH_MAX];
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return rb_problem(p, RB_USAGE, "usage", "cannot make the folder %s: %s", folder,
                      strerror(errno));
  snprintf(path, sizeof path, "%s/runbook.lua", folder);
  FILE *f = fopen(path, "w");
  int ok = f != NULL && fwrite(b->s, 1, b->n, f) == b->n;
  if (f != NULL && fclose(f) != 0) ok = 0;
  return ok ? 0 : rb_problem(p, RB_USAGE, "usage", "cannot write %s: %s", path,
                             strerror(errno));
}

int rb_types_write (const char *folder, rb_Problem *p) {
  rb_Buffer b = {0};
  int status = rb_words_call(annotations, &b, p);
  if (status == 0 && b.failed)
    status = rb_problem(p, RB_USAGE, "memory", "not enough memory");
  if (status == 0 && folder != NULL) status = writefile(folder, &b, p);
  else if (status == 0) fwrite(b.s, 1, b.n, stdout);
  rb_buffer_free(&b);
  return status;
}

int rb_cmd_types (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_types, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_options_free(&a);
  if (rb_types_write(o.folder, &p) != 0) rb_show_problem(&p, 0);
  else if (o.folder != NULL) printf("%s/runbook.lua\n", o.folder);
  return p.exit;
}
