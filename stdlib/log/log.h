/*
** log.h - what the parts of the log module share
*/

#ifndef rb_log_h
#define rb_log_h

#include "stdlib/common/pattern.h"
#include "stdlib/common/stream.h"
#include "vm/module.h"

typedef struct Text { const char *s; size_t n; } Text;

/* -- lines.c: a file by lines ------------------------------------------------------- */

#define RB_LOG_LINEMAX ((size_t)1 << 20)   /* bytes; what a line has more is left out */

typedef struct Lines {
  int fd;
  long long at, size;        /* read so far; what was there when it was opened */
  char *buf;                 /* NULL: closed */
  size_t room, from, end;    /* buf[from .. end) is not given out yet */
  int skipping;              /* the rest of a line that was too long */
  long long line, cut;       /* lines given out; how many of them were too long */
} Lines;

/* Opens the lines of fd (which stays its owner's) up to 'size', from 'at' on. 0: out
** of memory. */
int rb_log_open (Lines *l, int fd, long long at, long long size);
/* The next line, without its end. 1; 0: there is none; -1: errno. */
int rb_log_next (Lines *l, Text *line);
void rb_log_close (Lines *l);

/* Where the last n lines begin; -1: errno. */
long long rb_log_lastlines (int fd, long long size, long long n);

/* -- fields.c: what is in a line ------------------------------------------------------ */

#define RB_LOG_DEPTH 8       /* names in "a.b.c" */

typedef struct Path { Text name[RB_LOG_DEPTH]; int n; } Path;

/* "a.b" as a path; 0: it is none. It points into s. */
int rb_log_path (const char *s, size_t n, Path *p);

/* The value of that field in a line that is a JSON object, as it stands (a string with
** its quotes); 0: the line is none, or has no such field. */
int rb_log_field (const Text *line, const Path *p, Text *value);

/* Its meaning as a text, into out (at most n bytes); 0: it is an object, a list, or
** not well formed. */
int rb_log_plain (const Text *value, char *out, size_t n, Text *plain);

/* -- when.c: the time of a line -------------------------------------------------------- */

/* Seconds since 1970: of a JSON line from time, timestamp, @timestamp, ts or at, of any other
** from how it begins. 0: it has none. 'hint' (0 at first) is where it was found last. */
int rb_log_when (const Text *line, int *hint, double *seconds);
/* "2026-11-25T10:30:00Z" and the like; how many bytes it takes, 0: it is none. */
size_t rb_log_iso (const char *s, size_t n, double *seconds);

/* -- tally.c: how often each of many keys was seen --------------------------------------- */

typedef struct Seen { const char *key; size_t n; long long count; } Seen;

typedef struct Block Block;

typedef struct Tally {
  Seen *slot;                /* NULL: closed */
  size_t room, used, bytes;
  Block *block;              /* what the keys point into */
} Tally;

/* 1; 0: out of memory; -1: more different ones than it may hold. */
int rb_log_tally (Tally *t, const char *key, size_t n);
/* Its used slots come first and are ordered: most seen first, or (bykey) by their
** keys, which are 8 bytes of a number then. */
void rb_log_sort (Tally *t, int bykey);
void rb_log_freetally (Tally *t);

/* -- wish.c: what a script asks for -------------------------------------------------------- */

typedef struct Wish {
  rb_Pattern *match;         /* NULL: any line, or a literal */
  Text literal;              /* s NULL: none */
  double since;              /* only lines from then on; below 0: all */
  Path field;                /* by: n 0: none */
  rb_Pattern *by;            /* by: its first capture */
  lua_Integer most;          /* top, limit */
  double per;                /* seconds */
} Wish;

enum { RB_LOG_MATCH = 1, RB_LOG_SINCE = 2, RB_LOG_BY = 4, RB_LOG_TOP = 8, RB_LOG_LIMIT = 16,
       RB_LOG_PER = 32, RB_LOG_PATTERN = 64 };

/* [-0, +1, v]  Reads the table at 'idx' (nil: nothing is asked for) into w; those of the
** names above may be in it. Pushes a table that owns what w points to. */
void rb_log_wish (lua_State *L, int idx, const char *who, unsigned names, Wish *w);
/* [-0, +0, v]  The pattern or literal at 'idx' as w->match; anchored in the table 'owner'. */
void rb_log_match (lua_State *L, int idx, const char *who, int owner, Wish *w);
/* Is the line one that was asked for, as far as 'match' says? */
int rb_log_matches (const Wish *w, const Text *line);

/* -- doctor.c ------------------------------------------------------------------------------- */

/* [-0, +3, v]  The file of the running call's resource, open until the call ends; its
** owner is at the top. */
rb_Stream *rb_log_stream (lua_State *L);
int rb_log_doctor (lua_State *L);
int rb_log_identity (lua_State *L);
/* [-0, +1, m]  A list of the rotated files beside it, which are not read. */
void rb_log_pushrotated (lua_State *L, const rb_Place *p);

#endif
