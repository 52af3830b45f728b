/*
** notice.c - what the modules share that tell people something over HTTP
**
** Of a post that got no answer nobody knows whether it was read: it is in doubt,
** unless the receiver knows repetitions by a key. "429 Too Many Requests" was not
** done, and the step's `retry` says how often to come back.
*/

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "stdlib/common/json.h"
#include "stdlib/common/notice.h"

#define TIMEOUT 15.0     /* seconds, where the call does not say */
#define SUMMARY 90       /* bytes of the first line that a summary shows */

/* -- where it goes ----------------------------------------------------------------- */

void rb_notice_settings (lua_State *L) {
  rb_Resource *r = rb_resource(L);
  if (rb_setting(L, r, NULL) == LUA_TNIL)
    rb_fail(L, "missing", RB_NOTDONE, "this target tells nobody by %s: add notify = { %s "
            "= ... } to it in the configuration", r->name, r->name);
}

static int byname (const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* [-0, +0, v]  there is no such key in the table at idx: which are there? */
static int nokey (lua_State *L, int idx, const char *name, const char *what) {
  const char *names[31], *module = rb_resource(L)->name;
  int n = 0;
  luaL_Buffer all;
  lua_pushnil(L);
  while (n < 30 && lua_next(L, idx) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) names[n++] = lua_tostring(L, -1);
  }
  names[n] = NULL;
  qsort(names, (size_t)n, sizeof *names, byname);
  const char *near = rb_nearest(name, names);
  if (near != NULL)
    return rb_fail(L, "missing", RB_NOTDONE, "%s: there is no %s \"%s\" in the target's "
                   "notify.%s (did you mean \"%s\"?)", module, what, name, module, near);
  luaL_buffinit(L, &all);
  for (int i = 0; i < n; i++) {
    luaL_addstring(&all, i > 0 ? ", " : "");
    luaL_addstring(&all, names[i]);
  }
  luaL_pushresult(&all);
  return rb_fail(L, "missing", RB_NOTDONE, "%s: there is no %s \"%s\" in the target's "
                 "notify.%s (there is %s)", module, what, name, module,
                 n > 0 ? lua_tostring(L, -1) : "none");
}

void rb_notice_entry (lua_State *L, const char *name, const char *what) {
  rb_notice_settings(L);
  if (lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    nokey(L, lua_gettop(L), name, what);
  }
  lua_remove(L, -2);
}

const char *rb_notice_secret (lua_State *L, int idx, const char *name) {
  size_t n;
  idx = lua_absindex(L, idx);
  if (lua_isnoneornil(L, idx)) {
    lua_pushnil(L);
    return NULL;
  }
  const char *s = rb_text(L, idx, &n);
  rb_secret(L, name, s, n);
  return s;
}

const char *rb_notice_channel (lua_State *L, int idx, const char *module) {
  const char *channel = luaL_checkstring(L, idx);
  rb_notice_entry(L, channel, "channel");
  const char *name = lua_pushfstring(L, "%s %s", module, channel);
  const char *url = rb_notice_secret(L, -2, name);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return url;
}

/* -- arguments ------------------------------------------------------------------------ */

void rb_notice_known (lua_State *L, int idx, const char *const *fields) {
  luaL_checktype(L, idx, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, idx) != 0; ) {
    lua_pop(L, 1);
    const char *const *f = fields;
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    while (name != NULL && *f != NULL && strcmp(*f, name) != 0) f++;
    if (name != NULL && *f != NULL) continue;
    const char *near = name != NULL ? rb_nearest(name, fields) : NULL;
    luaL_error(L, near != NULL ? "%s: unknown field '%s' (did you mean '%s'?)"
               : "%s: unknown field '%s'", rb_resource(L)->name,
               name != NULL ? name : "1", near);
  }
}

double rb_notice_timeout (lua_State *L, int idx) {
  static const char *const fields[] = {"timeout", NULL};
  double seconds = TIMEOUT;
  if (lua_isnoneornil(L, idx)) return seconds;
  rb_notice_known(L, idx, fields);
  if (lua_getfield(L, idx, "timeout") != LUA_TNIL
      && (lua_type(L, -1) != LUA_TSTRING || !rb_duration(lua_tostring(L, -1), &seconds)
          || seconds <= 0))
    luaL_error(L, "timeout: a duration is expected, such as \"10s\"");
  lua_pop(L, 1);
  return seconds;
}

