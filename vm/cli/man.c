/*
** man.c - pages of the manual, from the same rows as `help`
*/

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vm/cli/cli.h"

/* n bytes as roff has them: no escapes, no requests, and hyphens that can be
** copied into a shell */
static void puttext (const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (i == 0 && (s[i] == '.' || s[i] == '\'')) fputs("\\&", stdout);
    if (s[i] == '\\') fputs("\\e", stdout);
    else if (s[i] == '-') fputs("\\-", stdout);
    else if (s[i] == '\'') fputs("\\(aq", stdout);
    else if (s[i] == '`') fputs("\\(ga", stdout);
    else if (s[i] == '^') fputs("\\(ha", stdout);
    else if (s[i] == '~') fputs("\\(ti", stdout);
    else putchar(s[i]);
  }
}

static void put (const char *s) { puttext(s, strlen(s)); }

static void head (const char *name, int section, const char *summary) {
  fputs(".TH ", stdout);
  for (const char *s = name; *s != '\0'; s++)
    if (*s == '-') fputs("\\-", stdout);
    else putchar(toupper((unsigned char)*s));
  printf(" %d %s \"runbook %s\" \"runbook\"\n.SH NAME\n", section, RB_RELEASED,
         RB_VERSION);
  put(name);
  fputs(" \\- ", stdout);
  put(summary);
  puts("");
}

/* Prose is filled; lines that begin with a space stay as they are. */
static void prose (const char *text) {
  int asis = 0, paragraph = 0;
  while (*text != '\0') {
    size_t n = strcspn(text, "\n");
    int indented = n > 0 && *text == ' ';
    int empty = n == 0;
    if (indented && !asis) puts(".PP\n.nf\n.RS");
    /* an empty line within what is indented belongs to it */
    if (!indented && asis && !(empty && text[1] == ' ')) puts(".RE\n.fi");
    if (empty && !(asis && text[1] == ' ')) paragraph = 1;
    asis = indented || (asis && empty && text[1] == ' ');
    if (!empty && !indented && paragraph) puts(".PP");
    if (!empty) paragraph = 0;
    size_t from = indented ? strspn(text, " ") : 0;
    if (indented && from > 2) from = 2;
    puttext(text + from, n - from);
    if (!empty || asis) puts("");
    text += n + (text[n] == '\n');
  }
  if (asis) puts(".RE\n.fi");
}

static void option (const rb_Option *o) {
  puts(".TP");
  fputs(".B ", stdout);
  if (o->letter != 0) printf("\\-%c, ", o->letter);
  fputs("\\-\\-", stdout);
  put(o->name);
  if (o->value != NULL) {
    fputs(" \\fI", stdout);
    put(o->value);
    fputs("\\fP", stdout);
  }
  puts("");
  put(o->help);
  puts(o->type == RB_LIST ? " (may be given several times)" : "");
}

static void examples (const char *text) {
  puts(".SH EXAMPLES\n.nf");
  while (*text != '\0') {
    size_t n = strcspn(text, "\n");
    puttext(text, n);
    puts("");
    text += n + (text[n] == '\n');
  }
  puts(".fi");
}

void rb_man_command (const rb_Command *c) {
  static const rb_Option help = {"help", 'h', RB_SWITCH, NULL, "show this", 0};
  char name[80];
  snprintf(name, sizeof name, "runbook-%s", c->name);
  head(name, 1, c->summary);
  fputs(".SH SYNOPSIS\n.B runbook ", stdout);
  put(c->name);
  puts("");
  if (*c->takes != '\0') put(c->takes);
  puts(c->options != NULL ? "\n[options]" : "");
  puts(".SH DESCRIPTION");
  if (c->about != NULL) prose(c->about);
  else {
    put(c->summary);
    puts(".");
  }
  puts(".SH OPTIONS");
  for (const rb_Option *o = c->options; o != NULL && o->name != NULL; o++) option(o);
  option(&help);
  examples(c->example);
  puts(".SH SEE ALSO\n.BR runbook (1),\n.BR runbook.config.lua (5)");
}

void rb_man_topic (const rb_Topic *t) {
  int file = t->section != 0;
  head(file ? "runbook.config.lua" : t->name, file ? t->section : 7, t->summary);
  puts(".SH DESCRIPTION");
  prose(t->text);
  puts(".SH SEE ALSO\n.BR runbook (1)");
}

void rb_man_overview (void) {
  head("runbook", 1, "runbooks that show what they would do, and record what they did");
  puts(".SH SYNOPSIS\n.B runbook\nCOMMAND [words] [options]\n.SH DESCRIPTION");
  put("A runbook is a Lua script that says what a person would look at, what they would "
      "change and how they would see that it worked. ");
  puts("A dry run performs what only looks, and shows what would change; a real run "
       "records each change before and after it.\n.SH COMMANDS");
  for (const rb_Command *const *c = rb_commands; *c != NULL; c++) {
    fputs(".TP\n.BR runbook\\-", stdout);
    put((*c)->name);
    puts(" (1)");
    put((*c)->summary);
    puts("");
  }
  for (const rb_Topic *t = rb_topics; t->name != NULL; t++) {
    if (t->section != 0) continue;
    fputs(".SH ", stdout);
    for (const char *s = t->summary; *s != '\0'; s++) putchar(toupper((unsigned char)*s));
    puts("");
    prose(t->text);
  }
  puts(".SH FILES\n.TP\n.I runbook.config.lua\nsee\n.BR runbook.config.lua (5)\n.TP\n"
       ".I \\(ti/.local/state/runbook/tape.db\nthe tape: every run and all that it did; "
       "the keys of what is sealed on it are in the folder\n.I keys\nbeside it\n"
       ".SH ENVIRONMENT\n.TP\n.B RUNBOOK_CONFIG\nthe configuration file\n.TP\n"
       ".B XDG_CONFIG_HOME\\fR, \\fBXDG_STATE_HOME\nwhere the configuration and the tape "
       "are\n.TP\n.B CREDENTIALS_DIRECTORY\na folder with a file for each secret\n.TP\n"
       ".B NO_COLOR\nno colour\n.SH SEE ALSO\n.BR runbook.config.lua (5)");
}
