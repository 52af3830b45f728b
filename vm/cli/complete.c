/*
** complete.c - `runbook __complete WORD...`: what may stand at the last word
**
** The shells' own scripts (completion.c) ask for every key, so that all they
** know is how to ask. A line for each candidate, "value<TAB>what it is"; the
** line ":files" means that files may stand there, too. What is taken where
** is read from the commands' rows: an option's `value`, a command's `takes`.
** No client library is loaded and nothing is run; what cannot be read is no
** candidate, and no error.
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>

#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/run/outline.h"

enum { NEWEST = 50, ENDING = 6 };

typedef struct Line {
  const char *const *words;   /* the command's, before the last one */
  int n;
  const char *last;           /* what is being typed, after `kept` */
  char kept[128];             /* "--case=", "tenant=": stays before each candidate */
  const rb_Command *command;
  const rb_Option *option;    /* whose value the last word is */
  const char *named[64];      /* words that are no options */
  int nnamed;
  const char *config;
  rb_Config *c;
  int found;
} Line;

/* -- candidates --------------------------------------------------------------- */

static void offer (Line *l, const char *value, const char *what) {
  size_t n = strlen(l->last);
  if (value == NULL || strncmp(value, l->last, n) != 0) return;
  l->found++;
  printf("%s%s\t", l->kept, value);
  for (; what != NULL && *what != '\0'; what++)
    putchar((unsigned char)*what < ' ' ? ' ' : *what);
  putchar('\n');
}

/* "NAME=", for what is typed next */
static void offername (Line *l, const char *name, const char *what) {
  char value[128];
  snprintf(value, sizeof value, "%s=", name);
  offer(l, value, what);
}

static void files (const Line *l) {
  (void)l;
  puts(":files");
}

static void offerall (Line *l, const char *const *words, const char *what) {
  for (; words != NULL && *words != NULL; words++) offer(l, *words, what);
}

static rb_Config *configof (Line *l) {
  rb_Problem p = {0};
  if (l->c == NULL) l->c = rb_config_load(l->config, &p);
  return l->c;
}

/* -- the line ------------------------------------------------------------------- */

static const rb_Option *longoption (const rb_Command *c, const char *s, size_t n) {
  for (const rb_Option *o = c->options; o != NULL && o->name != NULL; o++)
    if (strncmp(o->name, s, n) == 0 && o->name[n] == '\0') return o;
  return NULL;
}

static const rb_Option *letteroption (const rb_Command *c, char letter) {
  for (const rb_Option *o = c->options; o != NULL && o->name != NULL; o++)
    if (o->letter == letter) return o;
  return NULL;
}

/* the option that this word begins; *value is what stands in the word already */
static const rb_Option *optionof (const rb_Command *c, const char *s,
                                  const char **value) {
  *value = NULL;
  if (strncmp(s, "--", 2) == 0) {
    size_t n = strcspn(s + 2, "=");
    if (s[2 + n] == '=') *value = s + 3 + n;
    return longoption(c, s + 2, n);
  }
  if (s[0] != '-' || s[1] == '\0') return NULL;
  const rb_Option *o = letteroption(c, s[strlen(s) - 1]);  /* of "-ny" the last */
  return o;
}

/* the words before the last one: options and their values are told from others */
static void readwords (Line *l) {
  const char *value;
  int ended = 0;
  for (int i = 0; i < l->n; i++) {
    const rb_Option *o = ended ? NULL : optionof(l->command, l->words[i], &value);
    l->option = NULL;
    if (!ended && strcmp(l->words[i], "--") == 0) ended = 1;
    else if (o != NULL && o->type != RB_SWITCH && value == NULL) {
      l->option = o;
      if (++i < l->n) l->option = NULL;
      value = i < l->n ? l->words[i] : NULL;
    }
    else if (o == NULL && (ended || l->words[i][0] != '-') && l->nnamed < 64)
      l->named[l->nnamed++] = l->words[i];
    if (o != NULL && value != NULL && strcmp(o->name, "config") == 0) l->config = value;
  }
}

