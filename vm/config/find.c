/*
** find.c - runbooks by name: as given, with .lua, then in the folders
*/

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/buffer.h"
#include "vm/config/private.h"

#define DEEPEST 4

typedef struct Found {
  char **paths;
  size_t n, size;
} Found;

static int isfile (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int endswith (const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

static int isrunbook (const char *file) {
  return endswith(file, ".lua") && !endswith(file, "_test.lua")
         && strcmp(file, "schema.lua") != 0 && *file != '.';
}

static void add (Found *f, const char *path) {
  if (f->n == f->size) {
    size_t size = f->size > 0 ? f->size * 2 : 32;
    char **paths = realloc(f->paths, size * sizeof *paths);
    if (paths == NULL) return;
    f->paths = paths;
    f->size = size;
  }
  char *copy = strdup(path);
  if (copy != NULL) f->paths[f->n++] = copy;
}

static void walk (Found *f, const char *folder, int depth) {
  char path[PATH_MAX];
  struct dirent *e;
  DIR *dir = depth <= DEEPEST ? opendir(folder) : NULL;
  if (dir == NULL) return;
  while ((e = readdir(dir)) != NULL) {
    struct stat st;
    if (*e->d_name == '.') continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path
        || stat(path, &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) walk(f, path, depth + 1);
    else if (S_ISREG(st.st_mode) && isrunbook(e->d_name)) add(f, path);
  }
  closedir(dir);
}

static int bytext (const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walkall (const rb_Config *c, Found *f) {
  for (const char *const *r = c->runbooks; r != NULL && *r != NULL; r++) walk(f, *r, 0);
  if (f->n > 1) qsort(f->paths, f->n, sizeof *f->paths, bytext);
}

static void release (Found *f) {
  for (size_t i = 0; i < f->n; i++) free(f->paths[i]);
  free(f->paths);
}

/* the name of a runbook: its file's, without folder and .lua */
static void nameof (const char *path, char *out, size_t size) {
  const char *slash = strrchr(path, '/');
  snprintf(out, size, "%s", slash != NULL ? slash + 1 : path);
  if (endswith(out, ".lua")) out[strlen(out) - 4] = '\0';
}

static int ambiguous (const Found *f, const char *name, rb_Problem *p) {
  rb_Buffer b = {0};
  char each[NAME_MAX + 1];
  for (size_t i = 0; i < f->n; i++) {
    nameof(f->paths[i], each, sizeof each);
    if (strcmp(each, name) == 0) rb_buffer_printf(&b, "%s%s", b.n > 0 ? ", " : "",
                                                  f->paths[i]);
  }
  rb_problem(p, RB_USAGE, "usage", "more than one runbook is called '%s': %s", name,
             b.s != NULL ? b.s : "");
  rb_buffer_free(&b);
  return p->exit;
}

static int unknown (const rb_Config *c, const Found *f, const char *name,
                    rb_Problem *p) {
  const char **words = calloc(f->n + 1, sizeof *words);
  char (*names)[NAME_MAX + 1] = calloc(f->n + 1, sizeof *names);
  for (size_t i = 0; words != NULL && names != NULL && i < f->n; i++) {
    nameof(f->paths[i], names[i], sizeof names[i]);
    words[i] = names[i];
  }
  const char *near = words != NULL && names != NULL ? rb_nearest(name, words) : NULL;
  if (near != NULL)
    rb_problem(p, RB_USAGE, "usage", "no runbook '%s' (did you mean '%s'?)", name, near);
  else
    rb_problem(p, RB_USAGE, "usage", "no runbook '%s': there is no such file%s", name,
               c->runbooks[0] != NULL ? ", and none in the folders of the configuration "
               "(runbook list)" : ", and no configuration names a folder of runbooks");
  free(words);
  free(names);
  return p->exit;
}

static int infolders (const rb_Config *c, const char *given, char *path, size_t size,
                      rb_Problem *p) {
  Found f = {0};
  char name[NAME_MAX + 1], each[NAME_MAX + 1];
  size_t hits = 0, hit = 0;
  walkall(c, &f);
  nameof(given, name, sizeof name);
  for (size_t i = 0; i < f.n && strchr(given, '/') == NULL; i++) {
    nameof(f.paths[i], each, sizeof each);
    if (strcmp(each, name) == 0) { hits++; hit = i; }
  }
  int status = hits == 1 ? 0 : hits > 1 ? ambiguous(&f, name, p)
               : unknown(c, &f, name, p);
  if (status == 0) {
    char *full = realpath(f.paths[hit], NULL);
    snprintf(path, size, "%s", full != NULL ? full : f.paths[hit]);
    free(full);
  }
  release(&f);
  return status;
}

int rb_config_find (const rb_Config *c, const char *name, char *path, size_t size,
                    rb_Problem *p) {
  char with[PATH_MAX];
  const char *here = isfile(name) ? name : NULL;
  snprintf(with, sizeof with, "%s.lua", name);
  if (here == NULL && isfile(with)) here = with;
  if (here == NULL) return infolders(c, name, path, size, p);
  char *full = realpath(here, NULL);
  if (full == NULL) return rb_problem(p, RB_USAGE, "usage", "cannot read %s", here);
  snprintf(path, size, "%s", full);
  free(full);
  return 0;
}

int rb_config_each (const rb_Config *c, int (*each) (void *ud, const char *path),
                    void *ud, rb_Problem *p) {
  Found f = {0};
  int stop = 0;
  (void)p;
  walkall(c, &f);
  for (size_t i = 0; i < f.n && !stop; i++) stop = each(ud, f.paths[i]);
  release(&f);
  return stop;
}
