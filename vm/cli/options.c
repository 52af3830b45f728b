/*
** options.c - reads a command's options by their rows
**
** As getopt_long does: "--name value", "--name=value", "-n", "-nvalue",
** letters of switches side by side, "--" ends the options, options and words
** in any order. Names are never abbreviated: half of --dry-run is a mistake.
*/

#include <stdlib.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/show/show.h"

#define MAXOPTIONS 62

typedef struct Reader {
  const rb_Command *command;
  char **argv;
  int argc, i;          /* argv[i] is the next to be read */
  char *into;
  const char **lists;   /* room for the words, then for each list */
  rb_Arguments *a;
  rb_Problem *p;
} Reader;

static const rb_Option none[] = {{NULL, 0, RB_SWITCH, NULL, NULL, 0}};

static const rb_Option *rows (const rb_Command *c) {
  return c->options != NULL ? c->options : none;
}

/* -- one option ------------------------------------------------------------ */

static int unknown (Reader *r, const char *name, size_t n) {
  const char *names[MAXOPTIONS + 2] = {"help"};
  char word[80];
  int k = 1;
  for (const rb_Option *o = rows(r->command); o->name != NULL && k < MAXOPTIONS; o++)
    names[k++] = o->name;
  if (n >= sizeof word) n = sizeof word - 1;
  memcpy(word, name, n);
  word[n] = '\0';
  const char *near = rb_nearest(word, names);
  if (near != NULL)
    return rb_problem(r->p, RB_USAGE, "usage", "%s has no option --%s (did you "
                      "mean --%s?)", r->command->name, word, near);
  return rb_problem(r->p, RB_USAGE, "usage", "%s has no option --%s (runbook help "
                    "%s lists them)", r->command->name, word, r->command->name);
}

/* the list of an option: its part of r->lists, which is argc + 1 long */
static const char **listof (Reader *r, const rb_Option *o) {
  return r->lists + (size_t)(r->argc + 1) * (size_t)(o - rows(r->command) + 1);
}

/* 'value' NULL: none was given */
static int store (Reader *r, const rb_Option *o, const char *value) {
  char *at = r->into + o->at;
  if (o->type == RB_SWITCH) {
    *(int *)(void *)at = 1;
  } else if (o->type == RB_VALUE) {
    const char **slot = (const char **)(void *)at;
    if (*slot != NULL)
      return rb_problem(r->p, RB_USAGE, "usage", "--%s is given twice: %s and %s",
                        o->name, *slot, value);
    *slot = value;
  } else {
    const char **list = listof(r, o);
    while (*list != NULL) list++;
    *list = value;
  }
  return 0;
}

static int missing (Reader *r, const rb_Option *o) {
  return rb_problem(r->p, RB_USAGE, "usage", "--%s takes a value: --%s %s",
                    o->name, o->name, o->value);
}

/* the next word as a value; never an option, so that none is swallowed */
static const char *nextword (Reader *r) {
  if (r->i == r->argc || strncmp(r->argv[r->i], "--", 2) == 0) return NULL;
  return r->argv[r->i++];
}

/* "--name", "--name=value"; 's' begins after the dashes */
static int readlong (Reader *r, const char *s) {
  size_t n = strcspn(s, "=");
  const char *value = s[n] == '=' ? s + n + 1 : NULL;
  const rb_Option *o = rows(r->command);
  while (o->name != NULL && (strncmp(o->name, s, n) != 0 || o->name[n] != '\0')) o++;
  if (o->name == NULL) return unknown(r, s, n);
  if (o->type == RB_SWITCH) {
    if (value != NULL)
      return rb_problem(r->p, RB_USAGE, "usage", "--%s takes no value", o->name);
    return store(r, o, NULL);
  }
  if (value == NULL) value = nextword(r);
  return value != NULL ? store(r, o, value) : missing(r, o);
}

/* "-n", "-nx", "-ofile", "-o file"; 's' begins after the dash */
static int readshort (Reader *r, const char *s) {
  for (; *s != '\0'; s++) {
    const rb_Option *o = rows(r->command);
    while (o->name != NULL && o->letter != *s) o++;
    if (o->name == NULL)
      return rb_problem(r->p, RB_USAGE, "usage", "%s has no option -%c (runbook "
                        "help %s lists them)", r->command->name, *s,
                        r->command->name);
    if (o->type != RB_SWITCH) {
      const char *value = s[1] != '\0' ? s + 1 : nextword(r);
      return value != NULL ? store(r, o, value) : missing(r, o);
    }
    if (store(r, o, NULL) != 0) return r->p->exit;
  }
  return 0;
}

/* -- all of them ----------------------------------------------------------- */

static int readall (Reader *r) {
  int options = 1;
  while (r->i < r->argc) {
    const char *s = r->argv[r->i++];
    int status = 0;
    if (options && strcmp(s, "--") == 0) options = 0;
    else if (options && strncmp(s, "--", 2) == 0) status = readlong(r, s + 2);
    else if (options && s[0] == '-' && s[1] != '\0') status = readshort(r, s + 1);
    else r->lists[r->a->n++] = s;
    if (status != 0) return status;
  }
  return 0;
}

static int checkwords (Reader *r) {
  const rb_Command *c = r->command;
  if (r->a->n < c->min)
    return rb_problem(r->p, RB_USAGE, "usage", "%s takes %s (for example: %.*s)",
                      c->name, c->takes, (int)strcspn(c->example, "\n"), c->example);
  if (c->max >= 0 && r->a->n > c->max)
    return rb_problem(r->p, RB_USAGE, "usage", "%s does not take '%s' (runbook help "
                      "%s)", c->name, r->a->words[c->max], c->name);
  return 0;
}

/* Was --json given? Known before all else, since errors answer to it, too. */
static int wantsjson (const rb_Command *c, int argc, char **argv) {
  const rb_Option *o = rows(c);
  while (o->name != NULL && strcmp(o->name, "json") != 0) o++;
  if (o->name == NULL) return 0;
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--json") == 0) return 1;
  return 0;
}

int rb_options_read (const rb_Command *c, int argc, char **argv, void *into,
                     rb_Arguments *a) {
  rb_Problem p = {0};
  Reader r = {.command = c, .argv = argv, .argc = argc, .i = 1, .into = into,
              .a = a, .p = &p};
  size_t count = 1;
  for (const rb_Option *o = rows(c); o->name != NULL; o++) count++;
  *a = (rb_Arguments){.json = wantsjson(c, argc, argv)};
  r.lists = calloc(count * (size_t)(argc + 1), sizeof *r.lists);
  if (r.lists == NULL) {
    rb_problem(&p, RB_USAGE, "memory", "not enough memory");
  } else {
    a->memory = (void *)r.lists;
    a->words = r.lists;
    for (const rb_Option *o = rows(c); o->name != NULL; o++)
      if (o->type == RB_LIST)
        *(const char *const **)(void *)(r.into + o->at) = listof(&r, o);
    if (readall(&r) == 0) checkwords(&r);
  }
  if (p.exit == 0) return 0;
  rb_show_problem(&p, a->json);
  rb_options_free(a);
  return p.exit;
}

void rb_options_free (rb_Arguments *a) {
  free(a->memory);
  *a = (rb_Arguments){0};
}
