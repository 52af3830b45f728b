/*
** doctor.c - `runbook doctor`: is everything here that a run will need?
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/redact.h"
#include "vm/run/doctor.h"
#include "vm/show/show.h"
#include "vm/tape/tape.h"

typedef struct Options {
  int json;
  const char *target, *config;
} Options;

static const rb_Option options[] = {
  {"target", 't', RB_VALUE, "TARGET", "the target to look at (default: the "
   "configuration's)", offsetof(Options, target)},
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(Options, json)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)",
   offsetof(Options, config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_doctor = {
  .name = "doctor", .takes = "",
  .summary = "look whether everything is here that a run will need",
  .about = "Looks at the configuration, the environment of each target, the tape, the\n"
           "kernel and every resource of the target; changes nothing. Each line that\n"
           "is not ok says how to mend it. Exit code 1 when one is bad.",
  .example = "runbook doctor --target staging",
  .options = options, .max = 0, .main = rb_cmd_doctor
};

/* -- rows ------------------------------------------------------------------ */

typedef struct Rows {
  json_t *list;    /* {about, name, status, value, mend} */
  int bad, warned;
} Rows;

/* NULL or "": nothing; the texts are redacted here */
static json_t *text (const char *s) {
  rb_Buffer b = {0};
  if (s == NULL || *s == '\0') return json_null();
  rb_redact(&b, s, strlen(s));
  json_t *j = json_stringn(b.s != NULL ? b.s : "", b.n);
  rb_buffer_free(&b);
  return j != NULL ? j : json_string("(not UTF-8)");
}

static int add (void *ud, const char *about, const char *name, const char *status,
                const char *value, const char *mend) {
  Rows *rows = ud;
  int ok = strcmp(status, "ok") == 0;
  if (strcmp(status, "bad") == 0) rows->bad++;
  else if (!ok) rows->warned++;
  json_array_append_new(rows->list, json_pack("{s:o, s:o, s:s, s:o, s:o}",
      "about", text(about), "name", text(name), "status", status,
      "value", text(value), "mend", ok ? json_null() : text(mend)));
  return 0;
}

/* -- what is looked at ------------------------------------------------------ */

static void lookconfig (Rows *rows, const rb_Config *c) {
  const char *file = rb_config_file(c);
  struct stat st;
  if (file == NULL) {
    add(rows, "configuration", "file", "warn", "none was found", "write "
        "./runbook.config.lua, or name one with --config or RUNBOOK_CONFIG");
    return;
  }
  add(rows, "configuration", "file", "ok", file, NULL);
  if (stat(file, &st) != 0) return;
  if (st.st_uid != getuid() && st.st_uid != 0)
    add(rows, "configuration", "owner", "warn", "another user", "it decides what "
        "is run in your name: it should belong to you or root");
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    add(rows, "configuration", "mode", "bad", "others may write it",
        "chmod go-w on it");
  else if ((st.st_mode & S_IROTH) != 0)
    add(rows, "configuration", "mode", "warn", "everybody may read it", getuid() == st.st_uid
        ? "fine while it holds no password; else chmod 600" : "fine while it holds no "
        "password; else its owner should take that away (chmod o-r), with a group for those "
        "who use it");
  else add(rows, "configuration", "mode", "ok", "written by its owner alone", NULL);
}

static void lookfolders (Rows *rows, const rb_Config *c) {
  for (const char *const *f = rb_config_runbooks(c); *f != NULL; f++) {
    int found = access(*f, R_OK | X_OK) == 0;
    add(rows, "runbooks", "folder", found ? "ok" : "bad", *f, "`runbooks` in the "
        "configuration names a folder that is not there or cannot be read");
  }
}

