/*
** leak.c - texts in a source that are secrets, as far as their form tells
**
** Forms: the documentation of who issues them; a password in a URL is RFC 3986's userinfo.
*/

#include <ctype.h>
#include <string.h>

#include "vm/run/shape.h"

static const struct { const char *start, *what; } forms[] = {
  {"AKIA", "an AWS access key"}, {"ghp_", "a GitHub token"}, {"gho_", "a GitHub token"},
  {"github_pat_", "a GitHub token"}, {"glpat-", "a GitLab token"},
  {"xoxb-", "a Slack token"}, {"xoxp-", "a Slack token"}, {"xoxa-", "a Slack token"},
  {"sk_live_", "a Stripe key"}, {"rk_live_", "a Stripe key"},
  {"https://hooks.slack.com/services/", "the address of a Slack webhook"}
};

static const char *const names[] = {
  "password", "passwd", "secret", "api_key", "apikey", "private_key", "access_key",
  "auth_token", NULL
};

/* "scheme://user:password@host" */
static int haspassword (const char *s) {
  const char *start = strstr(s, "://"), *at, *colon;
  if (start == NULL) return 0;
  start += 3;
  at = start + strcspn(start, "/@ ");
  colon = memchr(start, ':', (size_t)(at - start));
  return *at == '@' && colon != NULL && colon + 1 < at && colon[1] != '{';
}

/* a word as random as a key is: no spaces, and long enough */
static int isword (const char *s) {
  size_t n = strcspn(s, " \t\n{}");
  return n >= 6 && s[n] == '\0';
}

static int issecretname (const char *name) {
  char low[64];
  size_t n = 0;
  for (; name[n] != '\0' && n < sizeof low - 1; n++) low[n] = (char)tolower((unsigned char)name[n]);
  low[n] = '\0';
  for (const char *const *w = names; *w != NULL; w++) {
    size_t m = strlen(*w);
    if (n >= m && strcmp(low + n - m, *w) == 0) return 1;
  }
  return 0;
}

const char *rb_leak (const char *name, const char *text) {
  if (haspassword(text)) return "a password in a URL";
  if (strstr(text, "-----BEGIN ") != NULL && strstr(text, "PRIVATE KEY-----") != NULL)
    return "a private key";
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (*text != *forms[i].start) continue;
    size_t n = strlen(forms[i].start);
    if (strncmp(text, forms[i].start, n) == 0 && strlen(text) >= n + 12) return forms[i].what;
  }
  return *name != '\0' && issecretname(name) && isword(text) ? "what its name says" : NULL;
}
