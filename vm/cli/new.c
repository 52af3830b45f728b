/*
** new.c - runbook new NAME: a runbook that runs, with its test, to go on from
*/

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/base.h"
#include "vm/buffer.h"
#include "vm/cli/cli.h"
#include "vm/cli/types.h"
#include "vm/config/config.h"
#include "vm/show/show.h"

#define TYPES ".luatypes"

typedef struct Options { const char *system, *config; } Options;

static const rb_Option options[] = {
  {"system", 0, RB_VALUE, "SYSTEM", "the system of the configuration that it works on",
   offsetof(Options, system)},
  {"config", 0, RB_VALUE, "FILE", "the configuration (also: RUNBOOK_CONFIG)",
   offsetof(Options, config)},
  {NULL, 0, RB_SWITCH, NULL, NULL, 0}
};

const rb_Command rb_command_new = {
  .name = "new", .takes = "FILE",
  .summary = "begin a runbook that runs, with its test",
  .about = "FILE is a name, or a path that ends with one: NAME.lua is written, and its test\n"
           "NAME_test.lua; for the editor's language server .luarc.json and " TYPES "/ beside\n"
           "them, where there are none. No file that is there already is touched.",
  .example = "runbook new restart_web --system school_erp",
  .options = options, .min = 1, .max = 1, .main = rb_cmd_new
};

/* how a resource is looked at, by its kind, and what a test answers */
static const struct { const char *kind, *probe, *answer; } looks[] = {
  {"http",
   "      local answer = ~.http:get(\"/\")\n"
   "      run:finding(\"status\", answer.status, answer:ok() and \"ok\" or \"bad\")\n",
   "http = { [\"GET /\"] = { status = 200 } }"},
  {"pg",
   "      local sessions = ~.pg:value(\"SELECT count(*) FROM pg_stat_activity\")\n"
   "      run:finding(\"sessions\", sessions)\n",
   "pg = { [\"SELECT count(*) FROM pg_stat_activity\"] = 3 }"},
  {"redis",
   "      run:finding(\"keys\", ~.redis:dbsize())\n", "redis = { a = \"1\" }"},
  {"service",
   "      local state = ~.service:status().state\n"
   "      run:finding(\"state\", state, state == \"online\" and \"ok\" or \"bad\")\n",
   "service = { state = \"online\" }"},
  {"dotenv",
   "      local settings = 0\n"
   "      for _ in pairs(~.dotenv:all()) do settings = settings + 1 end\n"
   "      run:finding(\"settings\", settings)\n", "dotenv = {}"},
  {NULL,
   "      run:finding(\"time\", time.format(time.now()))\n", NULL}
};

typedef struct New {
  const char *system;
  char path[3500];       /* without ".lua" */
  const char *name;      /* its last part */
  char title[200];
  char variable[64];     /* the system, as a script may call it */
  int look;              /* into looks */
} New;

/* -- what is written ------------------------------------------------------------------- */

/* a template, in which @ is the system's name, ~ its variable, # the runbook's name and $
** its title */
static void put (rb_Buffer *b, const New *n, const char *template) {
  for (const char *s = template; *s != '\0'; ) {
    size_t plain = strcspn(s, "@~#$");
    rb_buffer_add(b, s, plain);
    s += plain;
    if (*s == '\0') break;
    rb_buffer_puts(b, *s == '@' ? n->system : *s == '~' ? n->variable
                      : *s == '#' ? n->name : n->title);
    s++;
  }
}

static void writebook (rb_Buffer *b, const New *n) {
  put(b, n, "-- $: what it is for, in a line.\n--\n--   runbook run #.lua --dry-run\n");
  if (n->system != NULL) put(b, n, "\nlocal ~ = system \"@\"\n");
  put(b, n, "\nreturn runbook {\n  title    = \"$\",\n");
  if (n->system != NULL) put(b, n, "  system   = \"@\",\n");
  put(b, n, "  use_when = \"The symptom that brings a person here.\",\n"
            "  impact   = \"None: it only looks.\",\n\n"
            "  step \"How is it?\" {\n    probe = function (run)\n");
  put(b, n, looks[n->look].probe);
  put(b, n, "    end,\n  },\n\n"
            "  -- What mends it comes here: a step with `remedy`, `verify`, which looks whether\n"
            "  -- it did, and `undo`, where nothing takes it back by itself.\n}\n");
}

static void writetest (rb_Buffer *b, const New *n) {
  put(b, n, "-- What #.lua has to do, in a world of its own:\n--\n--   runbook test #.lua\n\n"
            "return tests {\n  test \"looks, and changes nothing\" {\n");
  if (looks[n->look].answer != NULL) {
    put(b, n, strcmp(n->variable, n->system) == 0 ? "    world  = { @ = { "
                                                  : "    world  = { [\"@\"] = { ");
    put(b, n, looks[n->look].answer);
    put(b, n, " } },\n");
  } else put(b, n, "    world  = { clock = \"2026-01-05T03:00:00Z\" },\n");
  put(b, n, "    expect = { status = \"done\", effects = {} },\n  },\n}\n");
}

static void writeluarc (rb_Buffer *b, const New *n) {
  (void)n;
  rb_buffer_puts(b, "{ \"runtime.version\": \"Lua 5.4\",\n"
                    "  \"runtime.builtin\": { \"io\": \"disable\", \"os\": \"disable\", \"debug\": "
                    "\"disable\",\n                       \"package\": \"disable\", "
                    "\"coroutine\": \"disable\" },\n"
                    "  \"workspace.library\": [\"" TYPES "\"] }\n");
}

/* -- files ----------------------------------------------------------------------------- */