/* the environment of each target; the wanted one is left open in *t */
static void looktargets (Rows *rows, rb_Config *c, const char *wanted, rb_Target **t) {
  rb_Problem p = {0};
  *t = rb_config_open(c, wanted, &p);
  if (*t == NULL) add(rows, "target", wanted, "bad", p.message, "set what is missing, "
                      "or choose another --target");
  else add(rows, "target", rb_target_name(*t), "ok", rb_target_kind(*t), NULL);
  for (const char *const *name = rb_config_targets(c); *name != NULL; name++) {
    if (*t != NULL && strcmp(*name, rb_target_name(*t)) == 0) continue;
    rb_Problem other = {0};
    rb_Target *o = rb_config_open(c, *name, &other);
    if (o == NULL && strcmp(other.message, p.message) == 0) continue;  /* the same */
    if (o != NULL) add(rows, "target", *name, "ok", rb_target_kind(o), NULL);
    else add(rows, "target", *name, "warn", other.message, "needed only when this "
             "target is used");
  }
  for (const char *const *weak = rb_config_weaksecrets(c); *weak != NULL; weak++)
    add(rows, "secret", *weak, "warn", "shorter than 6 bytes", "it cannot be taken out "
        "of what is shown: make it longer");
}

static void looktape (Rows *rows) {
  char file[4096];
  rb_Problem p = {0};
  if (!rb_tape_file(file, sizeof file)) {
    add(rows, "tape", "file", "bad", "there is no place for it", "set HOME or "
        "XDG_STATE_HOME");
    return;
  }
  if (rb_tape_look(file, &p) != 0)
    add(rows, "tape", "file", "bad", p.message, "the message says what to do; nothing can be "
        "run until then");
  else add(rows, "tape", "file", "ok", access(file, F_OK) == 0 ? file
           : "made by the first run", NULL);
}

static void lookkernel (Rows *rows) {
  const char *why = NULL;
  int holds = rb_doctor_kernel(&why);
  add(rows, "kernel", "layer", holds ? "ok" : "warn",
      holds ? "probe commands run behind Landlock and seccomp" : why,
      "dry runs do not claim this layer here; a kernel from 5.13 on with Landlock has it");
}

static void look (Rows *rows, rb_Config *c, const char *wanted) {
  rb_Problem p = {0};
  rb_Target *t;
  lookconfig(rows, c);
  lookfolders(rows, c);
  looktargets(rows, c, wanted, &t);
  looktape(rows);
  lookkernel(rows);
  if (t != NULL && rb_doctor_resources(c, t, add, rows, &p) != 0)
    add(rows, "resources", NULL, "bad", p.message, "not all of them were looked at");
}

/* -- printing --------------------------------------------------------------- */

static const char *of (json_t *row, const char *key) {
  const char *s = json_string_value(json_object_get(row, key));
  return s != NULL ? s : "";
}

/* texts come from configurations and servers: no control characters but newlines,
** which are indented */
static void printtext (const char *s, int indent) {
  for (; *s != '\0'; s++) {
    if (*s == '\n') printf("\n%*s", indent, "");
    else putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
  }
  putchar('\n');
}

static void print (const Rows *rows) {
  size_t i;
  json_t *row;
  int width = 0;
  json_array_foreach(rows->list, i, row) {
    int n = (int)(strlen(of(row, "about")) + strlen(of(row, "name"))) + 1;
    if (n > width) width = n;
  }
  json_array_foreach(rows->list, i, row) {
    char label[300];
    snprintf(label, sizeof label, "%s %s", of(row, "about"), of(row, "name"));
    printf("%-4s  %-*s  ", of(row, "status"), width, label);
    printtext(of(row, "value"), width + 8);
    if (*of(row, "mend") == '\0') continue;
    printf("%*s-> ", width + 8, "");
    printtext(of(row, "mend"), width + 11);
  }
  printf("%d bad, %d to look at\n", rows->bad, rows->warned);
}

static void printjson (const Rows *rows, int exit) {
  json_t *doc = json_pack("{s:O, s:i, s:n}", "rows", rows->list, "exit", exit, "error");
  json_dumpf(doc, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(doc);
}

int rb_cmd_doctor (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_doctor, argc, argv, &o, &a);
  if (status != 0) return status;
  Rows rows = {.list = json_array()};
  rb_Config *c = rb_config_load(o.config, &p);
  if (c != NULL) {
    look(&rows, c, o.target);
    status = rows.bad > 0 ? RB_FAILED : RB_DONE;
    if (o.json) printjson(&rows, status);
    else print(&rows);
  } else {
    status = p.exit;
    rb_show_problem(&p, o.json);
  }
  json_decref(rows.list);
  rb_config_free(c);
  rb_redact_free();
  rb_options_free(&a);
  return status;
}
