/*
** check.c - is the configuration well formed? Every key that there is stands
** in the tables below, and nowhere else.
*/

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vm/buffer.h"
#include "vm/config/private.h"
#include "vm/module.h"   /* rb_duration */

const char *const rb_limitnames[] = {
  "pg_rows", "pg_rows_statement", "redis_keys", "http_writes", "files",
  "commands", "notices", NULL
};

typedef enum Kind {
  TEXT,      /* a string, env or secret */
  STRING,    /* written out */
  URL,       /* a TEXT with a scheme of 'of' */
  DURATION,
  LIST,      /* of different STRINGs */
  TEXTS,     /* a list of TEXTs */
  LIMIT,
  WORD,      /* one of the words of 'of' */
  ANY,       /* a table whose content is the scripts' business */
  KEYS,      /* a table with the keys of 'of' */
  MAP,       /* a table of names, each value like the one row of 'of' */
  RESOURCE   /* the first row of 'of' alone, or a table with its keys */
} Kind;

typedef struct Row {
  const char *key;
  Kind kind;
  const void *of;      /* Row[], or for a URL Scheme[] */
} Row;

typedef struct Scheme {
  const char *start, *example;
} Scheme;

/* -- what may be written -------------------------------------------------- */

static const Scheme httpurl[] = {
  {"http://", "http://HOST:PORT"}, {"https://", NULL}, {NULL, NULL}
};
static const Scheme pgurl[] = {
  {"postgresql://", "postgresql://USER@HOST:PORT/DATABASE"}, {"postgres://", NULL},
  {NULL, NULL}
};
static const Scheme redisurl[] = {
  {"redis://", "redis://HOST:PORT/0"}, {"rediss://", NULL}, {"unix://", NULL},
  {NULL, NULL}
};
static const Scheme smtpurl[] = {
  {"smtp://", "smtp://HOST:PORT"}, {"smtps://", NULL}, {NULL, NULL}
};
static const Scheme serviceurl[] = {
  {"pm2:", "pm2:NAME"}, {"process:", NULL}, {"docker:", NULL}, {"compose:", NULL},
  {"systemd:", NULL}, {NULL, NULL}
};

static const Row text[] = {{"", TEXT, NULL}, {NULL, TEXT, NULL}};

static const Row http[] = {
  {"url", URL, httpurl}, {"headers", MAP, text}, {"probes", LIST, NULL},
  {"idempotency", STRING, NULL}, {"ca", TEXT, NULL}, {"cert", TEXT, NULL},
  {"key", TEXT, NULL}, {"key_password", TEXT, NULL}, {"timeout", DURATION, NULL},
  {"connect_timeout", DURATION, NULL},
  {"first_byte_timeout", DURATION, NULL},
  {"health", STRING, NULL}, {NULL, TEXT, NULL}
};
static const Row pg[] = {
  {"url", URL, pgurl}, {"probe", URL, pgurl}, {"secret_columns", LIST, NULL},
  {NULL, TEXT, NULL}
};
static const Row redis[] = {
  {"url", URL, redisurl}, {"probe", URL, redisurl}, {"ca", TEXT, NULL},
  {"cert", TEXT, NULL}, {"key", TEXT, NULL}, {"key_password", TEXT, NULL},
  {NULL, TEXT, NULL}
};
static const Row service[] = {
  {"url", URL, serviceurl}, {"program", TEXT, NULL}, {"home", TEXT, NULL},
  {"pidfile", TEXT, NULL}, {"start", TEXTS, NULL}, {"cwd", TEXT, NULL},
  {"log", TEXT, NULL}, {"file", TEXT, NULL}, {"host", TEXT, NULL},
  {NULL, TEXT, NULL}
};
static const Row path[] = {{"path", TEXT, NULL}, {NULL, TEXT, NULL}};

static const Row backup[] = {
  {"path", TEXT, NULL}, {"pg", URL, pgurl}, {"bin", TEXT, NULL}, {NULL, TEXT, NULL}
};

