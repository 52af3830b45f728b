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

typedef struct File {
  char *path;
  dev_t device;
  ino_t inode;
} File;

typedef struct Found {
  File *files;
  size_t n, size;
} Found;

static int isfolder (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int isfile (const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int endswith (const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

/* NAME_test.lua is a test where NAME.lua stands beside it: `dr_test` may be a
** runbook's own name */
static int istest (const char *path) {
  char tested[PATH_MAX];
  if (!endswith(path, "_test.lua")) return 0;
  int n = (int)(strlen(path) - strlen("_test.lua"));
  return (size_t)snprintf(tested, sizeof tested, "%.*s.lua", n, path) < sizeof tested
         && isfile(tested);
}

int rb_config_companion (const char *path) {
  const char *slash = strrchr(path, '/');
  return strcmp(slash != NULL ? slash + 1 : path, "schema.lua") == 0
         || endswith(path, "_parts.lua") || istest(path);
}

/* a file that two folders lead to is one */
static void add (Found *f, const char *path, const struct stat *st) {
  for (size_t i = 0; i < f->n; i++)
    if (f->files[i].inode == st->st_ino && f->files[i].device == st->st_dev) return;
  if (f->n == f->size) {
    size_t size = f->size > 0 ? f->size * 2 : 32;
    File *files = realloc(f->files, size * sizeof *files);
    if (files == NULL) return;
    f->files = files;
    f->size = size;
  }
  char *copy = strdup(path);
  if (copy != NULL) f->files[f->n++] = (File){copy, st->st_dev, st->st_ino};
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
    else if (S_ISREG(st.st_mode) && endswith(path, ".lua") && !rb_config_companion(path))
      add(f, path, &st);
  }
  closedir(dir);
}

static int bypath (const void *a, const void *b) {
  return strcmp(((const File *)a)->path, ((const File *)b)->path);
}

static void walkall (const rb_Config *c, Found *f) {
  for (const char *const *r = rb_config_runbooks(c); *r != NULL; r++) walk(f, *r, 0);
  if (f->n > 1) qsort(f->files, f->n, sizeof *f->files, bypath);
}

static void release (Found *f) {
  for (size_t i = 0; i < f->n; i++) free(f->files[i].path);
  free(f->files);
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
    nameof(f->files[i].path, each, sizeof each);
    if (strcmp(each, name) == 0) rb_buffer_printf(&b, "%s%s", b.n > 0 ? ", " : "",
                                                  f->files[i].path);
  }
  rb_problem(p, RB_USAGE, "usage", "more than one runbook is called '%s': %s", name,
             b.s != NULL ? b.s : "");
  rb_buffer_free(&b);
  return p->exit;
}

static int unknown (const rb_Config *c, const Found *f, const char *given,
                    const char *name, rb_Problem *p) {
  const char **words = calloc(f->n + 1, sizeof *words);
  char (*names)[NAME_MAX + 1] = calloc(f->n + 1, sizeof *names);
  for (size_t i = 0; words != NULL && names != NULL && i < f->n; i++) {
    nameof(f->files[i].path, names[i], sizeof names[i]);
    words[i] = names[i];
  }
  const char *near = words != NULL && names != NULL ? rb_nearest(name, words) : NULL;
  if (near != NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no runbook '%s' (did you mean '%s'?)",
               given, near);
  else if (isfolder(given))
    rb_problem(p, RB_USAGE, "usage", "%s is a folder: name a runbook in it", given);
  else
    rb_problem(p, RB_USAGE, "usage", "there is no runbook '%s': no such file%s", given,
               *rb_config_runbooks(c) != NULL ? ", and none in the folders of the "
               "configuration (runbook list)" : ", and no configuration names a folder "
               "of runbooks");
  free(words);
  free(names);
  return p->exit;
}

static int absolute (const char *file, char *path, size_t size, rb_Problem *p) {
  char *full = realpath(file, NULL);
  int fits = full != NULL && (size_t)snprintf(path, size, "%s", full) < size;
  free(full);
  return fits ? 0 : rb_problem(p, RB_USAGE, "usage", "cannot read %s", file);
}

/* by its name alone, anywhere in the folders */
static int infolders (const rb_Config *c, const char *given, char *path, size_t size,
                      rb_Problem *p) {
  Found f = {0};
  char name[NAME_MAX + 1], each[NAME_MAX + 1];
  size_t hits = 0, hit = 0;
  walkall(c, &f);
  nameof(given, name, sizeof name);
  for (size_t i = 0; i < f.n && strchr(given, '/') == NULL; i++) {
    nameof(f.files[i].path, each, sizeof each);
    if (strcmp(each, name) == 0) { hits++; hit = i; }
  }
  int status = hits == 1 ? absolute(f.files[hit].path, path, size, p)
               : hits > 1 ? ambiguous(&f, name, p) : unknown(c, &f, given, name, p);
  release(&f);
  return status;
}

/* "folder/name" or "folder/name.lua", when there is such a file */
static int isthere (const char *folder, const char *name, char *path, size_t size) {
  static const char *const ends[] = {"", ".lua", NULL};
  for (const char *const *end = ends; *end != NULL; end++) {
    int n = snprintf(path, size, "%s%s%s%s", folder, *folder != '\0' ? "/" : "", name,
                     *end);
    if (n > 0 && (size_t)n < size && isfile(path)) return 1;
  }
  return 0;
}

int rb_config_find (const rb_Config *c, const char *name, char *path, size_t size,
                    rb_Problem *p) {
  char file[PATH_MAX];
  const char *const *folder = rb_config_runbooks(c);
  if (isthere("", name, file, sizeof file)) return absolute(file, path, size, p);
  int within = strchr(name, '/') != NULL && *name != '/' && *name != '.';
  for (; within && *folder != NULL; folder++)
    if (isthere(*folder, name, file, sizeof file)) return absolute(file, path, size, p);
  return infolders(c, name, path, size, p);
}

int rb_config_each (const rb_Config *c, int (*each) (void *ud, const char *path),
                    void *ud, rb_Problem *p) {
  Found f = {0};
  int stop = 0;
  (void)p;
  walkall(c, &f);
  for (size_t i = 0; i < f.n && !stop; i++) stop = each(ud, f.files[i].path);
  release(&f);
  return stop;
}
