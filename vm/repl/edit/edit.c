/*
** edit.c - lines of a terminal through libedit: history, search, completion
*/

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include <histedit.h>

#include "vm/repl/edit.h"

#define KEPT 1000     /* lines of history */
#define SHOWN 200     /* completions that are listed */

static const rb_EditHooks *hooks;
static EditLine *el;
static History *past;
static char *file;
static int broken;    /* a signal came while the line was read */

/* -- characters ------------------------------------------------------------ */

/* The next character of standard input. A signal ends the line: -1. */
static int readchar (EditLine *e, wchar_t *out) {
  mbstate_t state = {0};
  char c;
  (void)e;
  for (;;) {
    ssize_t n = hooks->interrupted(hooks->ud) ? -1 : read(STDIN_FILENO, &c, 1);
    if (n < 0) broken = 1;
    if (n <= 0) return n == 0 ? 0 : -1;
    size_t got = mbrtowc(out, &c, 1, &state);
    if (got == (size_t)-2) continue;  /* it has more bytes */
    if (got == (size_t)-1) { memset(&state, 0, sizeof state); continue; }
    if (got == 0) *out = L'\0';
    return 1;
  }
}

static char *prompt (EditLine *e) {
  (void)e;
  return (char *)hooks->prompt(hooks->ud);
}

/* -- completion ------------------------------------------------------------ */

static size_t common (char **words) {
  size_t n = strlen(words[0]);
  for (char **w = words + 1; *w != NULL; w++)
    while (strncmp(words[0], *w, n) != 0) n--;
  return n;
}

static void list (char **words) {
  int n = 0;
  fputc('\n', stdout);
  for (char **w = words; *w != NULL && n < SHOWN; w++, n++) printf("%s%s", n > 0 ? "  " : "", *w);
  if (words[n] != NULL) printf("  ...");
  fputc('\n', stdout);
  fflush(stdout);
}

/* no word: a line about what is expected here; 0: there is none */
static int hinted (const char *line, size_t cursor) {
  char *hint = hooks->hint(hooks->ud, line, cursor);
  if (hint != NULL) printf("\n%s\n", hint);
  fflush(stdout);
  free(hint);
  return hint != NULL;
}

static unsigned char complete (EditLine *e, int ch) {
  const LineInfo *info = el_line(e);
  size_t n = (size_t)(info->lastchar - info->buffer), from = 0;
  size_t cursor = (size_t)(info->cursor - info->buffer);
  char *line = strndup(info->buffer, n);
  unsigned char answer = CC_ERROR;
  (void)ch;
  char **words = line != NULL ? hooks->complete(hooks->ud, line, cursor, &from) : NULL;
  if (words != NULL && words[0] != NULL) {
    size_t typed = cursor - from, same = common(words);
    if (same > typed) {
      char *more = strndup(words[0] + typed, same - typed);
      if (more != NULL && el_insertstr(e, more) == 0) answer = CC_REFRESH;
      free(more);
    } else if (words[1] != NULL) {
      list(words);
      answer = CC_REDISPLAY;
    }
  } else if (line != NULL && hinted(line, cursor)) answer = CC_REDISPLAY;
  for (char **w = words; w != NULL && *w != NULL; w++) free(*w);
  free(words);
  free(line);
  return answer;
}

/* -- history --------------------------------------------------------------- */

/* only we may read it, also when somebody else made it */
static int mine (const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  struct stat st;
  int fine = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
             && st.st_uid == geteuid() && ((st.st_mode & 077) == 0 || fchmod(fd, 0600) == 0);
  if (fd >= 0) close(fd);
  return fine;
}

static void remember (const char *line) {
  HistEvent ev;
  if (past == NULL) return;
  history(past, &ev, H_ENTER, line);
  if (file != NULL) history(past, &ev, H_SAVE, file);
}

/* -- open, line, close ----------------------------------------------------- */

static void close_ (void) {
  if (past != NULL) history_end(past);
  if (el != NULL) el_end(el);
  free(file);
  past = NULL;
  el = NULL;
  file = NULL;
}

static int open_ (const rb_EditHooks *h, const char *path) {
  HistEvent ev;
  hooks = h;
  setlocale(LC_CTYPE, "");
  el = el_init("runbook", stdin, stdout, stderr);
  past = history_init();
  if (el == NULL || past == NULL) { close_(); return 0; }
  history(past, &ev, H_SETSIZE, KEPT);
  history(past, &ev, H_SETUNIQUE, 1);
  if (path != NULL && mine(path)) {
    file = strdup(path);
    history(past, &ev, H_LOAD, path);
  }
  el_set(el, EL_PROMPT, prompt);
  el_set(el, EL_EDITOR, "emacs");
  el_set(el, EL_HIST, history, past);
  el_set(el, EL_GETCFN, readchar);
  /* el_set would keep copies of the names */
  el_wset(el, EL_ADDFN, L"rb-complete", L"what may stand here", complete);
  el_set(el, EL_BIND, "\t", "rb-complete", NULL);
  el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_set(el, EL_BIND, "\033[1;5C", "em-next-word", NULL);
  el_set(el, EL_BIND, "\033[1;5D", "ed-prev-word", NULL);
  return 1;
}

static char *line (int *interrupted) {
  int n = 0;
  broken = 0;
  const char *s = el_gets(el, &n);
  *interrupted = broken;
  if (broken) el_reset(el);  /* it may have been in the middle of a search */
  if (s == NULL || broken) return NULL;
  size_t len = strcspn(s, "\n");
  return strndup(s, len);
}

__attribute__((visibility("default"))) const rb_Edit rb_part = {open_, line, remember, close_};
