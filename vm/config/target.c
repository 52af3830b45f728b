/*
** target.c - one target: its environment resolved, its secrets known
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <lauxlib.h>

#include "vm/config/private.h"
#include "vm/redact.h"

#define IMPLICIT "local"  /* the target of a machine without a configuration */
#define MAXSECRET 65536

static const char *const nothing[] = {NULL};

typedef struct Walk {
  rb_Config *c;
  rb_Problem *p;
  char place[400];
} Walk;

/* -- secrets ----------------------------------------------------------------- */

/* To be redacted from now on; one that is too short for that is remembered. */
static void hide (rb_Config *c, const char *name, const char *text, size_t n) {
  if (n == 0 || rb_redact_add(name, text, n)) return;
  for (size_t i = 0; i < c->nweak; i++)
    if (strcmp(c->weak[i], name) == 0) return;
  char **weak = realloc(c->weak, (c->nweak + 2) * sizeof *weak);
  if (weak == NULL) return;
  c->weak = weak;
  weak[c->nweak] = strdup(name);
  if (weak[c->nweak] != NULL) weak[++c->nweak] = NULL;
}

static int hexdigit (int c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* a part of a URL, as it is written and decoded */
static void hidepart (rb_Config *c, const char *name, const char *s, size_t n) {
  char text[1024];
  size_t k = 0;
  hide(c, name, s, n);
  for (size_t i = 0; i < n && k < sizeof text; i++) {
    int high = s[i] == '%' && n - i > 2 ? hexdigit(s[i + 1]) : -1;
    int low = high >= 0 ? hexdigit(s[i + 2]) : -1;
    text[k++] = low >= 0 ? (char)(high << 4 | low) : s[i];
    if (low >= 0) i += 2;
  }
  hide(c, name, text, k);
  explicit_bzero(text, sizeof text);
}

/* The passwords of a URL are secrets without being declared: user:password@,
** and PostgreSQL's ?password= */
static void hidepasswords (rb_Config *c, const char *name, const char *url) {
  static const char *const words[] = {"password=", "sslpassword=", NULL};
  const char *user = strstr(url, "://");
  if (user == NULL) return;
  user += 3;
  const char *at = memrchr(user, '@', strcspn(user, "/?#"));
  const char *colon = at != NULL ? memchr(user, ':', (size_t)(at - user)) : NULL;
  if (colon != NULL) hidepart(c, name, colon + 1, (size_t)(at - colon - 1));
  for (const char *s = strpbrk(user, "?&"); s != NULL; s = strpbrk(s, "?&")) {
    s++;
    for (const char *const *w = words; *w != NULL; w++)
      if (strncmp(s, *w, strlen(*w)) == 0)
        hidepart(c, name, s + strlen(*w), strcspn(s + strlen(*w), "&#"));
  }
}

/* a whole credential file, without its last newline; NULL: there is none */
static char *readcredential (const char *name) {
  const char *folder = getenv("CREDENTIALS_DIRECTORY");
  char path[PATH_MAX], text[MAXSECRET];
  if (folder == NULL || *folder == '\0') return NULL;
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return NULL;
  FILE *f = fopen(path, "re");
  if (f == NULL) return NULL;
  size_t n = fread(text, 1, sizeof text - 1, f);
  int whole = !ferror(f) && feof(f);
  fclose(f);
  if (n > 0 && text[n - 1] == '\n') n--;
  if (n > 0 && text[n - 1] == '\r') n--;
  text[n] = '\0';
  char *copy = whole ? strdup(text) : NULL;
  explicit_bzero(text, sizeof text);
  return copy;
}

/* -- opening ----------------------------------------------------------------- */

static int missing (Walk *w, const rb_Item *item, const char *how) {
  return rb_config_problem(w->c, w->p, w->place, "the environment variable %s is %s%s",
                           item->text, how, item->type == RB_ITEMSECRET ? " (and no such "
                           "file is in $CREDENTIALS_DIRECTORY)" : "");
}

/* "targets.local.systems.school_erp.pg.url" is called "school_erp.pg" */
static void shortname (const char *place, char *out, size_t size) {
  const char *systems = strstr(place, ".systems.");
  const char *s = systems != NULL ? systems + 9 : place;
  size_t n = strlen(s);
  if (n > 4 && strcmp(s + n - 4, ".url") == 0) n -= 4;
  snprintf(out, size, "%.*s password", (int)n, s);
}

/* settings say by their own name that they hold a secret */
static int ispassword (const char *key) {
  size_t n = key != NULL ? strlen(key) : 0;
  return n >= 8 && strcasecmp(key + n - 8, "password") == 0;
}

static int resolvetext (Walk *w, rb_Item *item) {
  char name[420];
  if (item->type != RB_ITEMTEXT && item->value == NULL) {
    const char *value = getenv(item->text);
    if (item->type == RB_ITEMSECRET) item->value = readcredential(item->text);
    if (item->value == NULL && value == NULL) return missing(w, item, "not set");
    if (item->value == NULL) item->value = strdup(value);
    if (item->value == NULL)
      return rb_problem(w->p, RB_USAGE, "memory", "not enough memory");
  }
  const char *text = rb_item_text(item);
  if (item->type == RB_ITEMSECRET) {
    if (*text == '\0') return missing(w, item, "empty");
    hide(w->c, item->text, text, strlen(text));
  }
  shortname(w->place, name, sizeof name);
  hidepasswords(w->c, name, text);
  if (ispassword(item->key)) {
    name[strlen(name) - strlen(" password")] = '\0';
    hide(w->c, name, text, strlen(text));
  }
  return 0;
}

static int resolve (Walk *w, rb_Item *item) {
  if (item->type == RB_ITEMTEXT || item->type == RB_ITEMENV
      || item->type == RB_ITEMSECRET) return resolvetext(w, item);
  for (size_t i = 0; i < item->n; i++) {
    char number[24];
    size_t n = strlen(w->place);
    snprintf(number, sizeof number, "%zu", i + 1);
    snprintf(w->place + n, sizeof w->place - n, ".%s",
             item->items[i].key != NULL ? item->items[i].key : number);
    if (resolve(w, &item->items[i]) != 0) return w->p->exit;
    w->place[n] = '\0';
  }
  return 0;
}

/* Of a system the names are those of its resources: without what is no
** resource. */
static void trim (const rb_Item *systems) {
  for (size_t i = 0; systems != NULL && i < systems->n; i++) {
    const char **from = systems->items[i].names, **to = from;
    for (; *from != NULL; from++)
      if (strcmp(*from, "settings") != 0 && strcmp(*from, "schema") != 0) *to++ = *from;
    *to = NULL;
  }
}

/* which name: given, the configuration's, or the only one there is */
static const char *chosen (const rb_Config *c, const char *name, rb_Problem *p) {
  const char *const *all = rb_config_targets(c);
  if (name == NULL) name = rb_item_text(rb_item_get(&c->root, "target"));
  if (name == NULL && all[0] == NULL) return IMPLICIT;
  if (name == NULL && all[1] == NULL) name = all[0];
  if (name == NULL)
    rb_problem(p, RB_USAGE, "usage", "which target? choose with --target: %s, %s%s",
               all[0], all[1], all[2] != NULL ? ", ..." : "");
  return name;
}

static void unknown (const rb_Config *c, const char *name, rb_Problem *p) {
  const char *const *all = rb_config_targets(c);
  const char *near = rb_nearest(name, all);
  if (all[0] == NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no target '%s': %s", name,
               c->file != NULL ? "the configuration has none"
               : "no configuration was found");
  else if (near != NULL)
    rb_problem(p, RB_USAGE, "usage", "there is no target '%s' (did you mean '%s'?)",
               name, near);
  else
    rb_problem(p, RB_USAGE, "usage", "there is no target '%s' (there is %s%s%s)", name,
               all[0], all[1] != NULL ? ", " : "", all[1] != NULL ? all[1] : "");
}

rb_Target *rb_config_open (rb_Config *c, const char *name, rb_Problem *p) {
  *p = (rb_Problem){0};
  name = chosen(c, name, p);
  if (name == NULL) return NULL;
  const rb_Item *item = rb_item_get(rb_item_get(&c->root, "targets"), name);
  int implicit = item == NULL && rb_config_targets(c)[0] == NULL
                 && strcmp(name, IMPLICIT) == 0;
  if (item == NULL && !implicit) {
    unknown(c, name, p);
    return NULL;
  }
  Walk w = {.c = c, .p = p};
  snprintf(w.place, sizeof w.place, "targets.%s", name);
  if (item != NULL && (resolve(&w, (rb_Item *)item) != 0
                       || rb_config_checktarget(c, item, p) != 0)) return NULL;
  trim(rb_item_get(item, "systems"));
  rb_Target *t = calloc(1, sizeof *t);
  if (t == NULL) {
    rb_problem(p, RB_USAGE, "memory", "not enough memory");
    return NULL;
  }
  *t = (rb_Target){.c = c, .item = item, .next = c->open,
                   .name = item != NULL ? item->key : IMPLICIT};
  return c->open = t;
}

const char *const *rb_config_weaksecrets (const rb_Config *c) {
  return c->weak != NULL ? (const char *const *)c->weak : nothing;
}

/* -- asking ------------------------------------------------------------------ */

const char *rb_target_name (const rb_Target *t) { return t->name; }

const char *rb_target_kind (const rb_Target *t) {
  const char *kind = rb_item_text(rb_item_get(t->item, "kind"));
  return kind != NULL ? kind : "production";
}

static const rb_Item *getsystem (const rb_Target *t, const char *system) {
  return rb_item_get(rb_item_get(t->item, "systems"), system);
}

const char *const *rb_target_systems (const rb_Target *t) {
  const rb_Item *systems = rb_item_get(t->item, "systems");
  return systems != NULL ? systems->names : nothing;
}

const char *const *rb_target_resources (const rb_Target *t, const char *system) {
  const rb_Item *item = getsystem(t, system);
  return item != NULL ? item->names : NULL;
}

/* settings that are paths, and are seen from the configuration's folder */
static int ispath (const char *key, const char *value) {
  static const char *const keys[] = {"path", "pidfile", "cwd", "home", "ca", "cert",
                                     "key", "log", NULL};
  for (const char *const *k = keys; *k != NULL; k++)
    if (strcmp(*k, key) == 0) return 1;
  return strcmp(key, "program") == 0 && strchr(value, '/') != NULL;
}

void rb_target_resource (const rb_Target *t, lua_State *L, const char *system,
                         const char *kind, const char *key, rb_PushSecret push) {
  const rb_Item *item = rb_item_get(getsystem(t, system), kind);
  int table = item != NULL && item->type == RB_ITEMTABLE;
  if (table) item = rb_item_get(item, key);
  else if (strcmp(key, "url") != 0 && strcmp(key, "path") != 0) item = NULL;
  rb_item_push(L, item, push);
  if (lua_type(L, -1) != LUA_TSTRING || !ispath(key, lua_tostring(L, -1))) return;
  char *path = rb_config_path(t->c, lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_pushstring(L, path);
  free(path);
}

int rb_target_reroute (rb_Target *t, const char *system, const char *kind, const char *key,
                       const char *url) {
  const rb_Item *item = rb_item_get(getsystem(t, system), kind);
  if (item != NULL && item->type == RB_ITEMTABLE) item = rb_item_get(item, key);
  if (item == NULL) return 1;
  char **text = item->type == RB_ITEMTEXT ? &((rb_Item *)item)->text
                                          : &((rb_Item *)item)->value;
  char *copy = strdup(url);
  if (copy == NULL) return 0;
  free(*text);
  *text = copy;
  return 1;
}

void rb_target_system (const rb_Target *t, lua_State *L, const char *system,
                       const char *part, rb_PushSecret push) {
  rb_item_push(L, rb_item_get(getsystem(t, system), part), push);
}

void rb_target_part (const rb_Target *t, lua_State *L, const char *part,
                     rb_PushSecret push) {
  rb_item_push(L, rb_item_get(t->item, part), push);
}

/* -- what is allowed --------------------------------------------------------- */

static int below (const char *root, const char *path) {
  size_t n = strlen(root);
  while (n > 1 && root[n - 1] == '/') n--;
  return strncmp(root, path, n) == 0
         && (path[n] == '\0' || path[n] == '/' || n == 1);
}

static int isbelow (const rb_Target *t, const char *item, const char *path) {
  char real[PATH_MAX];
  char *root = rb_config_path(t->c, item);
  int in = root != NULL && (below(root, path)
                            || (realpath(root, real) != NULL && below(real, path)));
  free(root);
  return in;
}

static int isprogram (const rb_Target *t, const char *item, const char *program) {
  const char *slash = strrchr(program, '/');
  if (strchr(item, '/') == NULL)
    return strcmp(item, slash != NULL ? slash + 1 : program) == 0;
  char *path = rb_config_path(t->c, item);
  int same = path != NULL && strcmp(path, program) == 0;
  free(path);
  return same || strcmp(item, program) == 0;
}

static int ishost (const rb_Target *t, const char *item, const char *host) {
  (void)t;
  return strcasecmp(item, host) == 0;
}

static const struct {
  const char *list;
  int (*matches) (const rb_Target *t, const char *item, const char *value);
} lists[] = {{"files", isbelow}, {"programs", isprogram}, {"hosts", ishost},
           {"delegates", isprogram}};

int rb_target_allows (const rb_Target *t, const char *list, const char *value) {
  const rb_Item *items = rb_item_get(rb_item_get(t->item, "allow"), list);
  for (size_t k = 0; items != NULL && k < sizeof lists / sizeof *lists; k++) {
    if (strcmp(lists[k].list, list) != 0) continue;
    for (size_t i = 0; i < items->n; i++)
      if (lists[k].matches(t, rb_item_text(&items->items[i]), value)) return 1;
  }
  return 0;
}

long long rb_target_limit (const rb_Target *t, const char *name) {
  const rb_Item *limit = rb_item_get(rb_item_get(t->item, "limits"), name);
  return limit != NULL ? limit->integer : -1;
}
