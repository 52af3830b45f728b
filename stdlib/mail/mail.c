/*
** mail.c - a mail, through the SMTP server that the configuration names
**
** Until the server has said 354 nothing was delivered; after that only its answer
** knows. Its Message-ID comes from the run and the step, so that it can be looked for.
*/

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "stdlib/mail/mail.h"

#define TIMEOUT 30.0     /* seconds, where the call does not say */

enum { SETTINGS = READ + 1 };  /* the target's notify.mail */

/* -- settings --------------------------------------------------------------------------- */

/* [-0, +1, v]  a text or secret of the settings, or nil */
static const char *setting (lua_State *L, const char *key) {
  if (lua_getfield(L, SETTINGS, key) == LUA_TNIL) return NULL;
  const char *s = rb_text(L, -1, NULL);
  lua_remove(L, -2);
  return s;
}

/* [-0, +1, v]  one address of the settings as a list, like those of a message */
static void pushaddresses (lua_State *L, const char *key) {
  lua_createtable(L, 0, 1);
  setting(L, key);
  lua_setfield(L, -2, key);
  rb_mail_addresses(L, lua_gettop(L), key);
  lua_remove(L, -2);
}

/* [-0, +1, v]  the one who writes */
static void pushsender (lua_State *L) {
  pushaddresses(L, "from");
  if (lua_rawlen(L, -1) == 0)
    rb_fail(L, "missing", RB_NOTDONE, "mail: the target's notify.mail has no `from`: say "
            "who writes");
}

/* [-0, +1, v]  the sender's bare address */
static const char *pushfrom (lua_State *L) {
  pushsender(L);
  lua_geti(L, -1, 1);
  lua_getfield(L, -1, "address");
  lua_replace(L, -3);
  lua_pop(L, 1);
  return lua_tostring(L, -1);
}

/* [-0, +2, v]  the arguments at READ, the settings at SETTINGS */
static void begin (lua_State *L) {
  rb_mail_read(L);
  rb_notice_settings(L);
  int asked = lua_getfield(L, READ, "reply_to") == LUA_TTABLE && lua_rawlen(L, -1) > 0;
  if (!asked) {
    pushaddresses(L, "reply_to");
    lua_setfield(L, READ, "reply_to");
  }
  lua_settop(L, SETTINGS);
}

/* -- preview ------------------------------------------------------------------------------ */

