/*
** world.c - what a drill compares: tables, keys and files, as servers and disk say
**
** Databases are read by a small runbook (world.lua) in a dry run: every key with its
** value, every table as the server's own digest of its rows. Files are read here: those
** in the folders that the drilled runbook can reach by name.
*/

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/cli/session.h"
#include "vm/tape/tape.h"
#include "world.h"

#define MAXFILE ((off_t)64 << 20)  /* a bigger one is compared by size and time */

/* -- folders ------------------------------------------------------------------------ */

void rb_folders_add (rb_Folders *f, const char *path, int parent) {
  char folder[PATH_MAX], real[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (parent && slash != NULL) slash[slash == folder] = '\0';
  if (realpath(folder, real) == NULL) return;
  for (int i = 0; i < f->n; i++)
    if (strcmp(f->list[i], real) == 0) return;
  char **list = realloc(f->list, (size_t)(f->n + 1) * sizeof *list);
  if (list == NULL) return;
  f->list = list;
  if ((list[f->n] = strdup(real)) != NULL) f->n++;
}

void rb_folders_free (rb_Folders *f) {
  for (int i = 0; i < f->n; i++) free(f->list[i]);
  free(f->list);
}

/* "0644 sha256" */
static void describe (int fd, const struct stat *st, char *out, size_t size) {
  char hash[65] = "";
  void *s = st->st_size > 0 && st->st_size <= MAXFILE
          ? mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  if (s != MAP_FAILED) {
    rb_sha256(s, (size_t)st->st_size, hash);
    munmap(s, (size_t)st->st_size);
  } else if (st->st_size > 0)
    snprintf(hash, sizeof hash, "%lld bytes of %lld", (long long)st->st_size,
             (long long)st->st_mtime);
  snprintf(out, size, "%04o %s", (unsigned)st->st_mode & 07777, hash);
}

/* where a name holds a time ("-20260218-120000"), or NULL */
static char *timein (char *name) {
  for (char *p = strchr(name, '-'); p != NULL; p = strchr(p + 1, '-'))
    if (strspn(p + 1, "0123456789") == 8 && p[9] == '-' && strspn(p + 10, "0123456789") == 6)
      return p;
  return NULL;
}

/* What is named after the second it was made (a dump) has another name and content in
** each run: compared is that it is there, its mode, and how many of it there are. */
static void adddated (json_t *world, char *path, char *at, const struct stat *st) {
  char name[PATH_MAX + 32], mode[32];
  snprintf(mode, sizeof mode, "%04o, named by its time", (unsigned)st->st_mode & 07777);
  snprintf(name, sizeof name, "%.*s-TIME%s", (int)(at - path), path, at + 16);
  for (int n = 2; json_object_get(world, name) != NULL; n++)
    snprintf(name, sizeof name, "%.*s-TIME%s (%d)", (int)(at - path), path, at + 16, n);
  json_object_set_new(world, name, json_string(mode));
}

static void addfile (json_t *world, const char *folder, const char *name) {
  char path[PATH_MAX + 8], text[100], *at;
  struct stat st;
  snprintf(path, sizeof path, "file %s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
  int fd = open(path + 5, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    if ((at = timein(strrchr(path, '/'))) != NULL) adddated(world, path, at, &st);
    else {
      describe(fd, &st, text, sizeof text);
      json_object_set_new(world, path, json_string(text));
    }
  }
  if (fd >= 0) close(fd);
}

static void addfolder (json_t *world, const char *folder) {
  DIR *d = opendir(folder);
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; )
    addfile(world, folder, e->d_name);
  if (d != NULL) closedir(d);
}

/* -- databases ------------------------------------------------------------------------- */

int rb_world_script (const char *file, const json_t *resources, rb_Problem *p) {
  size_t i;
  json_t *name;
  FILE *f = fopen(file, "we");
  if (f == NULL)
    return rb_problem(p, RB_USAGE, "drill", "%s: %s", file, strerror(errno));
  fputs("local resources = {", f);
  json_array_foreach(resources, i, name) {
    const char *s = json_string_value(name), *dot = strrchr(s, '.');
    fprintf(f, " { \"%.*s\", \"%s\" },", (int)(dot - s), s, dot + 1);
  }
  fputs(" }\n", f);
  fputs(rb_world, f);
  return fclose(f) == 0 ? 0 : rb_problem(p, RB_USAGE, "drill", "%s: %s", file,
                                         strerror(errno));
}

static int databases (const rb_DrillOptions *o, const char *script, json_t *world,
                      json_t *unseen, rb_Problem *p) {
  rb_DrillOptions plain = *o;
  plain.o.answers = NULL;                 /* the runbook's: nothing of this asks */
  rb_Session s = {.o = &plain, .file = script};
  size_t i;
  json_t *f;
  int status = rb_session(&s, RB_SESSION_DRYRUN);
  if (status != 0)
    rb_problem(p, RB_FAILED, "drill", "the world cannot be looked at: %s",
               rb_session_why(&s));
  json_array_foreach(json_object_get(s.doc, "findings"), i, f) {
    const char *name = json_string_value(json_object_get(f, "name"));
    json_t *value = json_object_get(f, "value");
    const char *said = json_string_value(json_object_get(f, "status"));
    int bad = said != NULL && strcmp(said, "bad") == 0;
    json_object_set(bad ? unseen : world, name, value);
  }
  rb_session_free(&s);
  return status;
}

json_t *rb_world_look (const rb_DrillOptions *o, const rb_Folders *folders,
                       const char *script, json_t *unseen, rb_Problem *p) {
  json_t *world = json_object();
  if (databases(o, script, world, unseen, p) != 0) {
    json_decref(world);
    return NULL;
  }
  for (int i = 0; i < folders->n; i++) addfolder(world, folders->list[i]);
  return world;
}

static void differing (const json_t *a, const json_t *b, const json_t *moving,
                       const json_t *stays, json_t *out) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)a, name, value)
    if (!json_equal(value, json_object_get(b, name))
        && json_object_get(moving, name) == NULL && json_object_get(stays, name) == NULL)
      json_object_set_new(out, name, json_true());
}

json_t *rb_world_differ (const json_t *a, const json_t *b, const json_t *moving,
                         const json_t *stays) {
  json_t *names = json_object();
  differing(a, b, moving, stays, names);
  differing(b, a, moving, stays, names);
  return names;
}