static const Row systemkeys[] = {
  {"http", RESOURCE, http}, {"pg", RESOURCE, pg}, {"redis", RESOURCE, redis},
  {"dotenv", RESOURCE, path}, {"service", RESOURCE, service},
  {"log", RESOURCE, path}, {"backup", RESOURCE, backup},
  {"settings", ANY, NULL}, {"schema", ANY, NULL}, {NULL, TEXT, NULL}
};
static const Row asystem[] = {{"", KEYS, systemkeys}, {NULL, TEXT, NULL}};

static const Row allow[] = {
  {"files", TEXTS, NULL}, {"programs", TEXTS, NULL}, {"hosts", TEXTS, NULL},
  {"delegates", TEXTS, NULL}, {NULL, TEXT, NULL}
};
static const Row limits[] = {
  {"pg_rows", LIMIT, NULL}, {"pg_rows_statement", LIMIT, NULL},
  {"redis_keys", LIMIT, NULL}, {"http_writes", LIMIT, NULL},
  {"files", LIMIT, NULL}, {"commands", LIMIT, NULL}, {"notices", LIMIT, NULL},
  {NULL, TEXT, NULL}
};
static const char *const kinds[] = {"sandbox", "staging", "production", NULL};
static const char *const starttls[] = {"required", "offered", "never", NULL};
static const Row channel[] = {{"", URL, httpurl}, {NULL, TEXT, NULL}};
static const Row mail[] = {
  {"smtp", URL, smtpurl}, {"from", TEXT, NULL}, {"user", TEXT, NULL},
  {"password", TEXT, NULL}, {"reply_to", TEXT, NULL}, {"ca", TEXT, NULL},
  {"starttls", WORD, starttls},
  {NULL, TEXT, NULL}
};
static const Row pagerduty[] = {
  {"key", TEXT, NULL}, {"url", URL, httpurl}, {NULL, TEXT, NULL}
};
static const Row webhookkeys[] = {
  {"url", URL, httpurl}, {"secret", TEXT, NULL}, {"idempotency", STRING, NULL},
  {NULL, TEXT, NULL}
};
static const Row webhook[] = {{"", RESOURCE, webhookkeys}, {NULL, TEXT, NULL}};
static const Row notify[] = {
  {"slack", MAP, channel}, {"teams", MAP, channel}, {"mail", KEYS, mail},
  {"pagerduty", RESOURCE, pagerduty}, {"webhook", MAP, webhook}, {NULL, TEXT, NULL}
};
static const Row anytable[] = {{"", ANY, NULL}, {NULL, TEXT, NULL}};
static const Row targetkeys[] = {
  {"kind", WORD, kinds}, {"systems", MAP, asystem}, {"allow", KEYS, allow},
  {"limits", KEYS, limits}, {"notify", KEYS, notify}, {"defaults", MAP, anytable},
  {NULL, TEXT, NULL}
};
static const Row atarget[] = {{"", KEYS, targetkeys}, {NULL, TEXT, NULL}};
static const Row people[] = {{"", LIST, NULL}, {NULL, TEXT, NULL}};
static const Row top[] = {
  {"target", STRING, NULL}, {"targets", MAP, atarget}, {"runbooks", LIST, NULL},
  {"roles", MAP, people}, {"locks", STRING, NULL}, {NULL, TEXT, NULL}
};

/* what is written for a key that is spelt in another way altogether */
static const struct { const char *word, *key; } aliases[] = {
  {"postgres", "pg"}, {"postgresql", "pg"}, {"database", "pg"}, {"db", "pg"},
  {"env", "dotenv"}, {"cache", "redis"}, {"api", "http"}, {"https", "http"},
  {"web", "http"}, {"pm2", "service"}, {"process", "service"}, {"docker", "service"},
  {"systemd", "service"}, {"logs", "log"}, {"backups", "backup"},
  {"environments", "targets"}, {"type", "kind"}, {"uri", "url"}, {"folder", "path"},
  {"file", "path"}, {"params", "defaults"}, {"parameters", "defaults"},
  {"notifications", "notify"}, {"notices", "notify"}, {"email", "mail"}
};

