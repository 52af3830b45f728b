/*
** style.c - lines of text: colour, width, folding, and what must not get out
*/

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "vm/show/style.h"

#define MARK '\1'        /* then '0' + style; never comes from outside */
#define WIDEST 100       /* longer lines are hard to read */
#define NARROWEST 40
#define PIPED 80         /* where the right part stands without a terminal */
#define RIGHT 22         /* columns of the right part: "would refuse  12 ms" */

static const char *const escape[] = {
  "", "\33[1m", "\33[2m", "\33[32m", "\33[33m", "\33[31m", "\33[36m",
  "\33[1;31m", "\33[1;32m", "\33[1;33m"
};

/* -- characters -------------------------------------------------------------------- */

/* the character at s and its length; length 0: not UTF-8 */
static size_t decode (const char *text, size_t n, unsigned *c) {
  const unsigned char *s = (const unsigned char *)text;
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
             : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
             : 0;
  if (len == 0 || len > n) return 0;
  *c = len == 1 ? s[0] : s[0] & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) {
    if ((s[i] & 0xC0) != 0x80) return 0;
    *c = *c << 6 | (s[i] & 0x3F);
  }
  if (*c < least[len] || *c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000))
    return 0;
  return len;
}

/* what steers a terminal or turns the direction of writing is shown, not sent */
static int harmful (unsigned c) {
  return c < ' ' || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xFEFF;
}

/* the columns of a character; the C library knows them in a locale of UTF-8 */
static int columns (unsigned c) {
  static locale_t utf8;
  static int looked;
  if (c < 0x7F) return 1;
  if (!looked) utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  looked = 1;
  if (utf8 == (locale_t)0) return 1;
  locale_t old = uselocale(utf8);
  int n = wcwidth((wchar_t)c);
  uselocale(old);
  return n < 0 ? 1 : n;
}

void rb_style_addn (rb_Buffer *b, Style style, const char *s, size_t n) {
  unsigned c;
  char mark[2] = {MARK, (char)('0' + style)};
  rb_buffer_add(b, mark, 2);
  for (size_t i = 0; i < n; ) {
    size_t len = decode(s + i, n - i, &c);
    if (len == 0) {
      rb_buffer_printf(b, "\\x%02x", (unsigned char)s[i]);
      len = 1;
    }
    else if (c == '\t') rb_buffer_puts(b, "    ");
    else if (c == '\r' && i + 1 < n && s[i + 1] == '\n') ;  /* a line's end */
    else if (c != '\n' && harmful(c))
      rb_buffer_printf(b, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
    else rb_buffer_add(b, s + i, len);
    i += len;
  }
  mark[1] = '0';
  rb_buffer_add(b, mark, 2);
}

void rb_style_plain (rb_Buffer *b, const char *s) {
  rb_Buffer marked = {0};
  rb_style_addn(&marked, PLAIN, s, strlen(s));
  if (marked.failed) b->failed = 1;
  else rb_buffer_add(b, marked.s + 2, marked.n - 4);  /* what is between the marks */
  rb_buffer_free(&marked);
}

void rb_style_add (rb_Buffer *b, Style style, const char *s) {
  rb_style_addn(b, style, s, strlen(s));
}

void rb_style_addf (rb_Buffer *b, Style style, const char *fmt, ...) {
  char *s = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&s, fmt, ap);
  va_end(ap);
  if (n < 0) { b->failed = 1; return; }
  rb_style_addn(b, style, s, (size_t)n);
  free(s);
}

/* one step through marked text: its bytes, and the columns that they take */
static size_t next (const char *s, size_t n, int *wide) {
  unsigned c;
  *wide = 0;
  if (*s == MARK && n > 1) return 2;
  size_t len = decode(s, n, &c);
  *wide = len > 0 ? columns(c) : 1;
  return len > 0 ? len : 1;
}

int rb_style_width (const char *s, size_t n) {
  int sum = 0, wide;
  for (size_t i = 0; i < n; sum += wide) i += next(s + i, n - i, &wide);
  return sum;
}

/* -- folding ------------------------------------------------------------------------ */