/* "--case=iso": the value is completed, and what stands before it is kept */
static void keep (Line *l, const char *upto) {
  snprintf(l->kept + strlen(l->kept), sizeof l->kept - strlen(l->kept), "%.*s",
           (int)(upto - l->last), l->last);
  l->last = upto;
}

/* -- runbooks, and what is in them --------------------------------------------------- */

typedef struct Book {
  Line *l;
  const char *path;
  void (*each) (Line *l, const rb_Outline *o);
} Book;

static int withbook (lua_State *L) {
  Book *b = lua_touserdata(L, 1);
  rb_Outline o;
  rb_Problem p = {0};
  if (rb_outline_load(L, b->path, &o, &p) != 0) return 0;
  b->each(b->l, &o);
  rb_outline_free(L, &o);
  return 0;
}

static void offerbook (Line *l, const rb_Outline *o) { offer(l, o->name, o->title); }

/* one that cannot be loaded has a name all the same */
static int listed (void *ud, const char *path) {
  Line *l = ud;
  char name[NAME_MAX + 1];
  rb_Problem p = {0};
  Book b = {l, path, offerbook};
  const char *slash = strrchr(path, '/');
  snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : path);
  name[strcspn(name, ".")] = '\0';
  int before = l->found;
  if (strncmp(name, l->last, strlen(l->last)) != 0) return 0;
  rb_words_call(withbook, &b, &p);
  if (l->found == before) offer(l, name, "broken: see runbook check");
  return 0;
}

static void books (Line *l) {
  rb_Problem p = {0};
  if (strchr(l->last, '/') == NULL && configof(l) != NULL)
    rb_config_each(l->c, listed, l, &p);
  if (l->found == 0) files(l);
}

/* the runbook that the line names */
static void inbook (Line *l, void (*each) (Line *l, const rb_Outline *o)) {
  char path[PATH_MAX];
  rb_Problem p = {0};
  Book b = {l, path, each};
  if (l->nnamed == 0 || configof(l) == NULL
      || rb_config_find(l->c, l->named[0], path, sizeof path, &p) != 0) return;
  rb_words_call(withbook, &b, &p);
}

static void offersteps (Line *l, const rb_Outline *o) {
  for (int i = 0; i < o->nsteps; i++)
    offer(l, o->steps[i].id, o->steps[i].title.text);
}

static void offercases (Line *l, const rb_Outline *o) {
  for (int i = 0; i < o->ncases; i++)
    offer(l, o->cases[i].id, o->cases[i].title.text);
}

static void offerroles (Line *l, const rb_Outline *o) {
  char value[128];
  const char *eq = strchr(l->last, '=');
  if (eq != NULL) {
    snprintf(value, sizeof value, "%.*s", (int)(eq - l->last), l->last);
    keep(l, eq + 1);
    offerall(l, rb_config_role(l->c, value), "holds this role");
    return;
  }
  for (const char *const *r = o->approve; *r != NULL; r++)
    offername(l, *r, "approves the runbook");
  for (int i = 0; i < o->ncases; i++)
    for (const char *const *r = o->cases[i].approve; *r != NULL; r++)
      offername(l, *r, "approves a case");
  for (int i = 0; i < o->nsteps; i++)
    for (const char *const *r = o->steps[i].approve; *r != NULL; r++)
      offername(l, *r, "approves a step");
}

/* given already? Then it is not offered again. */
static int given (const Line *l, const char *name) {
  size_t n = strlen(name);
  for (int i = 1; i < l->nnamed; i++)
    if (strncmp(l->named[i], name, n) == 0 && l->named[i][n] == '=') return 1;
  return 0;
}

static void offervalues (Line *l, const rb_Param *q) {
  static const char *const truth[] = {"true", "false", NULL};
  if (q->type == RB_CHOICE) offerall(l, q->choices, "");
  else if (q->type == RB_BOOLEAN) offerall(l, truth, "");
  else if (q->type == RB_PATH) files(l);
}