/* -- saying what is wrong ---------------------------------------------------- */

typedef struct Walk {
  const rb_Config *c;
  rb_Problem *p;
  char place[400];
} Walk;

static const char *const types[] = {
  [RB_ITEMTABLE] = "a table", [RB_ITEMTEXT] = "a text",
  [RB_ITEMINTEGER] = "a number", [RB_ITEMNUMBER] = "a number",
  [RB_ITEMBOOLEAN] = "a boolean", [RB_ITEMENV] = "an env",
  [RB_ITEMSECRET] = "a secret"
};

static int expected (Walk *w, const char *what, const rb_Item *item) {
  if (item->type == RB_ITEMTEXT)
    return rb_config_problem(w->c, w->p, w->place, "%s is expected, not \"%.60s\"",
                             what, item->text);
  return rb_config_problem(w->c, w->p, w->place, "%s is expected, not %s", what,
                           types[item->type]);
}

/* appends ".key" to the place; returns what to cut it back to */
static size_t enter (Walk *w, const char *key) {
  size_t n = strlen(w->place);
  snprintf(w->place + n, sizeof w->place - n, "%s%s", n > 0 ? "." : "", key);
  return n;
}

static size_t enterindex (Walk *w, size_t i) {
  char number[24];
  snprintf(number, sizeof number, "%zu", i + 1);
  return enter(w, number);
}

static int unknown (Walk *w, const Row *rows, const char *key) {
  const char *words[32], *near = NULL;
  rb_Buffer all = {0};
  int n = 0;
  for (const Row *r = rows; r->key != NULL; r++) {
    rb_buffer_printf(&all, "%s%s", n > 0 ? ", " : "", r->key);
    words[n++] = r->key;
  }
  words[n] = NULL;
  for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
    for (int k = 0; k < n && strcmp(aliases[i].word, key) == 0; k++)
      if (strcmp(aliases[i].key, words[k]) == 0) near = words[k];
  if (near == NULL) near = rb_nearest(key, words);
  enter(w, key);
  if (near != NULL)
    rb_config_problem(w->c, w->p, w->place, "there is no such key (did you mean "
                      "'%s'?)", near);
  else rb_config_problem(w->c, w->p, w->place, "there is no such key; there are %s",
                         all.s);
  rb_buffer_free(&all);
  return w->p->exit;
}

/* -- one value ------------------------------------------------------------- */

static int istext (const rb_Item *item) {
  return item->type == RB_ITEMTEXT || item->type == RB_ITEMENV
         || item->type == RB_ITEMSECRET;
}

/* A URL for a message: without what stands before '@' or after '?', and of
** "password=..." the first word alone. */
static void harmless (const rb_Item *item, char *out, size_t size) {
  const char *url = rb_item_text(item), *scheme = strstr(url, "://");
  const char *host = scheme != NULL ? scheme + 3 : url, *at = strrchr(host, '@');
  if (item->type == RB_ITEMSECRET)
    snprintf(out, size, "secret \"%s\"", item->text);
  else
    snprintf(out, size, "\"%.*s%s%.*s\"", (int)(host - url), url, at != NULL ? "...@" : "",
             (int)strcspn(at != NULL ? at + 1 : host, "?= "), at != NULL ? at + 1 : host);
}

