/*
** attack.c - one attempt to change something outside: attack NAME FOLDER PID PORT
**
** Exit 0: it worked; 1: it was refused (errno is printed). FOLDER holds
** "file" (0644) and is not the scratch folder; PID is a process of the same
** user; PORT takes TCP on 127.0.0.1, and FOLDER/socket takes a Unix stream.
*/

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

static char *folder, file[4096], other[4096], sock[4096];
static pid_t victim;
static int port;

#define TRY(name, expression) static int name (void) { return (expression) ? 0 : 1; }

static int writes (int fd) { return fd >= 0 && write(fd, "x", 1) == 1; }

/* files */
TRY(a_write, writes(open(file, O_WRONLY)))
TRY(a_append, writes(open(file, O_WRONLY | O_APPEND)))
TRY(a_rdwr, writes(open(file, O_RDWR)))
TRY(a_create, writes(open(other, O_WRONLY | O_CREAT | O_EXCL, 0600)))
TRY(a_creat, creat(other, 0600) >= 0)
TRY(a_truncate, truncate(file, 0) == 0)
TRY(a_opentrunc, open(file, O_RDONLY | O_TRUNC) >= 0)
TRY(a_unlink, unlink(file) == 0)
TRY(a_rename, rename(file, other) == 0)
TRY(a_mkdir, mkdir(other, 0700) == 0)
TRY(a_symlink, symlink("file", other) == 0)
TRY(a_link, link(file, other) == 0)
TRY(a_fifo, mkfifo(other, 0600) == 0)
TRY(a_mknod, mknod(other, S_IFREG | 0600, 0) == 0)
TRY(a_chmod, chmod(file, 0600) == 0)
TRY(a_fchmod, fchmod(open(file, O_RDONLY), 0600) == 0)
TRY(a_fchmodat2, syscall(452, AT_FDCWD, file, 0600, 0) == 0)
TRY(a_chown, chown(file, getuid(), getgid()) == 0)
TRY(a_fchown, fchown(open(file, O_RDONLY), getuid(), getgid()) == 0)
TRY(a_utimes, utimes(file, NULL) == 0)
TRY(a_utime, utime(file, NULL) == 0)
TRY(a_utimensat, utimensat(AT_FDCWD, file, NULL, 0) == 0)
TRY(a_futimens, futimens(open(file, O_RDONLY), NULL) == 0)
TRY(a_setxattr, setxattr(file, "user.x", "1", 1, 0) == 0)
TRY(a_fsetxattr, fsetxattr(open(file, O_RDONLY), "user.x", "1", 1, 0) == 0)

static int a_chattr (void) {
  int flags = 0, fd = open(file, O_RDONLY);
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return 2;
  return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0 ? 0 : 1;
}
static int a_openat2 (void) {
  struct { unsigned long long flags, mode, resolve; } how = {O_WRONLY, 0, 0};
  return writes((int)syscall(437, AT_FDCWD, file, &how, sizeof how)) ? 0 : 1;
}
static int a_procroot (void) {
  char path[8192];
  snprintf(path, sizeof path, "/proc/self/root%s", file);
  return writes(open(path, O_WRONLY)) ? 0 : 1;
}
static int a_fdreopen (void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", open(file, O_RDONLY));
  return writes(open(path, O_WRONLY)) ? 0 : 1;
}
TRY(a_sysctl, open("/proc/sys/kernel/hostname", O_WRONLY) >= 0)
TRY(a_shmfile, writes(open("/dev/shm/rb-attack", O_WRONLY | O_CREAT, 0600))
               && unlink("/dev/shm/rb-attack") == 0)
TRY(a_mapshared, mmap(NULL, 1, PROT_WRITE, MAP_SHARED, open(file, O_RDWR), 0) != MAP_FAILED)

/* processes */
TRY(a_kill, kill(victim, SIGCONT) == 0)
TRY(a_killall, kill(-1, 0) == 0 && kill(victim, 0) == 0)
TRY(a_tgkill, syscall(SYS_tgkill, victim, victim, SIGCONT) == 0)
TRY(a_pidfdkill, syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, victim, 0),
                         SIGCONT, NULL, 0) == 0)
TRY(a_setpriority, setpriority(PRIO_PROCESS, (id_t)victim, 1) == 0)
TRY(a_ptrace, ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0)
TRY(a_procmem, ({ char p[64]; snprintf(p, sizeof p, "/proc/%d/mem", (int)victim);
                  open(p, O_WRONLY) >= 0; }))