static void offerparams (Line *l, const rb_Outline *o) {
  const char *eq = strchr(l->last, '=');
  char what[300];
  for (int i = 0; i < o->nparams; i++) {
    const rb_Param *q = &o->params[i];
    size_t n = strlen(q->name);
    if (eq != NULL && (size_t)(eq - l->last) == n
        && strncmp(l->last, q->name, n) == 0) {
      keep(l, eq + 1);
      offervalues(l, q);
      return;
    }
    if (eq != NULL || given(l, q->name)) continue;
    snprintf(what, sizeof what, "%s%s%s%s", q->typename, q->required ? ", required" : "",
             q->help != NULL ? ": " : "", q->help != NULL ? q->help : "");
    offername(l, q->name, what);
  }
}

/* -- runs ------------------------------------------------------------------------------ */

typedef struct Runs {
  char id[NEWEST][RB_RUNID], what[NEWEST][160];
  int n;
} Runs;

static int addrun (void *ud, const rb_TapeRun *run) {
  Runs *r = ud;
  char at[32] = "";
  time_t s = (time_t)(run->started / 1000);
  struct tm tm;
  if (localtime_r(&s, &tm) != NULL) strftime(at, sizeof at, "%Y-%m-%d %H:%M", &tm);
  snprintf(r->id[r->n], RB_RUNID, "%s", run->id);
  snprintf(r->what[r->n], sizeof r->what[0], "%.60s on %.30s, %s%s, %s",
           run->runbook != NULL ? run->runbook : "?",
           run->target != NULL ? run->target : "?",
           run->mode != NULL && strcmp(run->mode, "run") != 0 ? run->mode : "",
           run->ended == 0 ? "unfinished" : run->mode != NULL
           && strcmp(run->mode, "run") != 0 ? "" : run->status, at);
  return ++r->n == NEWEST;
}

/* the shortest ending, from ENDING on, that is no other run's */
static const char *ending (rb_Tape *t, const char *id) {
  char found[RB_RUNID];
  for (size_t n = ENDING; n < RB_RUNID - 1; n++) {
    rb_Problem p = {0};
    if (rb_tape_find(t, id + RB_RUNID - 1 - n, found, &p) == 0)
      return id + RB_RUNID - 1 - n;
  }
  return id;
}

static void runs (Line *l) {
  rb_Problem p = {0};
  Runs *r = calloc(1, sizeof *r);
  rb_Tape *t = r != NULL ? rb_pick_tape(&p) : NULL;
  if (t != NULL && rb_tape_runs(t, addrun, r, &p) == 0)
    for (int i = 0; i < r->n; i++) {
      int whole = *l->last != '\0' && strncmp(r->id[i], l->last, strlen(l->last)) == 0;
      offer(l, whole ? r->id[i] : ending(t, r->id[i]), r->what[i]);
    }
  rb_tape_close(t);
  free(r);
}

/* -- values and words, by what the rows call them ------------------------------------------- */

static void commands (Line *l) {
  for (const rb_Command *const *c = rb_commands; *c != NULL; c++)
    offer(l, (*c)->name, (*c)->summary);
}

static void topics (Line *l) {
  commands(l);
  for (const rb_Topic *t = rb_topics; t->name != NULL; t++)
    offer(l, t->name, t->summary);
}

static void targets (Line *l) {
  if (configof(l) != NULL) offerall(l, rb_config_targets(l->c), "target");
}

static void steps (Line *l) { inbook(l, offersteps); }
static void cases (Line *l) { inbook(l, offercases); }
static void roles (Line *l) { inbook(l, offerroles); }
static void params (Line *l) { inbook(l, offerparams); }

static void limits (Line *l) {
  for (const char *const *n = rb_limitnames; *n != NULL; n++)
    offername(l, *n, "limit");
}