/* [-0, +1, v]  "<0123...@example.org>" */
static void pushid (lua_State *L) {
  const char *from = pushfrom(L);
  lua_pushfstring(L, "<%s%s>", rb_idempotency(L), strchr(from, '@'));
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static int send_preview (lua_State *L) {
  begin(L);
  rb_notice_timeout(L, OPTIONS);
  pushid(L);
  const char *to = rb_mail_recipients(L), *from = pushfrom(L);
  int id = SETTINGS + 1;
  rb_mail_rendered(L, from);
  rb_notice_plan(L, to);
  lua_getfield(L, READ, "subject");
  lua_pushfstring(L, "%s: %s", to, lua_tostring(L, -1));
  lua_setfield(L, -3, "summary");
  lua_pop(L, 1);
  lua_pushvalue(L, id);
  lua_setfield(L, -2, "result");
  lua_pushboolean(L, !rb_dryrun(L));                  /* a real run has another one */
  lua_setfield(L, -2, "exact");
  return 1;
}

/* -- deed: the transfer --------------------------------------------------------------------- */

static void addline (lua_State *L, rb_Curl *t, const char *name, const char *value) {
  rb_curl_append(L, &t->headers, lua_pushfstring(L, "%s: %s", name, value));
  lua_pop(L, 1);
}

static void addpeople (lua_State *L, rb_Curl *t, const char *name, const char *field) {
  if (lua_getfield(L, READ, field) == LUA_TTABLE && lua_rawlen(L, -1) > 0) {
    addline(L, t, name, rb_mail_addressline(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* the time that the script knows, so that a repetition says the same */
static void adddate (lua_State *L, rb_Curl *t) {
  char text[64];
  struct tm tm;
  time_t now = (time_t)rb_time(L);
  gmtime_r(&now, &tm);
  strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &tm);
  addline(L, t, "Date", text);
}

static void addheaders (lua_State *L, rb_Curl *t, const char *id) {
  size_t n;
  pushsender(L);
  addline(L, t, "From", rb_mail_addressline(L, -1));
  lua_pop(L, 2);
  addpeople(L, t, "To", "to");
  addpeople(L, t, "Cc", "cc");
  addpeople(L, t, "Reply-To", "reply_to");
  lua_getfield(L, READ, "subject");
  const char *subject = lua_tolstring(L, -1, &n);
  addline(L, t, "Subject", rb_mail_header(L, "subject", subject, n));
  lua_pop(L, 2);
  adddate(L, t);
  addline(L, t, "Message-ID", id);
  addline(L, t, "Auto-Submitted", "auto-generated");
}

static void addrecipients (lua_State *L, rb_Curl *t) {
  static const char *const fields[] = {"to", "cc", "bcc", NULL};
  for (const char *const *f = fields; *f != NULL; f++) {
    lua_getfield(L, READ, *f);
    for (lua_Integer i = 1; lua_geti(L, -1, i) != LUA_TNIL; i++) {
      lua_getfield(L, -1, "address");
      rb_curl_append(L, &t->to, lua_pushfstring(L, "<%s>", lua_tostring(L, -1)));
      lua_pop(L, 3);
    }
    lua_pop(L, 2);
  }
}

/* STARTTLS: "required" where a password is sent and nothing else is said */
static long encryption (lua_State *L) {
  int password = lua_getfield(L, SETTINGS, "password") != LUA_TNIL;
  const char *said = setting(L, "starttls");
  long how = said == NULL ? password ? CURLUSESSL_ALL : CURLUSESSL_TRY
             : strcmp(said, "required") == 0 ? CURLUSESSL_ALL
             : strcmp(said, "never") == 0 ? CURLUSESSL_NONE : CURLUSESSL_TRY;
  lua_pop(L, 2);
  return how;
}

static void fit (lua_State *L, rb_Curl *t) {
  static const struct { const char *key; CURLoption option; } texts[] = {
    {"smtp", CURLOPT_URL}, {"user", CURLOPT_USERNAME}, {"password", CURLOPT_PASSWORD},
    {"ca", CURLOPT_CAINFO}
  };
  CURLcode bad = curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const char *s = setting(L, texts[i].key);
    if (s == NULL && i == 0)
      rb_fail(L, "missing", RB_NOTDONE, "mail: the target's notify.mail has no `smtp`: say "
              "which server takes mail, as smtp://HOST:PORT");
    if (s != NULL) bad |= curl_easy_setopt(t->easy, texts[i].option, s);
    lua_pop(L, 1);
  }
  bad |= curl_easy_setopt(t->easy, CURLOPT_USE_SSL, encryption(L));
  bad |= curl_easy_setopt(t->easy, CURLOPT_MAIL_FROM,
                          lua_pushfstring(L, "<%s>", pushfrom(L)));
  bad |= curl_easy_setopt(t->easy, CURLOPT_MAIL_RCPT, t->to);
  bad |= curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
  lua_pop(L, 2);
  rb_curl_checkopt(L, bad != CURLE_OK ? CURLE_UNKNOWN_OPTION : CURLE_OK);
}

/* -- deed: how it went ------------------------------------------------------------------------ */

/* The code of the server's last reply but "221 Bye", whose text is its n bytes; 0: it
** said nothing. */
static int lastreply (const rb_Curl *t, const char **text, size_t *n) {
  int code = 0, one;
  *n = 0;
  for (const char *s = t->head.n > 0 ? t->head.s : ""; *s != '\0'; ) {
    size_t len = strcspn(s, "\r\n");
    if (len >= 3 && sscanf(s, "%3d", &one) == 1 && one != 221) {
      code = one;
      *text = s;
      *n = len;
    }
    s += len + strspn(s + len, "\r\n");
  }
  return code;
}

static int failed (lua_State *L, const rb_Curl *t, const char *to) {
  const char *text = "", *kind, *why = rb_curl_why(L, t, &kind);
  size_t n;
  int code = lastreply(t, &text, &n);
  if (t->result == CURLE_USE_SSL_FAILED)
    return rb_fail(L, "auth", RB_NOTDONE, "mail: the server does not offer STARTTLS, which is "
                   "required here, and nothing was sent in clear (starttls in the target's "
                   "notify.mail)");
  if (t->result == CURLE_LOGIN_DENIED)
    return rb_fail(L, "auth", RB_NOTDONE, "mail: the server takes no mail from this user (%s); "
                   "see user and password in the target's notify.mail",
                   code >= 400 ? lua_pushlstring(L, text, n) : why);
  if (code >= 400 && t->result != CURLE_OPERATION_TIMEDOUT)
    return rb_fail(L, code < 500 ? "server" : "refused", RB_NOTDONE, "mail: to %s: the server "
                   "said \"%s\"; nobody was told%s", to, lua_pushlstring(L, text, n),
                   code < 500 ? ", and it may be tried again" : "");
  return rb_fail(L, kind, t->sent ? RB_UNKNOWN : RB_NOTDONE, "mail: to %s: %s%s", to, why,
                 t->sent ? "; it was handed over, and may have been delivered"
                         : "; nobody was told");
}

/* the Message-ID stands at the top, whom it is for below it */
static int sent (lua_State *L, int status, lua_KContext ctx) {
  rb_Curl *t = (rb_Curl *)ctx;
  const char *to = lua_tostring(L, -2);
  (void)status;
  if (t->result != CURLE_OK) return failed(L, t, to);
  return 1;
}

static int pledged (lua_State *L, int status, lua_KContext ctx) {
  rb_Curl *t = (rb_Curl *)ctx;
  (void)status;
  double seconds = rb_notice_timeout(L, OPTIONS);
  rb_timeout(L, lua_isnil(L, OPTIONS) ? TIMEOUT : seconds);
  return rb_curl_perform(L, t, sent);
}

static int send_ (lua_State *L) {
  begin(L);
  rb_Curl *t = rb_curl_open(L);
  rb_plan(L);
  lua_getfield(L, -1, "result");                      /* the id that the preview made */
  lua_remove(L, -2);
  const char *id = lua_tostring(L, -1);
  addheaders(L, t, id);
  addrecipients(L, t);
  rb_mail_compose(L, t);
  fit(L, t);
  rb_mail_recipients(L);
  lua_insert(L, -2);
  lua_createtable(L, 0, 2);                           /* facts */
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "to");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "message_id");
  return rb_pledge(L, (lua_KContext)t, pledged);
}

static const rb_Reg functions[] = {
  {"send", RB_NOTICE, send_, send_preview,
   "send{ to =, subject =, text =, html =, cc =, bcc =, reply_to =, attach = {} } -> string : "
   "sends a mail through the target's `notify.mail` and returns its Message-ID. Addresses are "
   "texts or lists of them, `Kim <kim@example.org>` or bare; blanks around them and capitals "
   "make no difference. `text`, `html` or both. Each of `attach` is a path that the target "
   "allows, or { name =, type =, content = } (10 MB; text/calendar gets the method of its "
   "content). Line breaks in a header are an error. Fails with \"refused\" where the server "
   "said no (5xx), \"server\" where it said not now (4xx: not done, `retry` helps), \"auth\", "
   "\"io\", \"timeout\"; in doubt where it was handed over and no answer came.", NULL, NULL},
  RB_END
};

RB_API const rb_Module rb_module = {
  .interface = RB_INTERFACE,
  .name = "mail",
  .doc = "mails, through an SMTP server",
  .functions = functions
};