/* bytes of the next line of at most 'room' columns (0: no limit); it ends at
** a space where there is one, and '*skip' bytes between it and the next go */
static size_t cut (const char *s, size_t n, int room, size_t *skip) {
  size_t i = 0, space = 0;
  int used = 0, wide;
  *skip = 0;
  while (i < n) {
    size_t len = next(s + i, n - i, &wide);
    if (s[i] == '\n') { *skip = 1; return i; }
    if (room > 0 && used + wide > room && i > 0) break;
    if (s[i] == ' ' && i > 0) space = i;
    used += wide;
    i += len;
  }
  if (i == n) return n;
  if (s[i] == ' ') space = i;
  if (space == 0) return i;
  for (i = space; i < n && s[i] == ' '; i++) ++*skip;
  return space;
}

static void spaces (rb_Buffer *b, int n) {
  for (; n > 0; n--) rb_buffer_add(b, " ", 1);
}

/* marked text to s->out, in colour or without; '*style' goes on from line to
** line and is closed at the end of each */
static void put (rb_Show *s, const char *text, size_t n, int *style) {
  if (s->color && *style != PLAIN) rb_buffer_puts(&s->out, escape[*style]);
  for (size_t i = 0; i < n; ) {
    if (text[i] != MARK || i + 1 == n) {
      rb_buffer_add(&s->out, text + i++, 1);
      continue;
    }
    int to = text[i + 1] - '0';
    if (s->color && *style != PLAIN) rb_buffer_puts(&s->out, "\33[0m");
    if (s->color && to != PLAIN) rb_buffer_puts(&s->out, escape[to]);
    *style = to;
    i += 2;
  }
  if (s->color && *style != PLAIN) rb_buffer_puts(&s->out, "\33[0m");
}

/* no spaces at the end of a line */
static void endline (rb_Buffer *b) {
  while (b->n > 0 && b->s[b->n - 1] == ' ') b->n--;
  rb_buffer_add(b, "\n", 1);
}

static const char *bytes (const rb_Buffer *b) {
  return b->s != NULL ? b->s : "";
}

void rb_style_line (rb_Show *s) {
  int style = PLAIN, lead = rb_style_width(bytes(&s->lead), s->lead.n);
  int column = s->width - RIGHT < 20 ? 20 : s->width - RIGHT;
  int room = s->right.n > 0 ? column - lead - 2 : s->width - lead;
  const char *text = bytes(&s->text);
  size_t left = s->text.n, skip;
  put(s, bytes(&s->lead), s->lead.n, &style);
  for (int first = 1; first || left > 0; first = 0) {
    size_t n = cut(text, left, !s->fold ? 0 : room < 12 ? 12 : room, &skip);
    if (!first) spaces(&s->out, lead);
    put(s, text, n, &style);
    if (first && s->right.n > 0) {
      int end = lead + rb_style_width(text, n), plain = PLAIN;
      spaces(&s->out, end + 2 <= column ? column - end : 2);
      put(s, bytes(&s->right), s->right.n, &plain);
    }
    endline(&s->out);
    text += n + skip;
    left -= n + skip;
  }
  rb_buffer_clear(&s->lead);
  rb_buffer_clear(&s->text);
  rb_buffer_clear(&s->right);
}

void rb_style_say (rb_Show *s, int indent, Style style, const char *text) {
  spaces(&s->lead, indent);
  rb_style_add(&s->text, style, text);
  rb_style_line(s);
}

void rb_style_row (rb_Show *s, const char *label, Style style,
                   const char *text) {
  rb_style_addf(&s->lead, DIM, "  %-10s ", label);
  rb_style_add(&s->text, style, text);
  rb_style_line(s);
}

/* -- writing -------------------------------------------------------------------------- */

int rb_style_write (int fd, const char *s, size_t n) {
  while (n > 0) {
    ssize_t done = write(fd, s, n);
    if (done >= 0) { s += done; n -= (size_t)done; continue; }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    poll(&p, 1, -1);
  }
  return 0;
}

static int lost;  /* something could not be written to standard output */

int rb_show_delivered (void) { return !lost; }

