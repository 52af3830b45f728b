/*
** filter.c - what a probe's child may ask of the kernel
**
** An allow-list: what is not named here is refused, so that next year's way
** of changing a file's mode is, too. Landlock holds the files, ports and
** signals; this holds what Landlock lets through: modes, owners, times,
** attributes, sockets, and all administration of the machine. Leaving the
** process group is refused so that nothing outlives the probe.
*/

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/fence.h"

#define TYPEMASK 0xf          /* of socket()'s type; the rest are flags */
#define TCGETS2_ 0x802c542aul

static const char *const allowed[] = {
  /* descriptors and files: Landlock decides where */
  "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv",
  "pwritev", "preadv2", "pwritev2", "creat",
  "close", "close_range", "stat", "fstat", "lstat", "newfstatat", "statx",
  "statfs", "fstatfs", "lseek", "dup", "dup2", "dup3", "fcntl", "flock",
  "fsync", "fdatasync", "sync", "syncfs", "sync_file_range",
  "ftruncate", "fallocate", "fadvise64", "readahead", "getdents",
  "getdents64", "getcwd", "chdir", "fchdir", "rename", "renameat",
  "renameat2", "mkdir", "mkdirat", "rmdir", "link", "linkat", "unlink",
  "unlinkat", "symlink", "symlinkat", "readlink", "readlinkat", "mknod",
  "mknodat", "umask", "access", "faccessat", "faccessat2", "getxattr",
  "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
  "sendfile", "copy_file_range", "splice", "tee", "vmsplice", "pipe",
  "pipe2", "memfd_create", "name_to_handle_at", "inotify_init",
  "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
  /* memory */
  "mmap", "mprotect", "munmap", "mremap", "msync", "mincore", "madvise",
  "brk", "mlock", "mlock2", "munlock", "mlockall", "munlockall", "mbind",
  "set_mempolicy", "get_mempolicy", "pkey_mprotect", "pkey_alloc",
  "pkey_free", "memfd_secret", "membarrier", "mseal", "map_shadow_stack",
  /* itself */
  "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4",
  "waitid", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid",
  "getegid", "getresuid", "getresgid", "getgroups", "getpgrp", "getpgid",
  "getsid", "capget", "capset", "prctl", "arch_prctl", "set_tid_address",
  "set_robust_list", "get_robust_list", "rseq", "set_thread_area",
  "get_thread_area", "getrlimit", "setrlimit", "getrusage", "times",
  "sysinfo", "uname", "getcpu", "getrandom", "getpriority", "ioprio_get",
  "sched_yield", "sched_getparam", "sched_getscheduler", "sched_getattr",
  "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity",
  "sched_rr_get_interval", "seccomp", "landlock_create_ruleset",
  "landlock_add_rule", "landlock_restrict_self", "pidfd_open",
  /* time, signals to itself, waiting */
  "gettimeofday", "time", "clock_gettime", "clock_getres", "clock_nanosleep",
  "nanosleep", "getitimer", "setitimer", "alarm", "pause", "timer_create",
  "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
  "timerfd_create", "timerfd_settime", "timerfd_gettime", "rt_sigaction",
  "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
  "rt_sigsuspend", "sigaltstack", "signalfd", "signalfd4", "restart_syscall",
  "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1",
  "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd",
  "eventfd2", "futex", "futex_waitv", "futex_wake", "futex_wait",
  "futex_requeue",
  /* sockets that it may have */
  "connect", "recvfrom", "recvmsg", "recvmmsg", "shutdown", "getsockname",
  "getpeername", "getsockopt", "setsockopt", NULL
};

/* libraries know what to do when these are not there; io_uring would pass by
** this filter, clone3 hides its flags */
static const char *const absent[] = {
  "clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", NULL
};