/* 1: written; 0: it is there already; -1 and *p */
static int create (const char *path, void (*write_) (rb_Buffer *b, const New *n), const New *n,
                   rb_Problem *p) {
  rb_Buffer b = {0};
  write_(&b, n);
  int fd = b.failed ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  int error = b.failed ? ENOMEM : errno, ok = fd >= 0;
  if (ok && write(fd, b.s, b.n) != (ssize_t)b.n) ok = 0, error = errno;
  if (fd >= 0 && close(fd) != 0) ok = 0, error = errno;
  if (fd >= 0 && !ok) unlink(path);
  rb_buffer_free(&b);
  if (ok) return 1;
  if (fd < 0 && error == EEXIST) return 0;
  rb_problem(p, RB_USAGE, "file", "cannot write %s: %s", path, strerror(error));
  return -1;
}

/* for the editor: only where there is none */
static void companions (const New *n, rb_Problem *p) {
  char path[4096];
  int folder = (int)(n->name - n->path);
  snprintf(path, sizeof path, "%.*s.luarc.json", folder, n->path);
  if (create(path, writeluarc, n, p) <= 0) return;
  printf("%s\n", path);
  snprintf(path, sizeof path, "%.*s" TYPES, folder, n->path);
  if (rb_types_write(path, p) == 0) printf("%s/runbook.lua\n", path);
}

static int writefiles (const New *n, rb_Problem *p) {
  char book[4096], test[4096];
  snprintf(book, sizeof book, "%s.lua", n->path);
  snprintf(test, sizeof test, "%s_test.lua", n->path);
  if (access(test, F_OK) == 0)
    return rb_problem(p, RB_USAGE, "file", "there is a %s already: nothing was written", test);
  int made = create(book, writebook, n, p);
  if (made == 0)
    return rb_problem(p, RB_USAGE, "file", "there is a %s already: nothing was written", book);
  if (made < 0 || create(test, writetest, n, p) < 0) return p->exit;
  printf("%s\n%s\n", book, test);
  companions(n, p);
  printf("\nNext:\n  runbook run %s --dry-run\n  runbook test %s\n  runbook check %s\n",
         book, book, book);
  return p->exit;
}

/* -- the command ------------------------------------------------------------------------- */

/* NAME, with or without .lua, becomes the path and a title */
static int readname (New *n, const char *word, rb_Problem *p) {
  size_t len = strlen(word);
  if (len > 4 && strcmp(word + len - 4, ".lua") == 0) len -= 4;
  if (len >= sizeof n->path)
    return rb_problem(p, RB_USAGE, "usage", "that is a long name");
  snprintf(n->path, sizeof n->path, "%.*s", (int)len, word);
  const char *slash = strrchr(n->path, '/');
  n->name = slash != NULL ? slash + 1 : n->path;
  len = strspn(n->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  if (len == 0 || n->name[len] != '\0' || len >= sizeof n->title)
    return rb_problem(p, RB_USAGE, "usage", "'%s' is no name for a runbook: it is made of letters, "
                      "digits, '_' and '-'", n->name);
  for (const char *end[] = {"_test", "_parts"}, **e = end; e < end + 2; e++)
    if (len > strlen(*e) && strcmp(n->name + len - strlen(*e), *e) == 0)
      return rb_problem(p, RB_USAGE, "usage", "a name that ends with %s is not for a runbook, but "
                        "for a file beside one", *e);
  for (size_t i = 0; i <= len; i++)
    n->title[i] = n->name[i] == '_' || n->name[i] == '-' ? ' ' : n->name[i];
  n->title[0] = (char)toupper((unsigned char)n->title[0]);
  return 0;
}

/* "school-erp" as a script may call it: school_erp */
static void setvariable (New *n) {
  snprintf(n->variable, sizeof n->variable, "%s%s", isdigit((unsigned char)*n->system) ? "_" : "",
           n->system);
  for (char *c = n->variable; *c != '\0'; c++)
    if (!isalnum((unsigned char)*c)) *c = '_';
}

/* how the system can be looked at, on the default target */
static int readsystem (New *n, const Options *o, rb_Problem *p) {
  rb_Config *config = rb_config_load(o->config, p);
  rb_Target *target = config != NULL ? rb_config_open(config, NULL, p) : NULL;
  const char *const *have = target != NULL ? rb_target_resources(target, o->system) : NULL;
  if (target != NULL && have == NULL) {
    const char *near = rb_nearest(o->system, rb_target_systems(target));
    rb_problem(p, RB_USAGE, "usage", "target '%s' has no system '%s'%s%s%s", rb_target_name(target),
               o->system, near != NULL ? " (did you mean '" : "", near != NULL ? near : "",
               near != NULL ? "'?)" : "");
  }
  for (n->look = 0; have != NULL && looks[n->look].kind != NULL; n->look++) {
    const char *const *k = have;
    while (*k != NULL && strcmp(*k, looks[n->look].kind) != 0) k++;
    if (*k != NULL) break;
  }
  rb_config_free(config);
  return p->exit;
}

int rb_cmd_new (int argc, char **argv) {
  Options o = {0};
  rb_Arguments a;
  rb_Problem p = {0};
  New n = {.look = sizeof looks / sizeof *looks - 1};
  int status = rb_options_read(&rb_command_new, argc, argv, &o, &a);
  if (status != 0) return status;
  n.system = o.system;
  if (o.system != NULL) setvariable(&n);
  if (readname(&n, a.words[0], &p) == 0 && (o.system == NULL || readsystem(&n, &o, &p) == 0))
    writefiles(&n, &p);
  if (p.exit != 0) rb_show_problem(&p, 0);
  rb_options_free(&a);
  return p.exit;
}
