/*
** check.c - runbook check FILE...: what is wrong, without running anything
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <lauxlib.h>

#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/run/known.h"
#include "vm/run/outline.h"
#include "vm/run/rules.h"
#include "vm/run/server.h"
#include "vm/show/show.h"

typedef struct Options {
  int json;
  int server;
  const char *format, *target, *config;
} Options;

static const rb_Option options[] = {
  {"format", 0, RB_VALUE, "text|json|sarif", "how findings are printed",
   offsetof(Options, format)},
  {"json", 0, RB_SWITCH, NULL, "the same as --format json",
   offsetof(Options, json)},
  {"server", 0, RB_SWITCH, NULL, "show SQL to the target's servers, which read it and run none",
   offsetof(Options, server)},
  {"target", 't', RB_VALUE, "TARGET", "whose names are checked (default: the configuration's)",
   offsetof(Options, target)},
  {"config", 0, RB_VALUE, "FILE", "the configuration whose names are checked",
   offsetof(Options, config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_check = {
  .name = "check", .takes = "FILE|NAME...",
  .summary = "find what is wrong with a runbook, without running anything",
  .about = "Finds mistakes of shape (unknown fields, wrong types, steps without a body);\n"
           "names that nobody defines: in the code, in texts and SQL, of roles, systems,\n"
           "settings, primitives and options; a probe that changes something; a change that\n"
           "nothing looks at afterwards, or that cannot be taken back and does not say so;\n"
           "SQL put together from texts; secrets. Exits 2 on a syntax error, 1 on other\n"
           "findings. With --server PostgreSQL reads the SQL that is known in full, too:\n"
           "tables, columns, functions, types. A server that does not answer is named once,\n"
           "and no finding.",
  .example = "runbook check runbooks/*/*.lua",
  .options = options, .min = 1, .max = -1, .main = rb_cmd_check
};

typedef enum Format { TEXT, JSON, SARIF } Format;

typedef struct Check {
  rb_Around around;
  Format format;
  const char *file;            /* under way */
  json_t *files, *faults;      /* of all, of this one; NULL for text */
  json_t *unasked;             /* what the servers that did not answer say */
  int exit;
} Check;

/* -- one file -------------------------------------------------------------- */

/* the name stands before the message already */
static const char *words (const rb_Fault *f) {
  static const char start[] = "cannot read ";
  const char *why = f->message, *name = why + sizeof start - 1;
  size_t n = strlen(f->file);
  int twice = strncmp(why, start, sizeof start - 1) == 0
              && strncmp(name, f->file, n) == 0 && strncmp(name + n, ": ", 2) == 0;
  return twice ? name + n + 2 : why;
}

static void tell (void *ud, const rb_Fault *f) {
  Check *c = ud;
  if (strcmp(f->rule, "unasked") == 0) {
    json_array_append_new(c->unasked, json_string(f->message));
    fprintf(stderr, "%s\n", f->message);
  } else if (c->format != TEXT)
    json_array_append_new(c->faults, json_pack("{s:s, s:s, s:i, s:s}", "file",
        f->file, "rule", f->rule, "line", f->line, "message", words(f)));
  else if (f->line > 0) printf("%s:%d: %s\n", f->file, f->line, words(f));
  else printf("%s: %s\n", f->file, words(f));
}

static int rules (lua_State *L) {
  Check *c = lua_touserdata(L, 1);
  int exit = rb_rules(L, c->file, &c->around, tell, c);
  if (exit > c->exit) c->exit = exit;
  if (exit == 0 && c->format == TEXT && !rb_server_interrupted(c->around.server))
    printf("%s: ok\n", c->file);
  return 0;
}

/* a file as it was given, or a runbook's name */
static void checkone (Check *c, const char *name) {
  char path[PATH_MAX];
  rb_Problem p = {0};
  fflush(stdout);  /* a file that does not stop loading ends us */
  c->file = name;
  c->faults = c->format != TEXT ? json_array() : NULL;
  if (strchr(name, '/') == NULL && strstr(name, ".lua") == NULL) {
    if (rb_config_find(c->around.config, name, path, sizeof path, &p) == 0)
      c->file = path;
  }
  if (p.exit == 0) rb_words_call(rules, c, &p);
  if (p.exit != 0) {
    c->exit = RB_USAGE;
    tell(c, &(rb_Fault){name, 0, p.kind, p.message});
  }
  if (c->format == TEXT) return;
  json_array_append_new(c->files, json_pack("{s:s, s:b, s:o}", "file", c->file,
      "ok", json_array_size(c->faults) == 0, "findings", c->faults));
}