/* requests that only look, or concern the descriptor alone */
static const unsigned long requests[] = {
  TCGETS, TCGETS2_, TIOCGWINSZ, TIOCGPGRP, TIOCGSID, TIOCOUTQ, FIONREAD,
  FIONBIO, FIOCLEX, FIONCLEX, FIGETBSZ, FS_IOC_GETFLAGS, FS_IOC_FIEMAP,
  BLKGETSIZE64, BLKSSZGET
};

/* nobody but itself: the argument that names a process is 0 */
static const struct { const char *name; unsigned arg; } own[] = {
  {"setpriority", 1}, {"ioprio_set", 1}, {"sched_setaffinity", 0},
  {"sched_setscheduler", 0}, {"sched_setparam", 0}, {"sched_setattr", 0},
  {"prlimit64", 0}
};

/* a signal by number; Landlock 6 knows whose process it is */
static const struct { const char *name; unsigned sig; } signals[] = {
  {"kill", 1}, {"tkill", 1}, {"tgkill", 2}
};

static int rule (scmp_filter_ctx c, uint32_t action, const char *name,
                 unsigned n, const struct scmp_arg_cmp *args) {
  int nr = seccomp_syscall_resolve_name(name);
  if (nr == __NR_SCMP_ERROR) return 0;  /* unknown here: refused by default */
  int rc = seccomp_rule_add_array(c, action, nr, n, args);
  return rc == -EDOM || rc == -EACCES ? 0 : rc;
}

static struct scmp_arg_cmp equal (unsigned arg, scmp_datum_t value) {
  return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
}

static struct scmp_arg_cmp masked (unsigned arg, scmp_datum_t mask,
                                   scmp_datum_t value) {
  return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, mask, value};
}

static int when (scmp_filter_ctx c, const char *name, struct scmp_arg_cmp a) {
  return rule(c, SCMP_ACT_ALLOW, name, 1, &a);
}

static int addplain (scmp_filter_ctx c) {
  int rc = 0;
  for (const char *const *s = allowed; *s != NULL; s++)
    rc |= rule(c, SCMP_ACT_ALLOW, *s, 0, NULL);
  for (const char *const *s = absent; *s != NULL; s++)
    rc |= rule(c, SCMP_ACT_ERRNO(ENOSYS), *s, 0, NULL);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
    rc |= when(c, "ioctl", masked(1, 0xffffffffu, requests[i]));
  return rc;
}

/* Landlock 1 and 2 do not see that a file is cut short: there only what is
** opened for writing may be, since that they do see */
static int addopen (scmp_filter_ctx c, int abi) {
  static const struct { const char *name; unsigned flags; } opens[] = {
    {"open", 1}, {"openat", 2}
  };
  int rc = 0;
  for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
    if (abi >= 3) rc |= rule(c, SCMP_ACT_ALLOW, opens[i].name, 0, NULL);
    else rc |= when(c, opens[i].name, masked(opens[i].flags, O_TRUNC, 0))
        | when(c, opens[i].name, masked(opens[i].flags, O_ACCMODE, O_WRONLY))
        | when(c, opens[i].name, masked(opens[i].flags, O_ACCMODE, O_RDWR));
  }
  if (abi < 3) return rc | rule(c, SCMP_ACT_ERRNO(ENOSYS), "openat2", 0, NULL);
  return rc | rule(c, SCMP_ACT_ALLOW, "openat2", 0, NULL)
            | rule(c, SCMP_ACT_ALLOW, "truncate", 0, NULL);
}

/* threads and children, but no namespaces */
static int addclone (scmp_filter_ctx c) {
  const scmp_datum_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
      CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  return when(c, "clone", masked(0, spaces, 0));
}

static int addprocesses (scmp_filter_ctx c, int abi) {
  int rc = 0;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    rc |= when(c, own[i].name, equal(own[i].arg, 0));
  rc |= when(c, "prlimit64", equal(2, 0));
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    rc |= abi >= 6 ? rule(c, SCMP_ACT_ALLOW, signals[i].name, 0, NULL)
        : when(c, signals[i].name, equal(signals[i].sig, 0));
  if (abi >= 6) return rc | rule(c, SCMP_ACT_ALLOW, "pidfd_send_signal", 0, NULL);
  return rc | when(c, "kill", equal(0, 0));  /* its own group */
}

