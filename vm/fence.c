/*
** fence.c - the kernel's hold on a probe's child
**
** Landlock says which files it may write (its scratch folder), which ports
** it may use and whom it may signal; a seccomp filter refuses what Landlock
** lets through (filter.c). Both bind the child alone, for good, and need no
** privilege. The parent prepares everything; the child makes five calls.
*/

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/fence.h"

/* Landlock as the kernel has it; the headers of many distributions are older.
** The same numbers on every architecture. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { RULE_PATH = 1, RULE_PORT = 2, ASK_VERSION = 1 };

typedef struct Ruleset { uint64_t files, net, scoped; } Ruleset;
typedef struct PathRule {
  uint64_t allowed;
  int32_t folder;
} __attribute__((packed)) PathRule;
typedef struct PortRule { uint64_t allowed, port; } PortRule;

#define WRITE_FILE (1ull << 1)
#define MAKE_CHAR (1ull << 6)
#define MAKE_BLOCK (1ull << 11)
#define TRUNCATE (1ull << 14)
#define FILES_1 (WRITE_FILE | 0x1ff0)  /* remove and make, of every kind */
#define NET_BIND 1ull
#define NET_CONNECT 2ull
#define SCOPE_UNIX 1ull
#define SCOPE_SIGNAL 2ull

/* what it takes to look at everything, and no more */
#define KEEPCAPS (1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH)

static int askabi (void) {
  long abi = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
  return abi < 0 ? 0 : (int)abi;
}

static uint64_t filerights (int abi) {
  uint64_t r = FILES_1;
  if (abi >= 2) r |= 1ull << 13;  /* moving to another folder */
  if (abi >= 3) r |= TRUNCATE;
  if (abi >= 5) r |= 1ull << 15;  /* ioctl on devices */
  return r;
}

static int openruleset (int abi, int delegates) {
  Ruleset r = {.files = filerights(abi)};
  if (abi >= 4) r.net = delegates ? NET_BIND : NET_BIND | NET_CONNECT;
  if (abi >= 6) r.scoped = delegates ? SCOPE_SIGNAL : SCOPE_SIGNAL | SCOPE_UNIX;
  return (int)syscall(CREATE_RULESET, &r, sizeof r, 0);
}

/* 'path' (a folder and all below it, or a file) may be written */
static int allowpath (int ruleset, const char *path, uint64_t rights) {
  PathRule r = {.allowed = rights};
  r.folder = open(path, O_PATH | O_CLOEXEC);
  if (r.folder < 0) return -1;
  int rc = (int)syscall(ADD_RULE, ruleset, RULE_PATH, &r, 0);
  close(r.folder);
  return rc;
}

static int allowhosts (int ruleset, const char *const *hosts) {
  for (; hosts != NULL && *hosts != NULL; hosts++) {
    const char *colon = strrchr(*hosts, ':');
    PortRule r = {.allowed = NET_CONNECT};
    if (colon != NULL) r.port = strtoul(colon + 1, NULL, 10);
    if (r.port == 0 || r.port > 65535) { errno = EINVAL; return -1; }
    if (syscall(ADD_RULE, ruleset, RULE_PORT, &r, 0) != 0) return -1;
  }
  return 0;
}

static int allowall (int ruleset, int abi, const rb_Program *c) {
  static const char *const sinks[] = {"/dev/null", "/dev/zero", "/dev/full"};
  uint64_t rights = filerights(abi);
  for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++)
    if (allowpath(ruleset, sinks[i], rights & (WRITE_FILE | TRUNCATE)) != 0
        && errno != ENOENT)
      return -1;
  if (c->scratch != NULL
      && allowpath(ruleset, c->scratch, rights & ~(MAKE_CHAR | MAKE_BLOCK)) != 0)
    return -1;
  return allowhosts(ruleset, c->delegates || abi < 4 ? NULL : c->hosts);
}

