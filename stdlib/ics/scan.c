/*
** scan.c - the lines of a calendar: what is wrong with them as lines, and what libical gets
**
** libical drops what it cannot read and knows no line numbers. So each line is looked at
** here first, and given to it with its number as a parameter: what is not there
** afterwards is what it could not read.
*/

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stdlib/common/utf8.h"
#include "stdlib/ics/ics.h"

#define DEEP 8          /* a calendar has three levels */
#define LONGEST 75      /* bytes of a line, without its end (RFC 5545, 3.1) */

/* the properties that are text for people, whose values are escaped */
static const char *const texts[] = {"SUMMARY", "LOCATION", "DESCRIPTION", "COMMENT",
    "CONTACT", NULL};

typedef struct Scan {
  lua_State *L;
  Job *j;
  const char *open[DEEP];
  size_t nopen[DEEP];
  int from[DEEP], depth, ended, ends;  /* ends: what kind of line ends was complained about */
} Scan;

int rb_ics_shown (const char *s, int most) {
  int n = (int)strnlen(s, (size_t)most + 1);
  if (n <= most) return n;
  for (n = most; n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80; n--) continue;
  return n;
}

/* -- lines as they come ---------------------------------------------------------- */

static void newline (Job *j, char *out, int no) {
  j->line[j->n++] = (Line){.s = out, .no = no};
}

/* what is wrong with one as it stands, cr and all */
static void raw (Scan *s, const char *p, size_t n, int hasend, int no) {
  int cr = n > 0 && p[n - 1] == '\r';
  if (!cr && !s->ends) {
    s->ends = 1;
    rb_ics_problem(s->L, no, "line", NULL, hasend
                   ? "the line ends in LF alone: calendars have CR LF"
                   : "the last line has no end");
  }
  n -= (size_t)cr;
  if (n > LONGEST)
    rb_ics_problem(s->L, no, "fold", NULL, "%zu bytes: a line has at most %d, and goes on in "
                   "the next one behind a blank", n, LONGEST);
  if (n > 1 && (*p == ' ' || *p == '\t') && ((unsigned char)p[1] & 0xC0) == 0x80)
    rb_ics_problem(s->L, no, "fold", NULL, "the line break before it is in the middle of a "
                   "character");
}

/* takes the lines apart and those that go on together */
static void unfold (Scan *s, const char *text, size_t n) {
  Job *j = s->j;
  char *out = j->text;
  int no = 1;
  for (const char *p = text, *end = text + n; p < end; no++) {
    const char *nl = memchr(p, '\n', (size_t)(end - p)), *e = nl != NULL ? nl : end;
    size_t len = (size_t)(e - p);
    raw(s, p, len, nl != NULL, no);
    if (len > 0 && p[len - 1] == '\r') len--;
    int on = len > 0 && (*p == ' ' || *p == '\t') && j->n > 0;
    if (on) { out--; p++; len--; }
    else if (len == 0) rb_ics_problem(s->L, no, "line", NULL, "the line is empty");
    if (!on && len > 0) newline(j, out, no);
    if (on || len > 0) {
      memcpy(out, p, len);
      j->line[j->n - 1].n += len;
      out += len;
      *out++ = '\0';
    }
    p = nl != NULL ? nl + 1 : end;
  }
}

/* -- one line -------------------------------------------------------------------- */

static int islike (const Line *l, const char *name) {
  return strlen(name) == l->name && strncasecmp(l->s, name, l->name) == 0;
}

/* name and value of NAME;PARAMETER="...":VALUE; 0: it is none */
static int split (Line *l) {
  int quoted = 0;
  while (isalnum((unsigned char)l->s[l->name]) || l->s[l->name] == '-') l->name++;
  if (l->name == 0 || (l->s[l->name] != ':' && l->s[l->name] != ';')) return 0;
  for (size_t i = l->name; i < l->n; i++) {
    if (l->s[i] == '"') quoted = !quoted;
    if (l->s[i] != ':' || quoted) continue;
    l->value = i + 1;
    return 1;
  }
  return 0;
}

/* \\ \; \, \n and nothing else, and no ; or , without one */
static void escapes (Scan *s, const Line *l) {
  char name[32];
  snprintf(name, sizeof name, "%.*s", (int)l->name, l->s);
  for (size_t i = l->value; i < l->n; i++) {
    char c = l->s[i];
    if (c == '\\' && i + 1 < l->n && strchr("\\;,nN", l->s[i + 1]) != NULL) i++;
    else if (c == '\\') {
      rb_ics_problem(s->L, l->no, "escape", name, "a backslash stands before ; , \\ or n only");
      return;
    } else if (c == ';' || c == ',') {
      rb_ics_problem(s->L, l->no, "escape", name, "'%c' in a text is written '\\%c': some "
                     "programs stop reading there", c, c);
      return;
    }
  }
}

static int clean (Scan *s, const Line *l) {
  size_t good = rb_utf8(l->s, l->n);
  if (good < l->n) {
    rb_ics_problem(s->L, l->no, "encoding", NULL, "it is not UTF-8 (byte 0x%02x)",
                   (unsigned)(unsigned char)l->s[good]);
    return 0;
  }
  for (size_t i = 0; i < l->n; i++)
    if (((unsigned char)l->s[i] < ' ' && l->s[i] != '\t') || l->s[i] == 0x7f) {
      rb_ics_problem(s->L, l->no, "encoding", NULL, "it holds the control character 0x%02x",
                     (unsigned)(unsigned char)l->s[i]);
      return 0;
    }
  return 1;
}

