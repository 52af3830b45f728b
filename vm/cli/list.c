/*
** list.c - runbook list: what there is, the broken ones too
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <lauxlib.h>

#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/run/outline.h"
#include "vm/show/show.h"

typedef struct Options {
  int json;
  const char *config;
} Options;

static const rb_Option options[] = {
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {"config", 0, RB_VALUE, "FILE", "the configuration to use",
   offsetof(Options, config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_list = {
  .name = "list", .takes = "", .summary = "list the runbooks of the configuration",
  .about = "Looks through the folders that the configuration names as `runbooks`.\n"
           "A runbook that cannot be loaded is listed as broken.",
  .example = "runbook list\nrunbook list --json",
  .options = options, .min = 0, .max = 0, .main = rb_cmd_list
};

typedef struct List {
  json_t *rows;  /* {name, title, system, file, cases, error} */
  int broken;
} List;

/* -- one runbook ----------------------------------------------------------- */

static json_t *problemrow (const char *path, const rb_Problem *p) {
  const char *base = strrchr(path, '/');
  base = base != NULL ? base + 1 : path;
  return json_pack("{s:s%, s:n, s:n, s:s, s:[], s:{s:s, s:s, s:s, s:i}}", "name",
                   base, strcspn(base, "."), "title", "system", "file", path,
                   "cases", "error", "kind", p->kind, "message", p->message,
                   "file", p->file, "line", p->line);
}

static json_t *row (const rb_Outline *o) {
  json_t *cases = json_array();
  for (int i = 0; i < o->ncases; i++)
    json_array_append_new(cases, json_string(o->cases[i].id));
  return json_pack("{s:s, s:s, s:s?, s:s, s:o, s:n}", "name", o->name, "title",
                   o->title, "system", o->system, "file", o->file, "cases",
                   cases, "error");
}

typedef struct One {
  const char *path;
  json_t *row;
  rb_Problem p;
} One;

static int load (lua_State *L) {
  One *one = lua_touserdata(L, 1);
  rb_Outline o;
  if (rb_outline_load(L, one->path, &o, &one->p) != 0) return 0;
  one->row = row(&o);
  rb_outline_free(L, &o);
  return 0;
}

static int add (void *ud, const char *path) {
  List *list = ud;
  One one = {.path = path};
  rb_words_call(load, &one, &one.p);
  if (one.p.exit != 0) {
    json_decref(one.row);
    one.row = problemrow(path, &one.p);
    list->broken++;
  }
  json_array_append_new(list->rows, one.row);
  return 0;
}

/* -- the table ------------------------------------------------------------- */

static const char *textof (const json_t *row_, const char *key) {
  const char *s = json_string_value(json_object_get(row_, key));
  return s != NULL ? s : "-";
}

static int widest (const json_t *rows, const char *key, int least) {
  size_t i;
  json_t *r;
  json_array_foreach(rows, i, r) {
    int n = (int)strlen(textof(r, key));
    if (n > least) least = n;
  }
  return least;
}

static void printcases (const json_t *row_) {
  size_t i;
  json_t *id;
  json_array_foreach(json_object_get(row_, "cases"), i, id)
    printf("%s%s", i > 0 ? ", " : " (", json_string_value(id));
  puts(i > 0 ? ")" : "");
}

static void print (const json_t *rows) {
  int name = widest(rows, "name", 4), system = widest(rows, "system", 1);
  size_t i;
  json_t *r;
  json_array_foreach(rows, i, r) {
    const json_t *e = json_object_get(r, "error");
    printf("%-*s  %-*s  ", name, textof(r, "name"), system, textof(r, "system"));
    if (json_is_object(e)) {
      const char *message = textof(e, "message");
      printf("broken: %.*s\n", (int)strcspn(message, "\n"), message);
    }
    else {
      printf("%s", textof(r, "title"));
      printcases(r);
    }
  }
}

static void notes (const List *list, const rb_Config *config) {
  if (list->broken > 0)
    fprintf(stderr, "%d of %d cannot be loaded: runbook check FILE says what is "
            "wrong\n", list->broken, (int)json_array_size(list->rows));
  if (json_array_size(list->rows) > 0) return;
  if (rb_config_file(config) == NULL)
    fprintf(stderr, "there is no configuration: it names the folders of runbooks "
            "(runbook help config)\n");
  else
    fprintf(stderr, "there are no runbooks in the folders that %s names\n",
            rb_config_file(config));
}

static int printjson (const json_t *rows) {
  char *s = json_dumps(rows, JSON_INDENT(2));
  if (s == NULL) return RB_USAGE;
  puts(s);
  free(s);
  return RB_DONE;
}

int rb_cmd_list (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  List list = {0};
  int status = rb_options_read(&rb_command_list, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_Config *config = rb_config_load(o.config, &p);
  list.rows = json_array();
  if (config != NULL) rb_config_each(config, add, &list, &p);
  if (p.exit != 0) rb_show_problem(&p, o.json);
  else if (o.json) p.exit = printjson(list.rows);
  else {
    print(list.rows);
    notes(&list, config);
  }
  json_decref(list.rows);
  rb_config_free(config);
  rb_options_free(&a);
  return p.exit;
}