static int checkurl (Walk *w, const Scheme *schemes, const rb_Item *item) {
  char shown[200];
  const char *url = rb_item_text(item), *kind = schemes->start;
  if (url == NULL) return 0;  /* an environment that nobody has asked yet */
  for (const Scheme *s = schemes; s->start != NULL; s++) {
    size_t n = strlen(s->start);
    if (strncmp(url, s->start, n) == 0 && url[n] != '\0') return 0;
  }
  harmless(item, shown, sizeof shown);
  if (strchr(kind, '/') != NULL && strstr(url, "://") == NULL && *url != '\0'
      && *url != '/' && strncmp(url, kind, strlen(kind) - 3) != 0)
    return rb_config_problem(w->c, w->p, w->place, "%s has no scheme: write %s in "
                             "front of it", shown, kind);
  return rb_config_problem(w->c, w->p, w->place, "%s is not such as %s", shown,
                           schemes->example);
}

static int checkduration (Walk *w, const rb_Item *item) {
  double seconds;
  if (item->type == RB_ITEMTEXT && rb_duration(item->text, &seconds) && seconds > 0)
    return 0;
  return expected(w, "a duration such as \"10s\"", item);
}

/* "a", "b" or "c" */
static int checkword (Walk *w, const char *const *words, const rb_Item *item) {
  char all[200] = "";
  size_t n = 0;
  for (size_t i = 0; words[i] != NULL; i++) {
    if (item->type == RB_ITEMTEXT && strcmp(item->text, words[i]) == 0) return 0;
    n += (size_t)snprintf(all + n, sizeof all - n, "%s\"%s\"", i == 0 ? ""
                          : words[i + 1] == NULL ? " or " : ", ", words[i]);
  }
  return expected(w, all, item);
}

static int checklimit (Walk *w, const rb_Item *item) {
  if (item->type == RB_ITEMINTEGER && item->integer >= 0) return 0;
  if (item->type == RB_ITEMINTEGER)
    return rb_config_problem(w->c, w->p, w->place, "a whole number from 0 on is "
                             "expected, not %lld", item->integer);
  return expected(w, "a whole number from 0 on", item);
}

static int checklist (Walk *w, const rb_Item *item, int literal) {
  const char *what = literal ? "a text" : "a text, env or secret";
  if (item->type != RB_ITEMTABLE || item->n != item->nlist)
    return expected(w, "a list such as { \"one\", \"two\" }", item);
  for (size_t i = 0; i < item->n; i++) {
    const rb_Item *one = &item->items[i];
    size_t back = enterindex(w, i);
    if (literal ? one->type != RB_ITEMTEXT : !istext(one)) return expected(w, what, one);
    for (size_t k = 0; k < i && literal; k++)
      if (strcmp(item->items[k].text, one->text) == 0)
        return rb_config_problem(w->c, w->p, w->place, "\"%s\" is in the list already",
                                 one->text);
    w->place[back] = '\0';
  }
  return 0;
}

/* -- tables ---------------------------------------------------------------- */

static int check (Walk *w, const Row *row, const rb_Item *item);

static int checkkeys (Walk *w, const Row *rows, const rb_Item *item) {
  if (item->type != RB_ITEMTABLE || item->nlist > 0)
    return expected(w, "a table { NAME = VALUE, ... }", item);
  for (size_t i = 0; i < item->n; i++) {
    const char *key = item->items[i].key;
    const Row *row = rows;
    while (row->key != NULL && strcmp(row->key, key) != 0) row++;
    if (row->key == NULL) return unknown(w, rows, key);
    size_t back = enter(w, key);
    if (check(w, row, &item->items[i]) != 0) return w->p->exit;
    w->place[back] = '\0';
  }
  return 0;
}

static int checkmap (Walk *w, const Row *each, const rb_Item *item) {
  if (item->type != RB_ITEMTABLE || item->nlist > 0)
    return expected(w, "a table { NAME = VALUE, ... }", item);
  for (size_t i = 0; i < item->n; i++) {
    size_t back = enter(w, item->items[i].key);
    if (check(w, each, &item->items[i]) != 0) return w->p->exit;
    w->place[back] = '\0';
  }
  return 0;
}