/* -- documents ------------------------------------------------------------- */

static json_t *sarifresult (const json_t *fault) {
  int line = (int)json_integer_value(json_object_get(fault, "line"));
  return json_pack("{s:s, s:s, s:{s:s}, s:[{s:{s:{s:s}, s:{s:i}}}]}",
      "ruleId", json_string_value(json_object_get(fault, "rule")),
      "level", "error", "message",
      "text", json_string_value(json_object_get(fault, "message")),
      "locations", "physicalLocation", "artifactLocation",
      "uri", json_string_value(json_object_get(fault, "file")),
      "region", "startLine", line > 0 ? line : 1);
}

/* the format that code hosts show beside the lines of a change */
static json_t *sarif (const json_t *files) {
  json_t *results = json_array(), *file, *fault;
  size_t i, k;
  json_array_foreach(files, i, file)
    json_array_foreach(json_object_get(file, "findings"), k, fault)
      json_array_append_new(results, sarifresult(fault));
  return json_pack("{s:s, s:s, s:[{s:{s:{s:s, s:s}}, s:o}]}", "$schema",
      "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0",
      "runs", "tool", "driver", "name", "runbook", "version", RB_VERSION,
      "results", results);
}

static int printdocument (const Check *c) {
  json_t *doc = c->format == SARIF ? sarif(c->files)
      : json_pack("{s:i, s:O, s:O}", "exit", c->exit, "files", c->files, "unasked", c->unasked);
  char *s = doc != NULL ? json_dumps(doc, JSON_INDENT(2)) : NULL;
  json_decref(doc);
  if (s == NULL) return RB_USAGE;
  puts(s);
  free(s);
  return c->exit;
}

/* -- the command ----------------------------------------------------------- */

static int readformat (const Options *o, Format *format, rb_Problem *p) {
  static const char *const names[] = {"text", "json", "sarif", NULL};
  *format = o->json ? JSON : TEXT;
  if (o->format == NULL) return 0;
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], o->format) == 0) {
      *format = (Format)i;
      return 0;
    }
  return rb_problem(p, RB_USAGE, "usage", "--format takes text, json or sarif, "
                    "not '%s'", o->format);
}

/* The target, where it can be opened: what it takes from the environment need not be there
** to check a file, but has to be for a target that is named, or asked. */
static int opentarget (Check *c, const Options *o, rb_Problem *p) {
  rb_Problem quiet = {0};
  rb_Around *a = &c->around;
  int wanted = o->target != NULL || o->server;
  if (rb_config_file(a->config) == NULL && wanted)
    return rb_problem(p, RB_USAGE, "usage", "--server and --target need a configuration: write "
                      "./runbook.config.lua, or give --config");
  if (rb_config_file(a->config) != NULL)
    a->target = rb_config_open(a->config, o->target, wanted ? p : &quiet);
  if (wanted && a->target == NULL) return p->exit;
  if (o->server && (a->server = rb_server_open(a->config, a->target)) == NULL)
    return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  return 0;
}

int rb_cmd_check (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  Check c = {0};
  int status = rb_options_read(&rb_command_check, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_Config *config = c.around.config = rb_config_load(o.config, &p);
  if (config == NULL || readformat(&o, &c.format, &p) != 0 || opentarget(&c, &o, &p) != 0) {
    rb_show_problem(&p, o.json);
    c.exit = p.exit;
  }
  else {
    c.unasked = json_array();
    c.files = c.format != TEXT ? json_array() : NULL;
    for (int i = 0; i < a.n && c.exit != RB_INTERRUPTED; i++) {
      checkone(&c, a.words[i]);
      if (rb_server_interrupted(c.around.server)) c.exit = RB_INTERRUPTED;
    }
    if (c.format != TEXT) c.exit = printdocument(&c);
    json_decref(c.files);
    json_decref(c.unasked);
  }
  rb_server_close(c.around.server);
  rb_known_free();
  rb_config_free(config);
  rb_options_free(&a);
  return c.exit;
}