const char *rb_notice_json (lua_State *L, int idx, int secrets, size_t *n) {
  const rb_JsonWay way = {.who = rb_resource(L)->name, .secrets = secrets};
  luaL_Buffer b;
  rb_Json *tree = rb_json_tree(L, idx, &way);
  size_t flags = tree->flags | JSON_COMPACT;
  size_t size = json_dumpb(tree->value, NULL, 0, flags);
  char *out = luaL_buffinitsize(L, &b, size);
  luaL_pushresultsize(&b, json_dumpb(tree->value, out, size, flags));
  rb_json_close(tree);
  lua_remove(L, -2);
  return lua_tolstring(L, -1, n);
}

const char *rb_notice_join (lua_State *L, int idx, const char *between) {
  luaL_Buffer b;
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    luaL_addvalue(&b);
    if (i < n) luaL_addstring(&b, between);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* -- preview ---------------------------------------------------------------------------- */

/* [-0, +1, m]  "#ops: Voucher previews unavailable ..." */
static void pushsummary (lua_State *L, const char *to, const char *text) {
  size_t n = strcspn(text, "\r\n"), more = text[n] != '\0';
  if (n > SUMMARY) {
    n = SUMMARY;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    more = 1;
  }
  lua_pushlstring(L, text, n);
  lua_pushfstring(L, "%s: %s%s", to, lua_tostring(L, -1), more ? " ..." : "");
  lua_remove(L, -2);
}

static void setflag (lua_State *L, const char *name) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

void rb_notice_plan (lua_State *L, const char *to) {
  int text = lua_gettop(L);
  lua_createtable(L, 0, 9);
  pushsummary(L, to, lua_tostring(L, text));
  lua_setfield(L, -2, "summary");
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, text);
  lua_setfield(L, -2, "value");
  lua_setfield(L, -2, "after");
  lua_pushstring(L, to);
  lua_setfield(L, -2, "asked");                       /* a plan holds to whom */
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "notices");
  lua_setfield(L, -2, "counts");
  lua_newtable(L);
  lua_setfield(L, -2, "writes");                      /* nothing that a probe could read */
  lua_pushliteral(L, "not taken back: it has been told");
  lua_setfield(L, -2, "undo");
  setflag(L, "exact");
  setflag(L, "result");
  lua_remove(L, text);
}

/* -- deed: the answer ---------------------------------------------------------------------- */

/* where things stand in a call under way: from the top of the arguments on */
typedef struct Sending {
  rb_Curl *t;
  rb_NoticePost p;
} Sending;

/* Seconds that the answer asks to wait; -1 where it does not say. */
static double retryafter (const rb_Curl *t) {
  size_t n;
  char date[64];
  const char *after = rb_curl_header(t, "Retry-After", &n);
  if (after == NULL || n == 0 || n >= sizeof date) return -1;
  if (strspn(after, "0123456789") >= n) return strtod(after, NULL);
  memcpy(date, after, n);
  date[n] = '\0';
  time_t then = curl_getdate(date, NULL), now = time(NULL);
  return then == -1 ? -1 : then > now ? (double)(then - now) : 0;
}

/* the server said no, before it did anything */
static int saysno (long status) {
  return status >= 300 && status < 500 && status != 408;
}

static int ishtml (const rb_Curl *t) {
  size_t n;
  const char *type = rb_curl_header(t, "Content-Type", &n);
  return type != NULL && n >= 9 && strncasecmp(type, "text/html", 9) == 0;
}

static int lost (lua_State *L, const Sending *s) {
  const char *kind, *why = rb_curl_why(L, s->t, &kind);
  return rb_fail(L, kind, s->t->sent ? RB_UNKNOWN : RB_NOTDONE, "%s: %s: %s%s",
                 rb_resource(L)->name, s->p.to, why,
                 s->t->sent ? "; it was sent, and may have been read"
                            : "; nobody was told");
}

