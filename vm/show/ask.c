/*
** ask.c - questions, on the terminal that we were started from
**
** The question goes to standard error, the answer comes from standard input;
** both must be terminals. A hidden answer is read character by character with
** the terminal's own signals off, so that Ctrl-C passes through here and the
** terminal is put right before anything else happens.
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "vm/show/style.h"

enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, CTRL_Z = 26,
       CTRL_BACKSLASH = 28, DELETE = 127 };

volatile sig_atomic_t rb_asking;

int rb_ask_terminal (void) {
  return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static void say (rb_Show *s, const char *text) {
  rb_Buffer marked = {0}, b = {0};
  rb_style_notes(s);
  rb_style_add(&marked, PLAIN, text);
  if (!marked.failed && marked.n >= 4)
    rb_buffer_add(&b, marked.s + 2, marked.n - 4);
  rb_style_error(s, &b);
  rb_buffer_free(&marked);
  rb_buffer_free(&b);
}

/* -- a line ------------------------------------------------------------------------ */

/* the next byte; -1: the end, or a signal came */
static int readbyte (void) {
  unsigned char c;
  return read(STDIN_FILENO, &c, 1) == 1 ? c : -1;
}

static char *shown (void) {
  rb_Buffer b = {0};
  int c;
  rb_asking = 1;
  while ((c = readbyte()) >= 0 && c != '\n') {
    char one = (char)c;
    rb_buffer_add(&b, &one, 1);
  }
  rb_asking = 0;
  if (c < 0) (void)rb_style_write(STDERR_FILENO, "\n", 1);
  if (c < 0 && b.n == 0) {
    rb_buffer_free(&b);
    return NULL;
  }
  rb_buffer_puts(&b, "");
  if (!b.failed) return b.s;
  rb_buffer_free(&b);
  return NULL;
}

/* -- a hidden one -------------------------------------------------------------------- */

static struct termios saved;
static volatile sig_atomic_t hiding;

/* killed while the terminal is silent: it must not stay so */
static void restore (int sig) {
  if (hiding) tcsetattr(STDIN_FILENO, TCSANOW, &saved);
  hiding = 0;
  signal(sig, SIG_DFL);
  raise(sig);
}

/* takes back the last character, which may have several bytes */
static void takeback (rb_Buffer *b) {
  while (b->n > 0) {
    unsigned char c = (unsigned char)b->s[--b->n];
    b->s[b->n] = '\0';
    if ((c & 0xC0) != 0x80) break;
  }
}

/* what was typed; returns the byte that ended it, or -1 */
static int readhidden (rb_Buffer *b) {
  for (;;) {
    int c = readbyte();
    char one = (char)c;
    if (c < 0 || c == '\n' || c == '\r' || c == CTRL_C || c == CTRL_BACKSLASH ||
        (c == CTRL_D && b->n == 0)) return c;
    if (c == DELETE || c == BACKSPACE) takeback(b);
    else if (c == CTRL_U) b->n = 0;
    else if (c != CTRL_D && c != CTRL_Z) rb_buffer_add(b, &one, 1);
  }
}

static char *hidden (void) {
  static const int fatal[] = {SIGTERM, SIGHUP, SIGQUIT};
  struct sigaction old[3], mine = {.sa_handler = restore};
  struct termios silent;
  rb_Buffer b = {0};
  if (tcgetattr(STDIN_FILENO, &saved) != 0) return NULL;
  silent = saved;
  silent.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
  silent.c_cc[VMIN] = 1;
  silent.c_cc[VTIME] = 0;
  for (int i = 0; i < 3; i++) sigaction(fatal[i], &mine, &old[i]);
  hiding = 1;
  int c = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0 ? readhidden(&b) : -1;
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
  hiding = 0;
  for (int i = 0; i < 3; i++) sigaction(fatal[i], &old[i], NULL);
  (void)rb_style_write(STDERR_FILENO, "\n", 1);
  if ((c == '\n' || c == '\r') && !b.failed) {
    rb_buffer_puts(&b, "");
    return b.s;
  }
  if (b.s != NULL) explicit_bzero(b.s, b.size);
  rb_buffer_free(&b);
  rb_asking = 1;
  if (c == CTRL_C) raise(SIGINT);
  rb_asking = 0;
  if (c == CTRL_BACKSLASH) raise(SIGQUIT);
  return NULL;
}

/* -- questions ------------------------------------------------------------------------- */

char *rb_ask_line (rb_Show *s, const char *question, int hide) {
  if (!rb_ask_terminal()) return NULL;
  say(s, question);
  say(s, " ");
  return hide ? hidden() : shown();
}

static int matches (const char *answer, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcasecmp(answer, *words) == 0) return 1;
  return 0;
}

int rb_ask_yes (rb_Show *s, const char *question) {
  static const char *const yes[] = {"y", "yes", NULL};
  static const char *const no[] = {"", "n", "no", NULL};
  if (!rb_ask_terminal()) return -1;
  for (;;) {
    say(s, question);
    say(s, " [y/N] ");
    char *answer = shown();
    if (answer == NULL) return -1;
    int is = matches(answer, yes) ? 1 : matches(answer, no) ? 0 : -1;
    free(answer);
    if (is >= 0) return is;
    say(s, "Please type yes or no.\n");
  }
}

/* its number, or the beginning of it that fits no other */
static int pick (const char *answer, const char *const *choices) {
  char *end;
  long n = strtol(answer, &end, 10);
  int count = 0, found = -1, several = 0;
  for (; choices[count] != NULL; count++) {
    if (strcmp(choices[count], answer) == 0) return count;
    if (*answer == '\0' ||
        strncasecmp(choices[count], answer, strlen(answer)) != 0) continue;
    several = found >= 0;
    found = count;
  }
  if (end != answer && *end == '\0') return n >= 1 && n <= count ? (int)n - 1 : -1;
  return several ? -1 : found;
}

int rb_ask_choice (rb_Show *s, const char *question,
                   const char *const *choices) {
  char line[300];
  int n = 0;
  if (!rb_ask_terminal()) return -1;
  say(s, question);
  say(s, "\n");
  for (; choices[n] != NULL; n++) {
    snprintf(line, sizeof line, "  %d  %.250s\n", n + 1, choices[n]);
    say(s, line);
  }
  for (;;) {
    snprintf(line, sizeof line, "1 to %d, or its name (empty: none): ", n);
    say(s, line);
    char *answer = shown();
    if (answer == NULL || *answer == '\0') { free(answer); return -1; }
    int chosen = pick(answer, choices);
    free(answer);
    if (chosen >= 0) return chosen;
    say(s, "That is none of them.\n");
  }
}