static int checkresource (Walk *w, const Row *rows, const rb_Item *item) {
  if (istext(item)) return check(w, rows, item);
  if (item->type != RB_ITEMTABLE) {
    char what[80];
    snprintf(what, sizeof what, "a %s, or a table { %s = ... },", rows->key, rows->key);
    return expected(w, what, item);
  }
  if (checkkeys(w, rows, item) != 0) return w->p->exit;
  if (rb_item_get(item, rows->key) != NULL) return 0;
  return rb_config_problem(w->c, w->p, w->place, "it needs %s = ...", rows->key);
}

static int check (Walk *w, const Row *row, const rb_Item *item) {
  switch (row->kind) {
    case TEXT: return istext(item) ? 0 : expected(w, "a text, env or secret", item);
    case STRING: return item->type == RB_ITEMTEXT ? 0 : expected(w, "a text", item);
    case URL:
      return istext(item) ? checkurl(w, row->of, item) : expected(w, "a URL", item);
    case ANY: return item->type == RB_ITEMTABLE ? 0 : expected(w, "a table", item);
    case DURATION: return checkduration(w, item);
    case LIST: return checklist(w, item, 1);
    case TEXTS: return checklist(w, item, 0);
    case LIMIT: return checklimit(w, item);
    case WORD: return checkword(w, row->of, item);
    case KEYS: return checkkeys(w, row->of, item);
    case MAP: return checkmap(w, row->of, item);
    case RESOURCE: return checkresource(w, row->of, item);
  }
  return 0;
}

/* -- the whole --------------------------------------------------------------- */

/* Parameter defaults would let half a command line act on production. */
static int checkdefaults (Walk *w, const rb_Item *target) {
  const rb_Item *kind = rb_item_get(target, "kind");
  if (rb_item_get(target, "defaults") == NULL) return 0;
  if (kind != NULL && strcmp(kind->text, "production") != 0) return 0;
  snprintf(w->place, sizeof w->place, "targets.%s.defaults", target->key);
  return rb_config_problem(w->c, w->p, w->place, "a production target takes no defaults "
                           "for parameters%s", kind == NULL ? " (it is one without "
                           "kind = \"sandbox\" or \"staging\")" : "");
}

static int checktwice (const rb_Config *c, rb_Problem *p) {
  const rb_Place *twice = rb_places_twice(&c->places);
  if (twice == NULL) return 0;
  const char *dot = strrchr(twice->name, '.');
  const char *key = *twice->name == '?' && dot != NULL ? dot + 1 : twice->name;
  rb_config_problem(c, p, key, "this key is given twice in one table, and only the "
                    "last one would count");
  p->line = twice->line;
  return p->exit;
}

static int checkchosen (const rb_Config *c, rb_Problem *p) {
  const rb_Item *chosen = rb_item_get(&c->root, "target");
  const rb_Item *targets = rb_item_get(&c->root, "targets");
  if (chosen == NULL || rb_item_get(targets, chosen->text) != NULL) return 0;
  const char *near = targets != NULL ? rb_nearest(chosen->text, targets->names) : NULL;
  return rb_config_problem(c, p, "target", near != NULL ? "there is no target '%s' (did "
                           "you mean '%s'?)" : "there is no target '%s'", chosen->text,
                           near);
}

int rb_config_check (const rb_Config *c, rb_Problem *p) {
  Walk w = {.c = c, .p = p};
  const rb_Item *targets;
  if (checktwice(c, p) != 0 || checkkeys(&w, top, &c->root) != 0) return p->exit;
  targets = rb_item_get(&c->root, "targets");
  for (size_t i = 0; targets != NULL && i < targets->n; i++)
    if (checkdefaults(&w, &targets->items[i]) != 0) return p->exit;
  return checkchosen(c, p);
}

int rb_config_checktarget (const rb_Config *c, const rb_Item *target, rb_Problem *p) {
  Walk w = {.c = c, .p = p};
  enter(&w, "targets");
  enter(&w, target->key);
  return checkkeys(&w, targetkeys, target);
}
