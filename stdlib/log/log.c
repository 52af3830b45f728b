/*
** log.c - log files: how many lines, which, who most often, how fast
**
** A file is read a piece at a time, and between two pieces all others go on; what was
** there when the call began is read, a line that is being written then as far as it goes.
** A line whose time is asked for and that has none is left out, counted and named.
*/

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stdlib/common/owned.h"
#include "stdlib/log/log.h"

#define JOB "log.job"
#define PIECE ((long long)4 << 20)
enum { SHOWN = 4096, KEYMAX = 1024, CAPTURES = 9, TAILMAX = 10000 };

/* on the stack of a call */
enum { RESOURCE = 1, WISH, PATH, WHO, STREAM, OWNER, JOBAT, LIST };

typedef struct Job Job;

typedef struct Way {           /* what a call does with a line, and at the end */
  void (*line) (lua_State *L, Job *j, const Text *line, double t);
  void (*result) (lua_State *L, Job *j);
  int timed;                   /* it needs the time of each line */
} Way;

struct Job {
  const Way *way;
  Lines l;
  Tally t;
  Wish w;
  double now;                  /* of the run */
  int hint;
  long long count, untimed, firstuntimed, without, recent;
};

static int job_close (lua_State *L) {
  Job *j = luaL_checkudata(L, 1, JOB);
  rb_log_close(&j->l);
  rb_log_freetally(&j->t);
  return 0;
}

/* [-0, +1, m]  closed; closes itself with the call */
static Job *pushjob (lua_State *L, const Way *way) {
  Job *j = rb_owned(L, sizeof *j, JOB, job_close);
  j->way = way;
  j->now = rb_time(L);
  return j;
}

static int nomemory (lua_State *L) { return luaL_error(L, "not enough memory"); }

static const rb_Place *placeof (lua_State *L) {
  return &((rb_Stream *)lua_touserdata(L, STREAM))->place;
}

/* -- reading ---------------------------------------------------------------------- */

/* [-0, +0, v]  a line that was asked for goes on to what the call does with it */
static void take (lua_State *L, Job *j, const Text *line) {
  double t = 0;
  if (!rb_log_matches(&j->w, line)) return;
  if (j->w.since >= 0 || j->way->timed) {
    if (!rb_log_when(line, &j->hint, &t)) {
      if (j->untimed++ == 0) j->firstuntimed = j->l.line;
      return;
    }
    if (t < j->w.since) return;
  }
  j->count++;
  if (j->way->line != NULL) j->way->line(L, j, line, t);
}

static int piece (lua_State *L, int status, lua_KContext ctx) {
  Job *j = lua_touserdata(L, JOBAT);
  long long from = j->l.at;
  int more = 1;
  Text line;
  (void)status; (void)ctx;
  while (j->l.at - from < PIECE && (more = rb_log_next(&j->l, &line)) > 0) take(L, j, &line);
  if (more < 0)
    return rb_fail(L, "io", RB_NOTDONE, "%s%s cannot be read: %s", lua_tostring(L, WHO),
                   placeof(L)->path, strerror(errno));
  if (more > 0 && rb_timeleft(L) <= 0)
    return rb_fail(L, "timeout", RB_NOTDONE, "%s%s was not read in time: %d of %d MB",
                   lua_tostring(L, WHO), placeof(L)->path, (int)(j->l.at >> 20),
                   (int)(j->l.size >> 20));
  if (more > 0) return rb_sleep(L, 0, 0, piece);
  j->way->result(L, j);
  return 1;
}

/* [-0, +?, y]  RESOURCE and WISH are given */
static int start (lua_State *L, const Way *way, const char *who, unsigned names) {
  lua_settop(L, WISH);
  rb_Stream *s = rb_log_stream(L);
  Wish w;
  rb_log_wish(L, WISH, who, names, &w);
  Job *j = pushjob(L, way);
  j->w = w;
  if (!rb_log_open(&j->l, s->fd, 0, (long long)s->place.st.st_size)) nomemory(L);
  lua_newtable(L);
  rb_describe(L, "%s in %s", who, s->place.path);
  return piece(L, LUA_OK, 0);
}

