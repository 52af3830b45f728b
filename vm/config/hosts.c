/*
** hosts.c - the hosts on which a target's own systems are
*/

#include <string.h>
#include <strings.h>

#include "vm/config/private.h"

/* Is one of the hosts of a URL ("scheme://user:pw@a:1,[::1]:2/x") this one? */
static int inurl (const char *url, const char *host) {
  const char *scheme = strstr(url, "://");
  size_t n = strlen(host);
  if (scheme == NULL) return 0;
  const char *s = scheme + 3, *end = s + strcspn(s, "/?#");
  for (const char *at = s; (at = memchr(at, '@', (size_t)(end - at))) != NULL; )
    s = ++at;
  while (s < end) {
    const char *next = memchr(s, ',', (size_t)(end - s));
    const char *stop = next != NULL ? next : end;
    if (*s == '[') s++;
    if ((size_t)(stop - s) >= n && strncasecmp(s, host, n) == 0
        && (s + n == stop || s[n] == ':' || s[n] == ']'))
      return strchr(host, ':') == NULL || s[n] == ']';
    s = stop + 1;
  }
  return 0;
}

/* any text of a resource that is a URL: `url`, `probe`, or the resource itself */
static int intext (const rb_Item *item, const char *host) {
  if (item->type != RB_ITEMTABLE) {
    const char *text = rb_item_text(item);
    return text != NULL && inurl(text, host);
  }
  for (size_t i = 0; i < item->n; i++)
    if (intext(&item->items[i], host)) return 1;
  return 0;
}

int rb_target_owns (const rb_Target *t, const char *host) {
  const rb_Item *systems = rb_item_get(t->item, "systems");
  return systems != NULL && intext(systems, host);
}