static int addsocket (scmp_filter_ctx c, const char *name, int domain,
                      int type, int protocol) {
  const struct scmp_arg_cmp args[] = {
    equal(0, (scmp_datum_t)domain),
    masked(1, TYPEMASK, (scmp_datum_t)type),
    equal(2, (scmp_datum_t)protocol)
  };
  return rule(c, SCMP_ACT_ALLOW, name, 3, args);
}

/* A pair of datagram sockets could send to any address. TCP only where
** Landlock decides which port (other protocols it does not see), and no
** MSG_FASTOPEN, which connects without connect(). */
static int addsockets (scmp_filter_ctx c, int delegates, int connects) {
  static const int inet[] = {AF_INET, AF_INET6};
  static const struct { const char *name; unsigned arg; } sends[] = {
    {"sendto", 3}, {"sendmsg", 2}, {"sendmmsg", 3}
  };
  int rc = addsocket(c, "socketpair", AF_UNIX, SOCK_STREAM, 0)
         | addsocket(c, "socketpair", AF_UNIX, SOCK_SEQPACKET, 0);
  for (int i = 0; i < 2 && connects; i++)
    rc |= addsocket(c, "socket", inet[i], SOCK_STREAM, 0)
        | addsocket(c, "socket", inet[i], SOCK_STREAM, IPPROTO_TCP);
  for (int i = 0; i < 2 && delegates; i++)   /* names are asked by UDP */
    rc |= addsocket(c, "socket", inet[i], SOCK_DGRAM, 0)
        | addsocket(c, "socket", inet[i], SOCK_DGRAM, IPPROTO_UDP);
  if (delegates)
    rc |= addsocket(c, "socket", AF_UNIX, SOCK_STREAM, 0)
        | addsocket(c, "socket", AF_UNIX, SOCK_DGRAM, 0)
        | addsocket(c, "socket", AF_UNIX, SOCK_SEQPACKET, 0);
  for (size_t i = 0; i < sizeof sends / sizeof *sends; i++)
    rc |= when(c, sends[i].name, masked(sends[i].arg, MSG_FASTOPEN, 0));
  return rc;
}

/* the program's bytes as the kernel takes them; NULL: it cannot be made */
static struct sock_fprog *export (scmp_filter_ctx c) {
  struct sock_fprog *p = NULL;
  struct stat st;
  void *code = NULL;
  int fd = memfd_create("filter", MFD_CLOEXEC);
  if (fd < 0) return NULL;
  if (seccomp_export_bpf(c, fd) == 0 && fstat(fd, &st) == 0 &&
      (code = malloc((size_t)st.st_size)) != NULL &&
      pread(fd, code, (size_t)st.st_size, 0) == st.st_size &&
      (p = malloc(sizeof *p)) != NULL) {
    p->len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
    p->filter = code;
  }
  if (p == NULL) free(code);
  close(fd);
  return p;
}

static struct sock_fprog *make (int abi, int delegates, int connects) {
  struct sock_fprog *p = NULL;
  scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (c == NULL) return NULL;
  int rc = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  rc |= addplain(c) | addopen(c, abi) | addclone(c) | addprocesses(c, abi);
  rc |= addsockets(c, delegates, connects);
  if (rc == 0) p = export(c);
  seccomp_release(c);
  return p;
}

const struct sock_fprog *rb_filter (int abi, int delegates, int connects) {
  static struct sock_fprog *made[2][2];
  struct sock_fprog **p = &made[delegates != 0][connects != 0];
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) return NULL;  /* not built in */
  if (*p == NULL) *p = make(abi, delegates, connects);
  return *p;
}
