/*
** test.c - `runbook test`: runbooks in the worlds of their tests
*/

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/cli/cli.h"
#include "vm/config/config.h"
#include "vm/show/show.h"
#include "vm/test/suite.h"

#define DEEPEST 8

static const rb_Option options[] = {
  {"json", 0, RB_SWITCH, NULL, "one JSON document on standard output",
   offsetof(rb_TestOptions, json)},
  {"junit", 0, RB_SWITCH, NULL, "JUnit's XML on standard output", offsetof(rb_TestOptions, junit)},
  {"tap", 0, RB_SWITCH, NULL, "the Test Anything Protocol on standard output",
   offsetof(rb_TestOptions, tap)},
  {"watch", 0, RB_SWITCH, NULL, "run them again when a test or a runbook is written",
   offsetof(rb_TestOptions, watch)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)",
   offsetof(rb_TestOptions, config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_test = {
  .name = "test", .takes = "[FILE|NAME]...",
  .summary = "run the tests of runbooks, in worlds of fakes",
  .about = "The tests of NAME.lua stand beside it, in NAME_test.lua. FILE is either of the two;\n"
           "a folder stands for all tests below it. Without one: all tests in the folders of\n"
           "the configuration, or else below this one. Nothing is connected, and waits take\n"
           "no time.\n"
           "\n"
           "Exit codes:\n"
           "    0  all passed\n"
           "    1  one failed\n"
           "    2  one could not be run: a mistake in a test, or in its runbook\n"
           "  130  interrupted",
  .example = "runbook test\nrunbook test examples/maintenance_page.lua",
  .options = options, .max = -1, .main = rb_cmd_test
};

/* -- which files --------------------------------------------------------- */

typedef struct Files { char **list; int n, size; } Files;

static int endswith (const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n > m && strcmp(s + n - m, end) == 0;
}

static void add (Files *f, const char *path) {
  for (int i = 0; i < f->n; i++)
    if (strcmp(f->list[i], path) == 0) return;
  if (f->n == f->size) {
    int size = f->size > 0 ? 2 * f->size : 16;
    char **list = realloc(f->list, (size_t)size * sizeof *list);
    if (list == NULL) return;
    f->list = list;
    f->size = size;
  }
  if ((f->list[f->n] = strdup(path)) != NULL) f->n++;
}

static int byname (const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Does a file say of itself that it holds tests? */
static int hastests (const char *path) {
  char line[1024];
  int has = 0;
  FILE *f = fopen(path, "re");
  while (f != NULL && !has && fgets(line, sizeof line, f) != NULL)
    has = strncmp(line, "return tests", 12) == 0;
  if (f != NULL) fclose(f);
  return has;
}

/* NAME_test.lua beside NAME.lua, or that names another runbook (`dr_test` may be a
** runbook's own name); NAME.tape where there is a NAME.lua of which it is */
static int istest (const char *path) {
  char book[PATH_MAX];
  snprintf(book, sizeof book, "%.*s.lua", (int)strlen(path) - 5, path);
  if (rb_suite_istape(path)) return access(book, R_OK) == 0;
  return endswith(path, "_test.lua") && (rb_config_companion(path) || hastests(path));
}

static void walk (Files *f, const char *folder, int depth) {
  char path[PATH_MAX];
  struct dirent *e;
  struct stat st;
  DIR *dir = depth <= DEEPEST ? opendir(folder) : NULL;
  while (dir != NULL && (e = readdir(dir)) != NULL) {
    int dot = strcmp(folder, ".") == 0;
    if (*e->d_name == '.' || (size_t)snprintf(path, sizeof path, "%s%s%s", dot ? "" : folder,
        dot ? "" : "/", e->d_name) >= sizeof path || lstat(path, &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) walk(f, path, depth + 1);
    else if (S_ISREG(st.st_mode) && istest(path)) add(f, path);
  }
  if (dir != NULL) closedir(dir);
}

static int isfolder (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* the tests of NAME.lua (the path): NAME_test.lua, and NAME.tape; how many there are */
static int addof (Files *f, const char *path) {
  static const char *const ends[] = {"_test.lua", ".tape"};
  char test[PATH_MAX + 16];
  int n = 0, stem = (int)strlen(path) - (endswith(path, ".lua") ? 4 : 0);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    snprintf(test, sizeof test, "%.*s%s", stem, path, ends[i]);
    if (access(test, R_OK) != 0) continue;
    add(f, test);
    n++;
  }
  return n;
}

/* a test file, its runbook, a runbook's name, or a folder */
static int addword (Files *f, rb_Config *config, const char *word, rb_Problem *p) {
  char path[PATH_MAX];
  size_t n = strlen(word);
  if (isfolder(word)) {
    int before = f->n;
    snprintf(path, sizeof path, "%.*s", (int)(n > 1 && word[n - 1] == '/' ? n - 1 : n), word);
    walk(f, path, 0);
    qsort(f->list + before, (size_t)(f->n - before), sizeof *f->list, byname);
    if (f->n == before)
      return rb_problem(p, RB_USAGE, "usage", "there are no tests (NAME_test.lua) below %s", word);
    return 0;
  }
  int isbook = endswith(word, "_test.lua") && !istest(word) && access(word, R_OK) == 0;
  if ((endswith(word, "_test.lua") && !isbook) || rb_suite_istape(word)) {
    add(f, word);
    return 0;
  }
  if (access(word, R_OK) == 0) snprintf(path, sizeof path, "%s", word);
  else if (rb_config_find(config, word, path, sizeof path, p) != 0) return p->exit;
  if (addof(f, path) > 0) return 0;
  n = strlen(path);
  return rb_problem(p, RB_USAGE, "usage", "%s has no test: there is neither %.*s_test.lua nor a "
                    ".tape of that name", word, (int)(endswith(path, ".lua") ? n - 4 : n), path);
}

static int addall (Files *f, rb_Config *config, rb_Problem *p) {
  const char *const *folder = rb_config_runbooks(config);
  int configured = rb_config_file(config) != NULL && *folder != NULL;
  if (!configured) walk(f, ".", 0);
  for (; configured && *folder != NULL; folder++) walk(f, *folder, 0);
  if (f->n > 1) qsort(f->list, (size_t)f->n, sizeof *f->list, byname);
  return f->n > 0 ? 0 : rb_problem(p, RB_USAGE, "usage", "there are no tests (NAME_test.lua) "
                                   "%s", configured ? "in the folders of the configuration"
                                   : "below this folder");
}

static int collect (Files *f, rb_Config *config, const rb_Arguments *a, rb_Problem *p) {
  if (a->n == 0) return addall(f, config, p);
  for (int i = 0; i < a->n; i++)
    if (addword(f, config, a->words[i], p) != 0) return p->exit;
  return 0;
}

/* -- the command --------------------------------------------------------- */

static rb_TestFormat formatof (const rb_TestOptions *o) {
  return o->json ? RB_TESTJSON : o->junit ? RB_TESTJUNIT : o->tap ? RB_TESTTAP : RB_TESTTEXT;
}

/* 'watch': a descriptor that is to see their folders, or -1 */
static int runall (const Files *f, rb_Config *config, const rb_TestOptions *o, int watch,
                   rb_Problem *p) {
  rb_Suite *suites = calloc((size_t)f->n, sizeof *suites);
  rb_Shown *shown = rb_shown_open(formatof(o));
  if (suites == NULL || shown == NULL)
    return rb_problem(p, RB_USAGE, "memory", "not enough memory");
  for (int i = 0; i < f->n; i++) {
    rb_watch_beside(watch, f->list[i]);
    rb_suite_load(&suites[i], config, f->list[i]);
    rb_watch_beside(watch, suites[i].runbook);
  }
  int interrupted = rb_pool_run(suites, f->n, o, rb_shown_suite, shown);
  int exit = rb_shown_close(shown, suites, f->n);
  for (int i = 0; i < f->n; i++) rb_suite_free(&suites[i]);
  free(suites);
  return interrupted != 0 ? interrupted : exit;
}

static void forget (Files *f) {
  for (int i = 0; i < f->n; i++) free(f->list[i]);
  free(f->list);
  *f = (Files){0};
}

/* once, or again and again, until somebody has enough */
static int round_ (rb_Config *config, const rb_Arguments *a, const rb_TestOptions *o,
                   rb_Problem *p) {
  Files f = {0};
  int status = 0, watch = o->watch ? rb_watch_open(p) : -1;
  if (p->exit == 0 && collect(&f, config, a, p) == 0) status = runall(&f, config, o, watch, p);
  while (watch >= 0 && p->exit == 0 && status != RB_INTERRUPTED) {
    rb_Problem q = {0};
    status = rb_watch_wait(watch);
    if (status != 0) break;
    forget(&f);
    if (collect(&f, config, a, &q) == 0) status = runall(&f, config, o, watch, &q);
    if (q.exit != 0) rb_show_problem(&q, 0);
  }
  if (watch >= 0) close(watch);
  forget(&f);
  return status;
}

int rb_cmd_test (int argc, char **argv) {
  rb_TestOptions o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  int status = rb_options_read(&rb_command_test, argc, argv, &o, &a);
  if (status != 0) return status;
  rb_Config *config = NULL;
  if (o.json + o.junit + o.tap > 1)
    rb_problem(&p, RB_USAGE, "usage", "one of --json, --junit and --tap: a document has one form");
  else if (o.watch && o.json + o.junit + o.tap > 0)
    rb_problem(&p, RB_USAGE, "usage", "--watch is for people: it prints no document");
  else config = rb_config_load(o.config, &p);
  if (config != NULL) status = round_(config, &a, &o, &p);
  if (p.exit != 0) {
    rb_show_problem(&p, o.json);
    status = p.exit;
  }
  rb_config_free(config);
  rb_options_free(&a);
  return status;
}