static int unexpected (lua_State *L, const Sending *s, const char *why) {
  const rb_Curl *t = s->t;
  int no = saysno(t->status), busy = t->status == 429;
  const char *body = ishtml(t) ? "a page of HTML" : rb_curl_glimpse(L, t, 200);
  const char *end = no ? "; nobody was told" : "; it may have been read all the same";
  double after = retryafter(t);
  if (busy && after >= 0)
    lua_pushfstring(L, " and asked to wait %d s", (int)after);
  else lua_pushstring(L, why != NULL ? lua_pushfstring(L, ", %s", why) : "");
  return rb_fail(L, no && !busy ? "refused" : "server", no ? RB_NOTDONE : RB_UNKNOWN,
                 "%s: %s answered %d%s%s%s%s", rb_resource(L)->name, s->p.to,
                 (int)t->status, lua_tostring(L, -1), *body ? ": " : "", body, end);
}

static int answered (lua_State *L, int status, lua_KContext ctx);

static int comeback (lua_State *L, int status, lua_KContext ctx) {
  Sending *s = (Sending *)ctx;
  (void)status;
  rb_timeout(L, s->p.timeout);
  return rb_curl_perform(L, s->t, answered);
}

/* May it be sent once more, when the answer wants it to be? Seconds to wait, or -1. */
static double pause (lua_State *L, const Sending *s) {
  double every, after = retryafter(s->t);
  if (s->t->status != 429) return -1;
  rb_timeout(L, 86400);                               /* the step's own time counts now */
  if (after >= rb_timeleft(L) || !rb_retry(L, &every)) return -1;
  if (after < 0) after = every;
  return after < rb_timeleft(L) ? after : -1;
}

/* ctx of curl's continuation is the transfer; ours stands below it on the stack */
static int answered (lua_State *L, int status, lua_KContext ctx) {
  rb_Curl *t = (rb_Curl *)ctx;
  Sending *s = lua_touserdata(L, lua_gettop(L));
  const char *why = NULL;
  if (t->result != CURLE_OK) return lost(L, s);
  if (t->status < 200 || t->status > 299) {
    double wait = pause(L, s);
    if (wait >= 0) return rb_sleep(L, wait, (lua_KContext)s, comeback);
    return unexpected(L, s, NULL);
  }
  why = ishtml(t) ? "which is not what it answers" : s->p.judge != NULL
        ? s->p.judge(L, t) : NULL;
  if (why != NULL) return unexpected(L, s, why);
  if (s->p.done != NULL) return s->p.done(L, status, ctx);
  lua_pushboolean(L, 1);
  return 1;
}

/* -- deed: the request --------------------------------------------------------------------- */

rb_Curl *rb_notice_open (lua_State *L, const rb_NoticePost *p) {
  rb_Curl *t = rb_curl_open(L);
  t->once = 1;
  t->out = malloc(p->nbody + 1);
  if (t->out == NULL) luaL_error(L, "not enough memory");
  memcpy(t->out, p->body, p->nbody + 1);
  t->nout = p->nbody;
  rb_curl_append(L, &t->headers, "Content-Type: application/json; charset=utf-8");
  rb_curl_append(L, &t->headers, "User-Agent: runbook");
  rb_curl_append(L, &t->headers, "Expect:");
  CURLcode bad = curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
  bad |= curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->nout);
  bad |= curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->out);
  bad |= curl_easy_setopt(t->easy, CURLOPT_URL, p->url);
  rb_curl_checkopt(L, bad != CURLE_OK ? CURLE_UNKNOWN_OPTION : CURLE_OK);
  return t;
}

int rb_notice_send (lua_State *L, rb_Curl *t, const rb_NoticePost *p) {
  Sending *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (Sending){.t = t, .p = *p};
  rb_curl_checkopt(L, curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers));
  lua_createtable(L, 0, 2);                           /* facts */
  lua_pushstring(L, p->to);
  lua_setfield(L, -2, "to");
  if (p->key != NULL) {
    lua_pushstring(L, p->key);
    lua_setfield(L, -2, "key");
  }
  return rb_pledge(L, (lua_KContext)s, comeback);
}