/* -- results ---------------------------------------------------------------------- */

static void setinteger (lua_State *L, const char *name, long long n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

/* [-0, +1, m]  what every answer says: how much was read, and what was not */
static void pushbase (lua_State *L, const Job *j) {
  lua_newtable(L);
  lua_pushstring(L, placeof(L)->path);
  lua_setfield(L, -2, "path");
  setinteger(L, "count", j->count);
  setinteger(L, "lines", j->l.line);
  setinteger(L, "bytes", j->l.at);
  setinteger(L, "untimed", j->untimed);
  if (j->untimed > 0) setinteger(L, "first_untimed", j->firstuntimed);
  if (j->l.cut > 0) setinteger(L, "cut", j->l.cut);
  rb_log_pushrotated(L, placeof(L));
  lua_setfield(L, -2, "unread");
}

static void count_result (lua_State *L, Job *j) { pushbase(L, j); }

static const Way counting = {NULL, count_result, 0};

/* a line for a script: its beginning, without half a character at its end */
static void pushline (lua_State *L, const Text *line) {
  size_t n = line->n;
  if (n > SHOWN)
    for (n = SHOWN; n > SHOWN - 4 && ((unsigned char)line->s[n] & 0xC0) == 0x80; ) n--;
  lua_pushlstring(L, line->s, n);
}

/* [-0, +1, m]  as ISO 8601, in UTC */
static void pushtime (lua_State *L, double t) {
  char text[40];
  time_t whole = (time_t)floor(t);
  struct tm tm;
  if (gmtime_r(&whole, &tm) == NULL
      || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) lua_pushnil(L);
  else lua_pushstring(L, text);
}

/* -- group ------------------------------------------------------------------------ */

static void checktally (lua_State *L, int rc, const char *more) {
  if (rc == 0) nomemory(L);
  if (rc < 0)
    rb_fail(L, "limit", RB_NOTDONE, "%smore than 200,000 different %s", lua_tostring(L, WHO),
            more);
}

static void group_line (lua_State *L, Job *j, const Text *line, double t) {
  char room[KEYMAX];
  Text key;
  rb_Span span;
  (void)t;
  int found;
  if (j->w.by != NULL) {
    found = rb_pattern_match(j->w.by, line->s, line->n, 1, &span) > 0 && span.set;
    if (found) key = (Text){line->s + span.at, span.n};
  } else {
    Text value;
    found = rb_log_field(line, &j->w.field, &value)
            && rb_log_plain(&value, room, sizeof room, &key);
  }
  if (!found) {
    j->without++;
    return;
  }
  if (key.n > KEYMAX) key.n = KEYMAX;
  checktally(L, rb_log_tally(&j->t, key.s, key.n),
             "values: ask for fewer lines with 'match' or 'since', or group by less");
}

static void group_result (lua_State *L, Job *j) {
  rb_log_sort(&j->t, 0);
  pushbase(L, j);
  setinteger(L, "distinct", (long long)j->t.used);
  setinteger(L, "without", j->without);
  lua_newtable(L);
  for (size_t i = 0; i < j->t.used && (lua_Integer)i < j->w.most; i++) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, j->t.slot[i].key, j->t.slot[i].n);
    lua_setfield(L, -2, "value");
    setinteger(L, "count", j->t.slot[i].count);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "groups");
}

static const Way grouping = {group_line, group_result, 0};

/* -- match ------------------------------------------------------------------------ */