/* Of a reader who has seen enough (head) nothing is said; of a full disk it is. */
void rb_style_flush (rb_Show *s) {
  rb_style_clear(s);
  int error = s->out.failed ? ENOMEM
            : s->broken ? 0 : rb_style_write(STDOUT_FILENO, bytes(&s->out),
                                             s->out.n);
  if (error != 0) s->broken = lost = 1;
  if (error != 0 && error != EPIPE)
    dprintf(STDERR_FILENO, "runbook: cannot write standard output: %s\n",
            strerror(error));
  rb_buffer_clear(&s->out);
}

void rb_style_error (rb_Show *s, rb_Buffer *out) {
  if (s != NULL) rb_style_clear(s);
  (void)rb_style_write(STDERR_FILENO, bytes(out), out->n);  /* nowhere to say */
  rb_buffer_clear(out);
}

void rb_style_notes (rb_Show *s) {
  if (s != NULL && s->notes.n > 0) rb_style_error(s, &s->notes);
}

void rb_style_clear (rb_Show *s) {
  if (!s->liveline) return;
  (void)rb_style_write(STDERR_FILENO, "\r\33[K", 4);
  s->liveline = 0;
}

/* -- words ------------------------------------------------------------------------------ */

const char *rb_style_dot (const rb_Show *s) {
  return s->utf8 ? " \xC2\xB7 " : " - ";
}

const char *rb_style_count (char out[32], long long n) {
  char digits[24];
  unsigned long long u = n < 0 ? 0 - (unsigned long long)n
                               : (unsigned long long)n;
  int len = snprintf(digits, sizeof digits, "%llu", u), at = 0;
  if (n < 0) out[at++] = '-';
  for (int i = 0; i < len; i++) {
    if (i > 0 && (len - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = '\0';
  return out;
}

const char *rb_style_many (char out[64], long long n, const char *one,
                           const char *many) {
  char count[32];
  snprintf(out, 64, "%s %s", rb_style_count(count, n), n == 1 ? one : many);
  return out;
}

const char *rb_style_duration (char out[32], double ms) {
  long long s = (long long)(ms / 1000 + 0.5);
  if (ms < 1) snprintf(out, 32, "<1 ms");
  else if (ms < 999.5) snprintf(out, 32, "%.0f ms", ms);
  else if (ms < 9950) snprintf(out, 32, "%.1f s", ms / 1000);
  else if (s < 60) snprintf(out, 32, "%lld s", s);
  else if (s < 3600 && s % 60 == 0) snprintf(out, 32, "%lldm", s / 60);
  else if (s < 3600) snprintf(out, 32, "%lldm %llds", s / 60, s % 60);
  else if (s < 86400 && s % 3600 < 60) snprintf(out, 32, "%lldh", s / 3600);
  else if (s < 86400)
    snprintf(out, 32, "%lldh %lldm", s / 3600, s % 3600 / 60);
  else if (s % 86400 < 3600) snprintf(out, 32, "%lldd", s / 86400);
  else snprintf(out, 32, "%lldd %lldh", s / 86400, s % 86400 / 3600);
  return out;
}

/* -- the terminal ------------------------------------------------------------------------- */

static int isset (const char *name) {
  const char *value = getenv(name);
  return value != NULL && *value != '\0';
}

static int speaksutf8 (void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (int i = 0; i < 3; i++)
    if (isset(names[i])) {
      const char *v = getenv(names[i]);
      return strcasestr(v, "utf-8") != NULL || strcasestr(v, "utf8") != NULL;
    }
  return 0;
}

void rb_style_measure (rb_Show *s) {
  struct winsize size;
  const char *given = getenv("COLUMNS");
  int width = given != NULL ? atoi(given) : 0;
  if (!s->fold) { s->width = PIPED; return; }
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    width = size.ws_col;
  if (width <= 0) width = PIPED;
  s->width = width > WIDEST ? WIDEST : width < NARROWEST ? NARROWEST : width;
}

void rb_style_open (rb_Show *s, const rb_ShowOptions *o) {
  const char *term = getenv("TERM");
  int dumb = term == NULL || *term == '\0' || strcmp(term, "dumb") == 0;
  s->json = o->json;
  s->fold = isatty(STDOUT_FILENO);
  s->color = s->fold && !dumb && !o->nocolor && !isset("NO_COLOR");
  s->live = !o->json && !dumb && isatty(STDERR_FILENO);
  s->utf8 = speaksutf8();
  rb_style_measure(s);
}