static int a_sigqueue (void) {
  union sigval v = {0};
  return sigqueue(victim, SIGCONT, v) == 0 ? 0 : 1;
}
static int a_affinity (void) {
  cpu_set_t set;
  if (sched_getaffinity(victim, sizeof set, &set) != 0) return 2;
  return sched_setaffinity(victim, sizeof set, &set) == 0 ? 0 : 1;
}
static int a_prlimit (void) {
  struct rlimit r;
  if (prlimit(0, RLIMIT_CORE, NULL, &r) != 0) return 2;
  return prlimit(victim, RLIMIT_CORE, &r, NULL) == 0 ? 0 : 1;
}
static int a_vmwrite (void) {
  char c = 0;
  struct iovec here = {&c, 1}, there = {(void *)&writes, 1};
  if (process_vm_writev(victim, &here, 1, &there, 1, 0) == 1) return 0;
  return errno == EFAULT ? 0 : 1;  /* the address was wrong, the right was there */
}

/* sockets */
static int to (int s, const char *address) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
  inet_pton(AF_INET, address, &in.sin_addr);
  return connect(s, (struct sockaddr *)&in, sizeof in);
}
TRY(a_connect, to(socket(AF_INET, SOCK_STREAM, 0), "127.0.0.1") == 0)
TRY(a_udp, to(socket(AF_INET, SOCK_DGRAM, 0), "127.0.0.1") == 0)
TRY(a_raw, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0)
TRY(a_packet, socket(AF_PACKET, SOCK_RAW, 0) >= 0)
TRY(a_netlink, socket(AF_NETLINK, SOCK_RAW, 0) >= 0)
TRY(a_listen, listen(socket(AF_INET, SOCK_STREAM, 0), 1) == 0)
TRY(a_mptcp, socket(AF_INET, SOCK_STREAM, 262) >= 0)
static int a_bind (void) {
  struct sockaddr_in in = {.sin_family = AF_INET};
  int s = socket(AF_INET, SOCK_STREAM, 0);
  return bind(s, (struct sockaddr *)&in, sizeof in) == 0 ? 0 : 1;
}
static int a_fastopen (void) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
  inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM, 0);
  return sendto(s, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&in, sizeof in) >= 0 ? 0 : 1;
}
static int unixto (int s) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  memcpy(un.sun_path, sock, sizeof un.sun_path - 1);
  return connect(s, (struct sockaddr *)&un, sizeof un);
}
TRY(a_unix, unixto(socket(AF_UNIX, SOCK_STREAM, 0)) == 0)
static int a_dgrampair (void) {
  int s[2];
  return socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 ? 0 : 1;
}
static int a_streampair (void) {  /* a pair that is connected goes nowhere else */
  int s[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0) return 1;
  return unixto(s[0]) == 0 ? 0 : 1;
}

/* the machine */
TRY(a_mount, mount("none", "/mnt", "tmpfs", 0, NULL) == 0 && umount("/mnt") == 0)
TRY(a_unshare, unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0)
TRY(a_chroot, chroot("/") == 0)
TRY(a_setuid, setuid(getuid()) == 0)
TRY(a_hostname, ({ char h[256]; gethostname(h, sizeof h); sethostname(h, strlen(h)) == 0; }))
TRY(a_keyctl, syscall(SYS_add_key, "user", "rb", "x", 1, -3) >= 0)
TRY(a_bpf, syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno == EINVAL || errno == EFAULT)
TRY(a_iouring, ({ char p[256] = {0}; syscall(SYS_io_uring_setup, 1, p) >= 0; }))
TRY(a_userfault, syscall(SYS_userfaultfd, 0) >= 0)
TRY(a_shmget, shmctl(shmget(IPC_PRIVATE, 4096, 0600), IPC_RMID, NULL) == 0)
TRY(a_semget, semctl(semget(IPC_PRIVATE, 1, 0600), 0, IPC_RMID) == 0)
TRY(a_msgget, msgctl(msgget(IPC_PRIVATE, 0600), IPC_RMID, NULL) == 0)
TRY(a_mqueue, mq_open("/rb-attack", O_CREAT | O_RDWR, 0600, NULL) >= 0
              && mq_unlink("/rb-attack") == 0)