/* [-0, +0, m]  what the pattern captured, into the table at the top */
static void setcaptures (lua_State *L, const Job *j, const Text *line) {
  rb_Span span;
  unsigned n = j->w.match != NULL ? rb_pattern_groups(j->w.match) : 0;
  if (n == 0) return;
  lua_newtable(L);
  for (unsigned i = 1; i <= n && i <= CAPTURES; i++) {
    int found = rb_pattern_match(j->w.match, line->s, line->n, i, &span) > 0 && span.set;
    Text value = {line->s + (found ? span.at : 0), found ? span.n : 0};
    pushline(L, &value);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  lua_setfield(L, -2, "captures");
}

static void match_line (lua_State *L, Job *j, const Text *line, double t) {
  (void)t;
  if (j->count > j->w.most) return;
  lua_createtable(L, 0, 3);
  setinteger(L, "line", j->l.line);
  pushline(L, line);
  lua_setfield(L, -2, "text");
  setcaptures(L, j, line);
  lua_rawseti(L, LIST, (lua_Integer)j->count);
}

static void match_result (lua_State *L, Job *j) {
  pushbase(L, j);
  lua_pushvalue(L, LIST);
  lua_setfield(L, -2, "matches");
}

static const Way matching = {match_line, match_result, 0};

/* -- tail: the last ones, in a ring ----------------------------------------------- */

static void tail_line (lua_State *L, Job *j, const Text *line, double t) {
  (void)t;
  pushline(L, line);
  lua_rawseti(L, LIST, (lua_Integer)((j->count - 1) % j->w.most) + 1);
}

static void tail_result (lua_State *L, Job *j) {
  long long most = (long long)j->w.most, n = j->count < most ? j->count : most;
  lua_createtable(L, (int)n, 0);
  for (long long i = 0; i < n; i++) {
    lua_rawgeti(L, LIST, (lua_Integer)((j->count - n + i) % most) + 1);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static const Way tailing = {tail_line, tail_result, 0};

static int log_tail (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, 1 <= n && n <= TAILMAX, 2, "1 to 10000 lines expected");
  lua_settop(L, 3);
  lua_insert(L, 2);                                   /* resource, match, n */
  lua_settop(L, WISH);
  rb_Stream *s = rb_log_stream(L);
  lua_newtable(L);
  Wish w = {.since = -1, .most = n};
  if (!lua_isnil(L, WISH)) rb_log_match(L, WISH, "log:tail", OWNER, &w);
  Job *j = pushjob(L, &tailing);
  j->w = w;
  long long size = (long long)s->place.st.st_size;
  long long at = lua_isnil(L, WISH) ? rb_log_lastlines(s->fd, size, n) : 0;
  if (at < 0)
    return rb_fail(L, "io", RB_NOTDONE, "%s%s cannot be read: %s", lua_tostring(L, WHO),
                   s->place.path, strerror(errno));
  if (!rb_log_open(&j->l, s->fd, at, size)) nomemory(L);
  lua_newtable(L);
  rb_describe(L, "the last %d lines of %s", (int)n, s->place.path);
  return piece(L, LUA_OK, 0);
}

/* -- rate ------------------------------------------------------------------------- */

static void rate_line (lua_State *L, Job *j, const Text *line, double t) {
  long long window = (long long)floor(t / j->w.per);
  (void)line;
  if (t > j->now - j->w.per && t <= j->now) j->recent++;
  checktally(L, rb_log_tally(&j->t, (const char *)&window, sizeof window),
             "windows: ask for fewer lines with 'since', or for longer windows");
}

/* [-0, +1, m] */
static void pushwindow (lua_State *L, const Job *j, const Seen *s) {
  long long window;
  memcpy(&window, s->key, sizeof window);
  lua_createtable(L, 0, 2);
  pushtime(L, (double)window * j->w.per);
  lua_setfield(L, -2, "at");
  setinteger(L, "count", s->count);
}

static void rate_result (lua_State *L, Job *j) {
  size_t n = j->t.used, peak = 0;
  rb_log_sort(&j->t, 1);
  pushbase(L, j);
  lua_pushnumber(L, j->w.per);
  lua_setfield(L, -2, "per");
  setinteger(L, "now", j->recent);
  lua_newtable(L);
  size_t from = n > (size_t)j->w.most ? n - (size_t)j->w.most : 0;
  for (size_t i = from; i < n; i++) {
    pushwindow(L, j, &j->t.slot[i]);
    lua_rawseti(L, -2, (lua_Integer)(i - from) + 1);
  }
  lua_setfield(L, -2, "windows");
  for (size_t i = 1; i < n; i++)
    if (j->t.slot[i].count > j->t.slot[peak].count) peak = i;
  if (n == 0) return;
  pushwindow(L, j, &j->t.slot[peak]);
  lua_setfield(L, -2, "peak");
}

static const Way rating = {rate_line, rate_result, 1};

/* -- calls ------------------------------------------------------------------------ */

static int log_count (lua_State *L) {
  return start(L, &counting, "log:count", RB_LOG_MATCH | RB_LOG_SINCE);
}

static int log_group (lua_State *L) {
  luaL_checktype(L, WISH, LUA_TTABLE);
  if (lua_getfield(L, WISH, "by") == LUA_TNIL)
    return luaL_error(L, "log:group: 'by' is missing: the name of a JSON field, or a pattern "
                      "with a capture");
  return start(L, &grouping, "log:group",
               RB_LOG_BY | RB_LOG_MATCH | RB_LOG_SINCE | RB_LOG_TOP);
}

static int log_match (lua_State *L) {
  luaL_checktype(L, WISH, LUA_TTABLE);
  if (lua_getfield(L, WISH, "pattern") == LUA_TNIL)
    return luaL_error(L, "log:match: 'pattern' is missing");
  return start(L, &matching, "log:match", RB_LOG_PATTERN | RB_LOG_SINCE | RB_LOG_LIMIT);
}

static int log_rate (lua_State *L) {
  return start(L, &rating, "log:rate", RB_LOG_MATCH | RB_LOG_SINCE | RB_LOG_PER | RB_LOG_LIMIT);
}

#define ASKED "`match` is a pattern as Perl has it (a text without signs is looked for as it " \
  "is), `since` a duration before now, a time or seconds since 1970. "
#define BASE "{path, count, lines, bytes, untimed, first_untimed, unread"

static const rb_Reg methods[] = {
  {"count", RB_PROBE, log_count, NULL,
   "count([{ match =, since = }]) -> " BASE "} : how many lines (`count`) there are, or are "
   "like that, of all `lines`. " ASKED "The time of a JSON line is its time, timestamp, "
   "@timestamp, ts or at, that of another one how it begins (2026-11-25T10:30:00Z, "
   "[25/Nov/2026:10:30:00 +0000]); without a zone it is UTC. Lines without a time are left out "
   "where it is asked for: `untimed` says how many, `first_untimed` the first. `unread` names "
   "rotated files beside it, which are not read. A file of any size; what was in it when "
   "the call began", NULL, NULL},
  {"group", RB_PROBE, log_group, NULL,
   "group{ by =, match =, since =, top = } -> " BASE ", groups, distinct, without} : which "
   "values are there most often: `groups` is a list of {value, count}, the `top` 10 (at most "
   "10,000). `by` is a field of JSON lines (\"ip\", \"user.id\") or a pattern whose first "
   "capture is taken; lines that have none are counted in `without`. Fails with \"limit\" at "
   "more than 200,000 different values. Otherwise as log:count", NULL, NULL},
  {"tail", RB_PROBE, log_tail, NULL,
   "tail(n [, match]) -> {line, ...} : the last n lines (at most 10,000), of those that are "
   "like `match`; each at most 4096 bytes", NULL, NULL},
  {"match", RB_PROBE, log_match, NULL,
   "match{ pattern =, since =, limit = } -> " BASE ", matches} : the first `limit` (100) lines "
   "that are like the pattern, a list of {line, text, captures}: the number, at most 4096 "
   "bytes, and what its groups captured. `count` says how many there are in all. Otherwise "
   "as log:count", NULL, NULL},
  {"rate", RB_PROBE, log_rate, NULL,
   "rate{ match =, since =, per = \"1m\", limit = 60 } -> " BASE ", per, now, windows, peak} : "
   "how many lines in each window of that length: `windows` is a list of {at, count}, the last "
   "`limit` that are not empty, `peak` the fullest of all, `now` how many in the last `per` "
   "before now, `per` in seconds. Otherwise as log:count", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE, .name = "log",
  .doc = "the log file of a system: lines of JSON or text, counted where they are",
  .methods = methods, .doctor = rb_log_doctor, .identity = rb_log_identity
};