const char *rb_fence_open (rb_Fence *f, const rb_Program *c) {
  int abi = askabi();
  /* before Landlock 4 ports cannot be told apart: then none at all */
  int connects = c->delegates || (c->hosts != NULL && abi >= 4);
  f->ruleset = -1;
  f->filter = rb_filter(abi, c->delegates, connects);
  if (abi == 0) return NULL;
  f->ruleset = openruleset(abi, c->delegates);
  if (f->ruleset < 0) return strerror(errno);
  if (allowall(f->ruleset, abi, c) == 0) return NULL;
  const char *why = strerror(errno);
  rb_fence_close(f);
  return why;
}

void rb_fence_close (rb_Fence *f) {
  if (f->ruleset >= 0) close(f->ruleset);
  f->ruleset = -1;
}

/* -- in the child: async-signal-safe ---------------------------------------- */

/* A third lock where the child is root; its absence is no hole in the other
** two, so nothing is reported. */
static void dropcaps (void) {
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct d[2];
  for (unsigned long cap = 0; cap < 64; cap++)
    if (!(KEEPCAPS >> cap & 1)) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (syscall(SYS_capget, &h, d) != 0) return;
  for (int i = 0; i < 2; i++) {
    d[i].inheritable = 0;
    d[i].permitted &= (uint32_t)(KEEPCAPS >> (32 * i));
    d[i].effective &= (uint32_t)(KEEPCAPS >> (32 * i));
  }
  syscall(SYS_capset, &h, d);
}

int rb_fence_apply (const rb_Fence *f, int ruleset) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  dropcaps();
  if (f->ruleset >= 0 && syscall(RESTRICT_SELF, ruleset, 0) != 0) return -1;
  if (f->filter == NULL) return 0;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, f->filter);
}

/* -- does it hold here? -------------------------------------------------------- */

enum {  /* exit codes of the child that tries */
  HOLDS = 0, NOTAPPLIED = 1, WRITES, CHMODS, SOCKETS, UDP, SIGNALS
};

/* everything that follows would succeed for an ordinary child */
static int tryall (const rb_Fence *f) {
  if (rb_fence_apply(f, f->ruleset) != 0) return NOTAPPLIED;
  if (open("/dev/tty", O_WRONLY | O_NOCTTY | O_NONBLOCK) >= 0) return WRITES;
  if (open("/tmp", O_WRONLY | O_TMPFILE, 0600) >= 0) return WRITES;
  if (fchmod(f->ruleset, 0600) == 0 || errno != EPERM) return CHMODS;
  if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return SOCKETS;
  if (socket(AF_INET, SOCK_DGRAM, 0) >= 0) return UDP;
  if (kill(getppid(), 0) == 0) return SIGNALS;
  return HOLDS;
}

static const char *trychild (void) {
  static const char *const said[] = {
    [HOLDS] = NULL, [NOTAPPLIED] = "the fence cannot be applied",
    [WRITES] = "Landlock lets files be written",
    [CHMODS] = "seccomp lets modes be changed",
    [SOCKETS] = "seccomp lets Unix sockets be opened",
    [UDP] = "seccomp lets UDP sockets be opened",
    [SIGNALS] = "processes outside can be signalled"
  };
  rb_Program c = {.readonly = 1};
  rb_Fence f;
  int status = 0;
  const char *why = rb_fence_open(&f, &c);
  if (why != NULL) return why;
  pid_t pid = fork();
  if (pid == 0) _exit(tryall(&f));
  rb_fence_close(&f);
  if (pid < 0) return strerror(errno);
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return strerror(errno);
  if (!WIFEXITED(status)) return "the fence kills its child";
  size_t code = (size_t)WEXITSTATUS(status);
  return code < sizeof said / sizeof *said ? said[code] : said[NOTAPPLIED];
}

int rb_kernellayer (const char **why) {
  static int known;
  static const char *missing;
  if (!known) {
    if (askabi() == 0) missing = "this kernel has no Landlock";
    else if (rb_filter(askabi(), 0, 0) == NULL)
      missing = "this kernel has no seccomp filters";
    else missing = trychild();
    known = 1;
  }
  if (why != NULL) *why = missing;
  return missing == NULL;
}
