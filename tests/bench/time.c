/*
** time.c - how long commands take, measured in turns
**
** time [-n RUNS] [-w WARMUPS] [-x CODE]... [-b COMMAND] -- NAME ARGV... [-- NAME ARGV...]...
**
** Runs the commands one after the other, A B C A B C ..., so that what else
** the machine does falls on all of them; the first WARMUPS rounds are not
** counted. COMMAND (for sh) runs before each of them, outside of the time. For
** each command one line, on standard output: its name, the median, least and
** greatest wall time (ms), the processor time (ms, median), and the most memory
** that its largest process held at once (KB). A command that fails (other than
** with a CODE) ends all of it: a time of something that did not work is not one.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAXCOMMANDS = 16, MAXRUNS = 1000 };

typedef struct Command {
  const char *name;
  char **argv;
  double wall[MAXRUNS], cpu[MAXRUNS];
  long peak;
} Command;

static Command commands[MAXCOMMANDS];
static int ncommands;
static int accepted[256] = {1};
static int nothing, said;  /* descriptors: /dev/null, the last command's stderr */

static void die (const char *what) {
  fprintf(stderr, "time: %s: %s\n", what, strerror(errno));
  exit(2);
}

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double milliseconds (struct timeval t) {
  return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

/* what the command wrote to its standard error */
static void repeat (void) {
  char bytes[4096];
  ssize_t n;
  lseek(said, 0, SEEK_SET);
  while ((n = read(said, bytes, sizeof bytes)) > 0)
    if (write(STDERR_FILENO, bytes, (size_t)n) < 0) return;
}

static int child (char **argv) {
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  dup2(said, STDERR_FILENO);
  execvp(argv[0], argv);
  dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

static void run (Command *c, int i) {
  struct rusage used;
  int status;
  if (ftruncate(said, 0) != 0 || lseek(said, 0, SEEK_SET) != 0) die("stderr");
  double before = now();
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) child(c->argv);
  while (wait4(pid, &status, 0, &used) < 0)
    if (errno != EINTR) die("wait4");
  double after = now();
  if (!WIFEXITED(status) || !accepted[WEXITSTATUS(status)]) {
    repeat();
    fprintf(stderr, "time: %s failed (%s %d)\n", c->name,
            WIFEXITED(status) ? "exit" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    exit(1);
  }
  if (i < 0) return;
  c->wall[i] = after - before;
  c->cpu[i] = milliseconds(used.ru_utime) + milliseconds(used.ru_stime);
  if (used.ru_maxrss > c->peak) c->peak = used.ru_maxrss;
}

static int ascending (const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* sorts; the mean of the two in the middle where there is no one */
static double median (double *x, int n) {
  qsort(x, (size_t)n, sizeof *x, ascending);
  return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

/* NAME ARGV... -- NAME ARGV...: each list of arguments ends with its NULL */
static void readcommands (char **word) {
  while (*word != NULL) {
    if (ncommands == MAXCOMMANDS || word[1] == NULL) {
      errno = EINVAL;
      die("-- NAME COMMAND is expected");
    }
    commands[ncommands].name = *word++;
    commands[ncommands++].argv = word;
    while (*word != NULL && strcmp(*word, "--") != 0) word++;
    if (*word != NULL) *word++ = NULL;
  }
}

static void before_ (const char *command) {
  if (command != NULL && system(command) != 0) {
    fprintf(stderr, "time: failed: %s\n", command);
    exit(1);
  }
}

int main (int argc, char **argv) {
  int runs = 11, warmups = 2, option;
  const char *before = NULL;
  char file[] = "/tmp/time.XXXXXX";
  while ((option = getopt(argc, argv, "+n:w:x:b:")) != -1)
    switch (option) {
      case 'n': runs = atoi(optarg); break;
      case 'w': warmups = atoi(optarg); break;
      case 'x': accepted[atoi(optarg) & 255] = 1; break;
      case 'b': before = optarg; break;
      default: return 2;
    }
  readcommands(argv + optind);
  nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  said = mkostemp(file, O_CLOEXEC | O_APPEND);
  if (nothing < 0 || said < 0) die(file);
  unlink(file);
  if (runs < 1 || runs > MAXRUNS || ncommands == 0) return 2;
  for (int i = -warmups; i < runs; i++)
    for (int k = 0; k < ncommands; k++) {
      before_(before);
      run(&commands[k], i);
    }
  for (int k = 0; k < ncommands; k++) {
    Command *c = &commands[k];
    double m = median(c->wall, runs);
    printf("%s %.3f %.3f %.3f %.3f %ld\n", c->name, m, c->wall[0],
           c->wall[runs - 1], median(c->cpu, runs), c->peak);
  }
  return 0;
}
