/*
** keys.c - how long a person waits at a prompt, on a pseudo-terminal
**
** keys [-n RUNS] [-w WARMUPS] -- NAME PROMPT ARGV... [-- NAME PROMPT ARGV...]...
**   from fork to the prompt on the screen, the commands in turns.
** keys [-n RUNS] [-l LINE]... -k KEYS -e TEXT -- NAME PROMPT ARGV...
**   types the lines, and then KEYS: how long from the last of them until TEXT is there?
**   Once in each of RUNS sessions at first (NAME-first), and then again (NAME).
**
** For each one line, on standard output, as time.c has it: its name, the median, the
** least and the greatest wall time (ms). A text that does not come within ten seconds
** ends all of it.
*/

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MAXCOMMANDS = 8, MAXRUNS = 1000, MAXLINES = 8, PATIENCE = 10000, QUIET = 50 };

typedef struct Command {
  const char *name, *prompt;
  char **argv;
  double first[MAXRUNS], again[MAXRUNS];
} Command;

/* what a terminal has shown since its last key */
typedef struct Screen {
  int fd;
  pid_t pid;
  size_t n;
  char text[1 << 16];
} Screen;

static Command commands[MAXCOMMANDS];
static int ncommands, nlines;
static const char *lines[MAXLINES], *keys, *text;
static Screen screen;

static void die (const char *what, const char *why) {
  fprintf(stderr, "keys: %s: %s\n%s\n", what, why, screen.text);
  if (screen.pid > 0) kill(screen.pid, SIGKILL);
  exit(1);
}

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* 0: it is over */
static int more (const char *wanted) {
  struct pollfd p = {.fd = screen.fd, .events = POLLIN};
  if (screen.n + 1024 > sizeof screen.text) screen.n = 0;
  if (poll(&p, 1, PATIENCE) == 0) die(wanted, "did not come");
  ssize_t n = read(screen.fd, screen.text + screen.n, 1023);
  if (n > 0) screen.n += (size_t)n;
  screen.text[screen.n] = '\0';
  return n > 0;
}

static void await (const char *wanted) {
  while (strstr(screen.text, wanted) == NULL)
    if (!more(wanted)) die(wanted, "the program ended before");
}

/* A line is being edited: only then the keys are for the program itself. */
static void ready (void) {
  struct termios t;
  struct timespec moment = {.tv_nsec = 100000};
  while (tcgetattr(screen.fd, &t) == 0 && (t.c_lflag & ICANON)) nanosleep(&moment, NULL);
}

/* nothing more comes */
static void quiet (void) {
  struct pollfd p = {.fd = screen.fd, .events = POLLIN};
  while (poll(&p, 1, QUIET) > 0) more("quiet");
}

static void type (const char *s, size_t n) {
  screen.n = 0;
  screen.text[0] = '\0';
  if (write(screen.fd, s, n) != (ssize_t)n) die(s, strerror(errno));
}

static void begin (const Command *c) {
  struct winsize size = {.ws_row = 50, .ws_col = 160};
  screen.n = 0;
  screen.text[0] = '\0';
  screen.pid = forkpty(&screen.fd, NULL, NULL, &size);
  if (screen.pid < 0) die("forkpty", strerror(errno));
  if (screen.pid == 0) {
    execvp(c->argv[0], c->argv);
    _exit(127);
  }
  await(c->prompt);
}

static void end (void) {
  ready();
  type("\4", 1);
  while (more("its end")) continue;
  close(screen.fd);
  waitpid(screen.pid, NULL, 0);
  screen.pid = 0;
}

/* the keys, and from the last of them on the time until the text is there */
static double answer (void) {
  size_t n = strlen(keys);
  ready();
  type(keys, n - 1);
  while (screen.n < n - 1) more(keys);
  quiet();
  double before = now();
  type(keys + n - 1, 1);
  await(text);
  double after = now();
  quiet();
  type("\3", 1);
  await("> ");
  quiet();
  return after - before;
}

static void session (Command *c, int i) {
  double before = now();
  begin(c);
  if (i >= 0) c->first[i] = now() - before;
  for (int k = 0; k < nlines; k++) {
    ready();
    type(lines[k], strlen(lines[k]));
    type("\n", 1);
    await(c->prompt);
  }
  if (keys != NULL && i >= 0) {
    c->first[i] = answer();
    c->again[i] = answer();
  }
  end();
}

static int ascending (const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void result (const char *name, const char *which, double *x, int n) {
  qsort(x, (size_t)n, sizeof *x, ascending);
  printf("%s%s %.3f %.3f %.3f 0 0\n", name, which, (x[(n - 1) / 2] + x[n / 2]) / 2, x[0], x[n - 1]);
}

/* NAME PROMPT ARGV... -- NAME PROMPT ARGV...: each list of arguments ends with its NULL */
static void readcommands (char **word) {
  while (*word != NULL) {
    if (ncommands == MAXCOMMANDS || word[1] == NULL || word[2] == NULL)
      die("arguments", "-- NAME PROMPT COMMAND is expected");
    commands[ncommands].name = *word++;
    commands[ncommands].prompt = *word++;
    commands[ncommands++].argv = word;
    while (*word != NULL && strcmp(*word, "--") != 0) word++;
    if (*word != NULL) *word++ = NULL;
  }
}

int main (int argc, char **argv) {
  int runs = 11, warmups = 2, option;
  while ((option = getopt(argc, argv, "+n:w:l:k:e:")) != -1)
    switch (option) {
      case 'n': runs = atoi(optarg); break;
      case 'w': warmups = atoi(optarg); break;
      case 'l': if (nlines < MAXLINES) lines[nlines++] = optarg; break;
      case 'k': keys = optarg; break;
      case 'e': text = optarg; break;
      default: return 2;
    }
  readcommands(argv + optind);
  if (runs < 1 || runs > MAXRUNS || ncommands == 0 || (keys == NULL) != (text == NULL)) return 2;
  for (int i = -warmups; i < runs; i++)
    for (int k = 0; k < ncommands; k++) session(&commands[k], i);
  for (Command *c = commands; c < commands + ncommands; c++) {
    result(c->name, keys != NULL ? "-first" : "", c->first, runs);
    if (keys != NULL) result(c->name, "", c->again, runs);
  }
  return 0;
}