TRY(a_perf, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0 || errno == EFAULT)
static int a_clock (void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return clock_settime(CLOCK_REALTIME, &t) == 0 ? 0 : 1;
}
static int a_newns (void) {
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0) _exit(0);
  return pid > 0 ? 0 : 1;
}
TRY(a_setsid, ({ pid_t p = fork(); int st = 1; if (p == 0) _exit(setsid() < 0);
                 waitpid(p, &st, 0); st == 0; }))
TRY(a_setpgid, ({ pid_t p = fork(); int st = 1; if (p == 0) _exit(setpgid(0, 0) != 0);
                  waitpid(p, &st, 0); st == 0; }))
/* a program that is run from memory, and one that outlives its parent, each tries to write */
static int a_memfd (void) {
  char buf[4096];
  ssize_t n;
  int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("x", 0), st = 1;
  while ((n = read(from, buf, sizeof buf)) > 0)
    if (write(to, buf, (size_t)n) != n) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    char *args[] = {"attack", "append", folder, "1", "1", NULL}, *none[] = {NULL};
    fexecve(to, args, none);
    _exit(1);
  }
  waitpid(pid, &st, 0);
  return st == 0 ? 0 : 1;
}
static int a_orphan (void) {
  int ends[2], answer = 1;
  if (pipe(ends) != 0) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    if (fork() == 0) {
      answer = a_append();
      _exit(write(ends[1], &answer, sizeof answer) < 0);
    }
    _exit(0);
  }
  waitpid(pid, NULL, 0);
  close(ends[1]);
  return read(ends[0], &answer, sizeof answer) > 0 ? answer : 1;
}
#ifdef __x86_64__
static int a_int80 (void) {   /* mkdir of the 32-bit table */
  char *path = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  long rc = -1;
  snprintf(path, 4096, "%s", other);
  __asm__ volatile ("int $0x80" : "=a"(rc) : "a"(39L), "b"((long)path), "c"(0700L)
                    : "memory");
  return rc == 0 ? 0 : 1;
}
TRY(a_x32, syscall(0x40000000 | 90, file, 0600) == 0)
#endif

static const struct { const char *name; int (*go) (void); } attacks[] = {
#define A(x) {#x, a_##x}
  A(write), A(append), A(rdwr), A(create), A(creat), A(truncate), A(opentrunc),
  A(unlink), A(rename), A(mkdir), A(symlink), A(link), A(fifo), A(mknod), A(chmod),
  A(fchmod), A(fchmodat2), A(chown), A(fchown), A(utimes), A(utime), A(utimensat),
  A(futimens), A(setxattr), A(fsetxattr), A(chattr), A(openat2), A(procroot),
  A(fdreopen), A(sysctl), A(shmfile), A(mapshared), A(kill), A(killall), A(tgkill),
  A(pidfdkill), A(setpriority), A(ptrace), A(procmem), A(sigqueue), A(affinity),
  A(prlimit), A(vmwrite), A(connect), A(udp), A(raw), A(packet), A(netlink),
  A(listen), A(mptcp), A(bind), A(fastopen), A(unix), A(dgrampair), A(streampair),
  A(mount), A(unshare), A(chroot), A(setuid), A(hostname), A(keyctl), A(bpf),
  A(iouring), A(userfault), A(shmget), A(semget), A(msgget), A(mqueue), A(perf),
  A(clock), A(newns), A(setsid), A(setpgid), A(memfd), A(orphan),
#ifdef __x86_64__
  A(int80), A(x32),
#endif
};

int main (int argc, char **argv) {
  size_t n = sizeof attacks / sizeof *attacks;
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (size_t i = 0; i < n; i++) puts(attacks[i].name);
    return 0;
  }
  if (argc != 5) return 3;
  folder = argv[2];
  snprintf(file, sizeof file, "%s/file", argv[2]);
  snprintf(other, sizeof other, "%s/other", argv[2]);
  snprintf(sock, sizeof sock, "%s/socket", argv[2]);
  victim = (pid_t)atoi(argv[3]);
  port = atoi(argv[4]);
  for (size_t i = 0; i < n; i++) {
    if (strcmp(attacks[i].name, argv[1]) != 0) continue;
    int rc = attacks[i].go();
    printf("%s: %s\n", argv[1], rc == 0 ? "done" : strerror(errno));
    return rc;
  }
  return 3;
}