/* -- what opens and closes ------------------------------------------------------- */

static int begins (Scan *s, Line *l) {
  if (s->depth == DEEP) {
    rb_ics_problem(s->L, l->no, "structure", NULL, "more than %d components in one another",
                   DEEP);
    return 0;
  }
  s->open[s->depth] = l->s + l->value;
  s->nopen[s->depth] = l->n - l->value;
  s->from[s->depth++] = l->no;
  return 1;
}

static int closes (Scan *s, const Line *l) {
  size_t n = l->n - l->value;
  if (s->depth == 0) {
    rb_ics_problem(s->L, l->no, "structure", NULL, "%s closes what was never begun", l->s);
    return 0;
  }
  s->depth--;
  if (n != s->nopen[s->depth] || strncasecmp(l->s + l->value, s->open[s->depth], n) != 0) {
    rb_ics_problem(s->L, l->no, "structure", NULL, "%s, where %s of line %d is open", l->s,
                   s->open[s->depth], s->from[s->depth]);
    return 0;
  }
  s->ended = s->depth == 0;
  return 1;
}

/* 0: the rest is not to be read */
static int line (Scan *s, size_t i) {
  Line *l = &s->j->line[i];
  if (s->ended) {
    rb_ics_problem(s->L, l->no, "structure", NULL, "something stands behind END:VCALENDAR: it "
                   "is not read");
    return 0;
  }
  if (!clean(s, l)) return 0;
  if (!split(l)) {
    rb_ics_problem(s->L, l->no, "line", NULL, "'%.*s' is no property such as SUMMARY:...; a "
                   "line break in a value is written \\n", rb_ics_shown(l->s, 60), l->s);
    return 1;
  }
  l->kept = 1;
  if (islike(l, "BEGIN")) return begins(s, l);
  if (islike(l, "END")) return closes(s, l);
  if (islike(l, "RRULE") && s->depth > 1 && strcasecmp(s->open[1], "VTIMEZONE") == 0
      && strcasestr(l->s + l->value, "FREQ=YEARLY") == NULL) {
    rb_ics_problem(s->L, l->no, "limit", "RRULE", "clocks that change more than once a year by "
                   "one rule are not followed");
    return 0;
  }
  for (const char *const *t = texts; *t != NULL; t++)
    if (islike(l, *t)) escapes(s, l);
  return 1;
}

static int iscalendar (Scan *s) {
  Line *first = s->j->n > 0 ? &s->j->line[0] : NULL;
  if (first != NULL && strcasecmp(first->s, "BEGIN:VCALENDAR") == 0) return 1;
  if (first == NULL) rb_ics_problem(s->L, 1, "calendar", NULL, "it is empty");
  else if (rb_utf8(first->s, first->n) < first->n || strlen(first->s) < first->n)
    rb_ics_problem(s->L, 1, "encoding", NULL, "it is no text in UTF-8");
  else rb_ics_problem(s->L, first->no, "calendar", NULL, "it is no calendar: it begins with "
                      "'%.*s', not with BEGIN:VCALENDAR", rb_ics_shown(first->s, 40), first->s);
  return 0;
}

/* -- to libical ------------------------------------------------------------------ */

static icalcomponent *feed (const Job *j) {
  size_t room = 1;
  for (size_t i = 0; i < j->n; i++) room += j->line[i].kept ? j->line[i].n + 40 : 0;
  char *all = malloc(room), *at = all;
  if (all == NULL) return NULL;
  *at = '\0';
  for (size_t i = 0; i < j->n; i++) {
    const Line *l = &j->line[i];
    if (!l->kept) continue;
    if (islike(l, "BEGIN") || islike(l, "END")) at += sprintf(at, "%s\r\n", l->s);
    else at += sprintf(at, "%.*s;" MARK "=%d%s\r\n", (int)l->name, l->s, l->no, l->s + l->name);
  }
  icalcomponent *root = icalparser_parse_string(all);
  free(all);
  return root;
}

void rb_ics_scan (lua_State *L, Job *j, const char *text, size_t n) {
  Scan s = {.L = L, .j = j};
  int going = 1;
  size_t lines = 2;
  if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { text += 3; n -= 3; }
  for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
  j->text = malloc(n + lines + 1);
  j->line = calloc(lines, sizeof *j->line);
  if (j->text == NULL || j->line == NULL) luaL_error(L, "not enough memory");
  unfold(&s, text, n);
  if (!iscalendar(&s)) return;
  for (size_t i = 0; i < j->n && going; i++) going = line(&s, i);
  if (!s.ended && going)
    rb_ics_problem(L, j->line[j->n - 1].no, "truncated", NULL, "it ends inside %s, which begins "
                   "in line %d", s.open[s.depth - 1], s.from[s.depth - 1]);
  if (!s.ended) return;
  j->root = feed(j);
  if (j->root == NULL) luaL_error(L, "not enough memory");
}