static void systems (Line *l) {
  rb_Problem p = {0};
  rb_Target *t = configof(l) != NULL ? rb_config_open(l->c, NULL, &p) : NULL;
  if (t != NULL) offerall(l, rb_target_systems(t), "system");
}

static void statuses (Line *l) { offerall(l, rb_history_statuses, ""); }
static void filesof (Line *l) { files(l); }
static void runsandfiles (Line *l) { runs(l); files(l); }

static const struct { const char *word; void (*offer) (Line *l); } kinds[] = {
  {"FILE|NAME", books}, {"FILE|NAME|PLAN", books}, {"PLAN", filesof}, {"NAME", books},
  {"FILE", filesof}, {"FOLDER", filesof}, {"RUN", runs}, {"RUN|FILE", runsandfiles},
  {"COMMAND|TOPIC", topics}, {"TARGET", targets}, {"STEP", steps}, {"CASE", cases},
  {"ROLE=WHO:NOTE", roles}, {"NAME=VALUE", params}, {"NAME=N", limits},
  {"STATUS", statuses}, {"SYSTEM", systems}
};

/* "FILE|NAME" or "text|json|md": by name, else the words themselves */
static void bykind (Line *l, const char *word, size_t n) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strlen(kinds[i].word) == n && strncmp(kinds[i].word, word, n) == 0) {
      kinds[i].offer(l);
      return;
    }
  for (const char *end = word + n; word < end; ) {
    char choice[64];
    size_t len = strcspn(word, "|");
    if (word + len > end) len = (size_t)(end - word);
    snprintf(choice, sizeof choice, "%.*s", (int)len, word);
    if (*choice >= 'a' && *choice <= 'z') offer(l, choice, "");
    word += len + 1;
  }
}

/* the nth word of what a command takes: "[NAME=VALUE]..." goes on for ever */
static void positional (Line *l) {
  const char *s = l->command->takes;
  for (int i = 0; *s != '\0'; i++) {
    size_t n = strcspn(s, " "), from = *s == '[', len = strcspn(s + from, "] .");
    int last = strncmp(s + n - (n >= 3 ? 3 : 0), "...", 3) == 0;
    if (i == l->nnamed || last) {
      bykind(l, s + from, len);
      return;
    }
    s += n + (s[n] == ' ');
  }
}

static int isgiven (const Line *l, const rb_Option *o) {
  const char *value;
  for (int i = 0; i < l->n && o->type != RB_LIST; i++)
    if (optionof(l->command, l->words[i], &value) == o) return 1;
  return 0;
}

static void options (Line *l) {
  char name[80];
  for (const rb_Option *o = l->command->options; o != NULL && o->name != NULL; o++) {
    if (isgiven(l, o)) continue;
    snprintf(name, sizeof name, "--%s", o->name);
    offer(l, name, o->help);
  }
  offer(l, "--help", "show what it takes");
}

static void complete (Line *l) {
  const char *value;
  const rb_Option *o = optionof(l->command, l->last, &value);
  readwords(l);
  if (l->option != NULL) bykind(l, l->option->value, strlen(l->option->value));
  else if (o != NULL && o->type != RB_SWITCH && value != NULL) {
    keep(l, value);
    bykind(l, o->value, strlen(o->value));
  }
  else if (l->last[0] == '-') options(l);
  else positional(l);
}

int rb_complete (int argc, char **argv) {
  rb_Problem p;
  Line l = {.last = argc > 0 ? argv[argc - 1] : ""};
  if (argc < 2) {
    commands(&l);
    if (l.found == 0) files(&l);
    return RB_DONE;
  }
  l.words = (const char *const *)argv + 1;
  l.n = argc - 2;
  l.command = rb_command_find(argv[0], &p);
  if (l.command == NULL) {  /* a script as the first word is run */
    if (strchr(argv[0], '/') == NULL && strstr(argv[0], ".lua") == NULL) return RB_DONE;
    l.command = &rb_command_run;
    l.words--;
    l.n++;
  }
  complete(&l);
  rb_config_free(l.c);
  return RB_DONE;
}
