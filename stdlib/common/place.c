/*
** place.c - a file by its folder and name, reached through no symbolic link
*/

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "stdlib/common/place.h"

static const char notfiles[] = "is not a place for files";
static const char badname[] = "is no path of a file";

/* the kernel's own: reading can act, and names there lead anywhere */
static int iskernels (const char *path) {
  static const char *const roots[] = {"/proc", "/sys", "/dev"};
  for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
    size_t n = strlen(roots[i]);
    if (strncmp(path, roots[i], n) == 0 && (path[n] == '\0' || path[n] == '/'))
      return 1;
  }
  return 0;
}

/* the same, mounted somewhere else */
static int iskernelsfs (int fd) {
  static const unsigned long magics[] = {
    0x9fa0 /* proc */, 0x62656572 /* sysfs */, 0x64626720 /* debugfs */,
    0x74726163 /* tracefs */, 0x27e0eb, 0x63677270 /* cgroups */,
    0x1cd1 /* devpts */, 0x73636673 /* securityfs */, 0xcafe4a11 /* bpf */
  };
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return 0;
  for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
    if ((unsigned long)(uint32_t)fs.f_type == magics[i]) return 1;
  return 0;
}

static const char *absolute (char *out, const char *path) {
  char here[PATH_MAX];
  int n;
  if (*path == '\0') return badname;
  if (*path == '/') n = snprintf(out, PATH_MAX, "%s", path);
  else if (getcwd(here, sizeof here) == NULL) return strerror(errno);
  else n = snprintf(out, PATH_MAX, "%s/%s", here, path);
  if (n >= PATH_MAX) return "is too long";
  for (; n > 1 && out[n - 1] == '/'; n--) out[n - 1] = '\0';
  return iskernels(out) ? notfiles : NULL;
}

/* the folder is resolved, the last part stays as it is */
static const char *resolvefolder (rb_Place *p, char *given) {
  char *slash = strrchr(given, '/');
  const char *name = slash + 1;
  if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return realpath(given, p->path) != NULL ? NULL : strerror(errno);
  if (strlen(name) > NAME_MAX) return "has too long a name";
  *slash = '\0';
  if (realpath(slash == given ? "/" : given, p->path) == NULL)
    return errno == ENOENT || errno == ENOTDIR ? "is in a folder that is not there"
                                               : strerror(errno);
  size_t n = strlen(p->path);
  if (n + strlen(name) + 2 > sizeof p->path) return "is too long";
  snprintf(p->path + n, sizeof p->path - n, "%s%s", n == 1 ? "" : "/", name);
  return NULL;
}

const char *rb_place_resolve (rb_Place *p, const char *path, int follow) {
  char given[PATH_MAX];
  p->folder = p->fd = -1;
  const char *why = absolute(given, path);
  if (why != NULL) return why;
  if (!follow || realpath(given, p->path) == NULL) {
    if (follow && errno != ENOENT) return strerror(errno);
    if ((why = resolvefolder(p, given)) != NULL) return why;
  }
  if (iskernels(p->path)) return notfiles;
  const char *slash = strrchr(p->path, '/');
  snprintf(p->name, sizeof p->name, "%.*s", NAME_MAX, slash[1] != '\0' ? slash + 1 : ".");
  return NULL;
}

/* one folder down; no link is followed */
static int step (int folder, const char *name) {
  struct stat st;
  int fd = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), bad = errno;
  if (fd < 0 && bad == ENOTDIR && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0
      && S_ISLNK(st.st_mode)) bad = ELOOP;
  close(folder);
  errno = bad;
  return fd;
}

/* From the root, by the resolved path, folder by folder: this arrives at exactly what was
** asked about. */
static int openfolder (const rb_Place *p) {
  char folder[PATH_MAX], *rest = folder, *name;
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(p->path, '/') - p->path), p->path);
  int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  while (fd >= 0 && (name = strsep(&rest, "/")) != NULL)
    if (*name != '\0') fd = step(fd, name);
  return fd;
}

const char *rb_place_open (rb_Place *p) {
  p->folder = openfolder(p);
  if (p->folder < 0)
    return errno == ELOOP ? "has become a symbolic link on its way" : strerror(errno);
  p->fd = openat(p->folder, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (p->fd < 0) return errno == ENOENT ? NULL : strerror(errno);
  if (fstat(p->fd, &p->st) != 0) return strerror(errno);
  return iskernelsfs(p->fd) ? notfiles : NULL;
}

void rb_place_close (rb_Place *p) {
  if (p->folder >= 0) close(p->folder);
  if (p->fd >= 0) close(p->fd);
  p->folder = p->fd = -1;
}

/* opening anything but a regular file could act or hang */
int rb_place_read (const rb_Place *p) {
  char self[64];
  if (p->fd < 0 || !S_ISREG(p->st.st_mode)) {
    errno = p->fd < 0 ? ENOENT : EINVAL;
    return -1;
  }
  snprintf(self, sizeof self, "/proc/self/fd/%d", p->fd);
  return open(self, O_RDONLY | O_CLOEXEC);
}
