/*
** help.c - `runbook help`: all that it says stands in the commands' own rows
*/

#include <stdio.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/show/show.h"

/* "-n, --dry-run", "    --target T"; as wide as it is */
static int printname (const rb_Option *o, char *out, size_t size) {
  char letter[8] = "    ";
  if (o->letter != 0) snprintf(letter, sizeof letter, "-%c, ", o->letter);
  return snprintf(out, size, "%s--%s%s%s", letter, o->name,
                  o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
}

static void printoptions (const rb_Option *options) {
  static const rb_Option help = {"help", 'h', RB_SWITCH, NULL, "show this", 0};
  char name[80];
  int width = 0;
  for (const rb_Option *o = options; o != NULL && o->name != NULL; o++) {
    int n = printname(o, name, sizeof name);
    if (n > width) width = n;
  }
  puts("\nOptions:");
  for (const rb_Option *o = options; o != NULL && o->name != NULL; o++) {
    printname(o, name, sizeof name);
    printf("  %-*s  %s%s\n", width, name, o->help,
           o->type == RB_LIST ? " (repeatable)" : "");
  }
  printname(&help, name, sizeof name);
  printf("  %-*s  %s\n", width, name, help.help);
}

/* each line of 'text', indented */
static void printindented (const char *text) {
  while (*text != '\0') {
    size_t n = strcspn(text, "\n");
    printf("  %.*s\n", (int)n, text);
    text += n + (text[n] == '\n');
  }
}

void rb_help_command (const rb_Command *c) {
  printf("runbook %s: %s\n\n", c->name, c->summary);
  printf("  runbook %s%s%s%s\n", c->name, *c->takes != '\0' ? " " : "", c->takes,
         c->options != NULL ? " [options]" : "");
  printoptions(c->options);
  if (c->about != NULL) printf("\n%s\n", c->about);
  puts(strchr(c->example, '\n') != NULL ? "\nExamples:" : "\nExample:");
  printindented(c->example);
}

static void overview (void) {
  puts("runbook: runbooks that show what they would do, and record what they did\n");
  for (const rb_Command *const *c = rb_commands; *c != NULL; c++)
    printf("  runbook %-10s  %s\n", (*c)->name, (*c)->summary);
  puts("\n`runbook help COMMAND` lists its options, with examples. There is more in:\n");
  for (const rb_Topic *t = rb_topics; t->name != NULL; t++)
    printf("  runbook help %-10s  %s\n", t->name, t->summary);
  puts("\nTo begin with:\n");
  printindented("runbook list\nrunbook show NAME\nrunbook run NAME --dry-run");
}

typedef struct Options {
  int man, primitives, rows;
} Options;

static const rb_Option options[] = {
  {"man", 0, RB_SWITCH, NULL, "as a page of the manual", offsetof(Options, man)},
  {"primitives", 0, RB_SWITCH, NULL, "all that scripts can call, as Markdown",
   offsetof(Options, primitives)},
  {"rows", 0, RB_SWITCH, NULL, "the same a line each, for programs", offsetof(Options, rows)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

static void command (const rb_Command *c, int man) {
  if (man) rb_man_command(c);
  else rb_help_command(c);
}

static void topic (const rb_Topic *t, int man) {
  if (man) rb_man_topic(t);
  else printf("%s: %s\n\n%s\n", t->name, t->summary, t->text);
}

/* neither a command nor a topic: the problem is the command's, unless a topic is near */
static void unknown (const char *word, rb_Problem *p) {
  const char *names[16] = {NULL};
  for (int i = 0; rb_topics[i].name != NULL && i < 15; i++) names[i] = rb_topics[i].name;
  const char *near = rb_nearest(word, names);
  if (near != NULL && strstr(p->message, "did you mean") == NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no help on '%s' (did you mean '%s'?)",
               word, near);
  rb_show_problem(p, 0);
}

int rb_cmd_help (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_help, argc, argv, &o, &a);
  if (status != 0) return status;
  const rb_Topic *t = a.n > 0 ? rb_topic_find(a.words[0]) : NULL;
  const rb_Command *c = a.n > 0 && t == NULL ? rb_command_find(a.words[0], &p) : NULL;
  if (t != NULL) topic(t, o.man);
  else if (c != NULL) command(c, o.man);
  else if (a.n > 0 && rb_help_primitive(a.words[0], &p)) p = (rb_Problem){0};
  else if (a.n > 0) unknown(a.words[0], &p);
  else if (o.primitives && rb_help_primitives(&p) != 0) rb_show_problem(&p, 0);
  else if (o.primitives) ;
  else if (o.rows && rb_help_rows(&p) != 0) rb_show_problem(&p, 0);
  else if (o.rows) ;
  else if (o.man) rb_man_overview();
  else overview();
  rb_options_free(&a);
  return p.exit;
}

const rb_Command rb_command_help = {
  .name = "help", .takes = "[COMMAND|TOPIC|PRIMITIVE]",
  .summary = "what there is, or what a command takes",
  .about = "Also: runbook COMMAND --help.",
  .example = "runbook help run\n"
             "runbook help exit-codes\n"
             "runbook help file.read\n"
             "runbook help --man run | man -l -",
  .options = options, .max = 1, .main = rb_cmd_help
};
