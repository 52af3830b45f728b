/*
** swap.c - putting a new content in the place of an old one, at once
**
** The new content is written beside the old one, made durable, and then the
** two trade names (RENAME_EXCHANGE): whatever was there at that instant is in
** our hands, and if it is not what was expected the names are traded back.
** Nobody ever sees half a file, and no other writer's work is lost.
*/

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stdlib/common/swap.h"

#define CHUNK ((size_t)1 << 16)
#define MAXTRADES 1000

static int renameflags (int from, const char *a, int to, const char *b,
                        unsigned flags) {
  return (int)syscall(SYS_renameat2, from, a, to, b, flags);
}

/* is it the file system, not the file, that says no? */
static int unsupported (int error) {
  return error == EINVAL || error == ENOSYS || error == EBUSY || error == EXDEV
         || error == EOPNOTSUPP;
}

static int syncfolder (const rb_Place *p) {
  int fd = openat(p->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  int rc = fsync(fd);
  close(fd);
  return rc;
}

static void randomname (char *name, size_t size) {
  uint64_t r = 0;
  if (getrandom(&r, sizeof r, 0) != sizeof r) r = (uint64_t)getpid();
  snprintf(name, size, ".rb-%016llx", (unsigned long long)r);
}

/* what has that name now, for looking at; a link or a folder as itself */
static int openany (int folder, const char *name) {
  struct stat st;
  if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  int flags = S_ISREG(st.st_mode) ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH;
  return openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

static int isexpected (const rb_Expected *e, int folder, const char *name) {
  int fd = openany(folder, name);
  if (fd < 0) return 0;
  int yes = e->same(e->ud, fd);
  close(fd);
  return yes;
}

/* -- making the new file ------------------------------------------------------- */

static int writeall (int fd, const char *s, size_t n) {
  while (n > 0) {
    ssize_t w = write(fd, s, n);
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) return -1;
    s += w;
    n -= (size_t)w;
  }
  return 0;
}

ssize_t rb_temp_copy (rb_Temp *t, int from, off_t *at, size_t max) {
  static char chunk[CHUNK];  /* nothing here yields or nests */
  ssize_t n = copy_file_range(from, at, t->fd, NULL, max, 0);
  if (n >= 0) return n;
  if (!unsupported(errno)) return -1;
  n = pread(from, chunk, max < CHUNK ? max : CHUNK, *at);
  if (n <= 0) return n;
  *at += n;
  return writeall(t->fd, chunk, (size_t)n) == 0 ? n : -1;
}

/* access lists and labels come with the file; others where they can */
static int copyattribute (int from, int to, const char *name) {
  char value[4096];
  ssize_t n = fgetxattr(from, name, value, sizeof value);
  if (n < 0) return errno == ENODATA ? 0 : -1;
  if (fsetxattr(to, name, value, (size_t)n, 0) == 0) return 0;
  return strncmp(name, "system.posix_acl", 16) == 0 ? -1 : 0;
}

static int copyattributes (int from, int to) {
  char names[8192];
  ssize_t n = flistxattr(from, names, sizeof names);
  if (n < 0) return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -1;
  for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
    if (copyattribute(from, to, names + i) != 0) return -1;
  return 0;
}

static int keepowner (const rb_Place *p, int to) {
  int from = rb_place_read(p), rc = 0;
  if (from < 0) return -1;
  if (fchown(to, p->st.st_uid, p->st.st_gid) != 0) rc = -1;
  else rc = copyattributes(from, to);
  close(from);
  return rc;
}

void rb_temp_drop (const rb_Place *p, rb_Temp *t) {
  int error = errno;
  if (t->fd >= 0) {
    close(t->fd);
    unlinkat(p->folder, t->name, 0);
  }
  t->fd = -1;
  errno = error;
}

int rb_temp_open (const rb_Place *p, rb_Temp *t) {
  randomname(t->name, sizeof t->name);
  t->fd = openat(p->folder, t->name,
                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  return t->fd >= 0 ? 0 : -1;
}

/* -- new, swapped, written over ------------------------------------------------------ */

static rb_Swapped named (const rb_Place *p, rb_Temp *t) {
  if (renameflags(p->folder, t->name, p->folder, p->name, RENAME_NOREPLACE) == 0)
    close(t->fd);
  else {
    if (unsupported(errno)  /* a hard link does not replace anything, either */
        && linkat(p->folder, t->name, p->folder, p->name, 0) == 0) errno = 0;
    int error = errno;
    rb_temp_drop(p, t);
    if (error == EEXIST) return RB_SWAP_DRIFT;
    if (error != 0) return RB_SWAP_FAILED;
  }
  t->fd = -1;
  return syncfolder(p) == 0 ? RB_SWAP_DONE : RB_SWAP_BROKEN;
}

static int issame (int fd, int folder, const char *name) {
  struct stat a, b;
  return fstat(fd, &a) == 0 && fstatat(folder, name, &b, AT_SYMLINK_NOFOLLOW) == 0
         && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The names have been traded and what came out is not what was expected: back.
** What comes out then should be what was put there last; if it is not, another
** writer has been faster, his is the newest and goes back in turn. The
** descriptors keep inodes from being given again. */
static rb_Swapped tradeback (const rb_Place *p, rb_Temp *t) {
  for (int i = 0; i < MAXTRADES; i++) {
    int held = openat(p->folder, t->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (held < 0) break;
    if (renameflags(p->folder, t->name, p->folder, p->name, RENAME_EXCHANGE) != 0) {
      int error = errno;
      close(held);
      errno = error;
      break;
    }
    if (issame(t->fd, p->folder, t->name)) {
      rb_temp_drop(p, t);
      close(held);
      return RB_SWAP_DRIFT;
    }
    close(t->fd);
    t->fd = held;
  }
  int error = errno;
  close(t->fd);  /* both files stay: nothing that may be wanted is removed */
  t->fd = -1;
  errno = error;
  return RB_SWAP_BROKEN;
}

static rb_Swapped overwrite (const rb_Place *p, const rb_Content *c, mode_t mode,
                             const rb_Expected *e) {
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", p->fd);
  int fd = open(self, O_RDWR | O_CLOEXEC);
  if (fd < 0) return RB_SWAP_FAILED;
  rb_Swapped done = RB_SWAP_DONE;
  if (e->same(e->ud, fd) != 1) done = RB_SWAP_DRIFT;
  else if (lseek(fd, 0, SEEK_SET) != 0) done = RB_SWAP_FAILED;
  else if (ftruncate(fd, 0) != 0 || writeall(fd, c->s, c->n) != 0
           || ((p->st.st_mode & 07777) != mode && fchmod(fd, mode) != 0)
           || fsync(fd) != 0) done = RB_SWAP_BROKEN;
  int error = errno;
  close(fd);
  errno = error;
  return done;
}

static rb_Swapped trade (const rb_Place *p, rb_Temp *t, const rb_Expected *e) {
  if (renameflags(p->folder, t->name, p->folder, p->name, RENAME_EXCHANGE) != 0) {
    rb_temp_drop(p, t);
    return errno == ENOENT ? RB_SWAP_DRIFT : RB_SWAP_FAILED;
  }
  if (!isexpected(e, p->folder, t->name)) return tradeback(p, t);
  rb_temp_drop(p, t);
  return syncfolder(p) == 0 ? RB_SWAP_DONE : RB_SWAP_BROKEN;
}

rb_Swapped rb_temp_swap (const rb_Place *p, rb_Temp *t, mode_t mode,
                         const rb_Expected *expected) {
  if ((p->fd >= 0 && keepowner(p, t->fd) != 0) || fchmod(t->fd, mode) != 0
      || fsync(t->fd) != 0) {
    rb_temp_drop(p, t);
    return RB_SWAP_FAILED;
  }
  return p->fd < 0 ? named(p, t) : trade(p, t, expected);
}

rb_Swapped rb_swap (const rb_Place *p, const rb_Content *c, mode_t mode,
                    const rb_Expected *expected) {
  rb_Temp t;
  if (p->fd >= 0 && !rb_swap_guarded(p)) return overwrite(p, c, mode, expected);
  if (rb_temp_open(p, &t) != 0) return RB_SWAP_FAILED;
  if (writeall(t.fd, c->s, c->n) != 0) {
    rb_temp_drop(p, &t);
    return RB_SWAP_FAILED;
  }
  rb_Swapped done = rb_temp_swap(p, &t, mode, expected);
  if (done != RB_SWAP_FAILED || p->fd < 0 || !unsupported(errno)) return done;
  return overwrite(p, c, mode, expected);  /* the file system cannot, after all */
}

/* -- taking away, another name ----------------------------------------------------------- */

rb_Swapped rb_swap_remove (const rb_Place *p, const rb_Expected *expected) {
  char name[32];
  randomname(name, sizeof name);
  if (renameflags(p->folder, p->name, p->folder, name, RENAME_NOREPLACE) != 0) {
    if (!unsupported(errno)) return errno == ENOENT ? RB_SWAP_DRIFT : RB_SWAP_FAILED;
    if (!isexpected(expected, p->folder, p->name)) return RB_SWAP_DRIFT;
    if (unlinkat(p->folder, p->name, 0) != 0) return RB_SWAP_FAILED;
  } else if (!isexpected(expected, p->folder, name)) {
    return renameflags(p->folder, name, p->folder, p->name, RENAME_NOREPLACE) == 0
           ? RB_SWAP_DRIFT : RB_SWAP_BROKEN;
  } else if (unlinkat(p->folder, name, 0) != 0) return RB_SWAP_BROKEN;
  return syncfolder(p) == 0 ? RB_SWAP_DONE : RB_SWAP_BROKEN;
}

rb_Swapped rb_swap_move (const rb_Place *p, const rb_Place *to,
                         const rb_Expected *expected) {
  if (renameflags(p->folder, p->name, to->folder, to->name, RENAME_NOREPLACE) != 0)
    return errno == ENOENT || errno == EEXIST ? RB_SWAP_DRIFT : RB_SWAP_FAILED;
  if (!isexpected(expected, to->folder, to->name))
    return renameflags(to->folder, to->name, p->folder, p->name,
                       RENAME_NOREPLACE) == 0 ? RB_SWAP_DRIFT : RB_SWAP_BROKEN;
  return syncfolder(to) == 0 && syncfolder(p) == 0 ? RB_SWAP_DONE : RB_SWAP_BROKEN;
}

/* -- can it be? ------------------------------------------------------------------------------ */

static int exchanges (int folder) {
  static const unsigned long magics[] = {
    0xef53 /* ext */, 0x58465342 /* xfs */, 0x9123683e /* btrfs */,
    0x01021994 /* tmpfs */, 0x794c7630 /* overlay */, 0xf2f52010 /* f2fs */,
    0x2fc12fc1 /* zfs */, 0xca451a4e /* bcachefs */
  };
  struct statfs fs;
  if (fstatfs(folder, &fs) != 0) return 0;
  for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
    if ((unsigned long)(uint32_t)fs.f_type == magics[i]) return 1;
  return 0;
}

static uint64_t mountid (int fd) {
  struct statx x;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) != 0
      || !(x.stx_mask & STATX_MNT_ID)) return 0;
  return x.stx_mnt_id;
}

int rb_swap_guarded (const rb_Place *p) {
  if (faccessat(p->folder, ".", W_OK | X_OK, AT_EACCESS) != 0) return 0;
  if (!exchanges(p->folder)) return 0;
  if (p->fd < 0) return 1;
  if (geteuid() != 0 && p->st.st_uid != geteuid()) return 0;
  return mountid(p->fd) == mountid(p->folder);
}
