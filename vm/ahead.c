/*
** ahead.c - connections, begun before the script asks for them
**
** A connection costs more time than what is asked over it: names, handshakes,
** proofs of passwords, the server's own start. So one thread for a resource
** opens what the run will need, while the run still loads its libraries and
** looks elsewhere. That is no effect: nothing is asked, and a failure is never
** shown; whoever needs the connection then makes his own and says what is wrong.
*/

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/vm.h"

#define MOST 2

/* one connection */
typedef struct Item {
  const char *setting;   /* "probe" */
  char *url;
  int deeds;             /* only where the script calls a remedy */
  int end, fd;           /* a pipe; the thread closes its end when it is done */
  int taken;
  void *thing;           /* what the module made */
} Item;

struct rb_Ahead {
  rb_Ahead *next;
  pthread_t thread;
  rb_VM *vm;
  const rb_Module *module;  /* once it is loaded */
  const char *resource, *kind;
  char *verbs;           /* " exec value " */
  int cancel;            /* an eventfd: nobody needs it any more */
  int n;
  Item item[MOST];
  Item *now;             /* being made */
};

/* -- in the thread ----------------------------------------------------------------- */

const char *rb_ahead_setting (const rb_Ahead *a) { return a->now->setting; }

const char *rb_ahead_url (const rb_Ahead *a) { return a->now->url; }

int rb_ahead_wait (rb_Ahead *a, int fd, short events) {
  struct pollfd p[] = {{.fd = a->cancel, .events = POLLIN}, {.fd = fd, .events = events}};
  while (poll(p, 2, -1) < 0) continue;  /* no signal comes here, but a debugger may */
  return p[0].revents == 0;
}

int rb_ahead_resolve (rb_Ahead *a, const char *host,
                      void (*each) (void *ud, const char *address), void *ud) {
  int fd;
  rb_Lookup *l = rb_lookup(host, &fd);
  if (l == NULL) return 0;
  int ok = rb_ahead_wait(a, fd, POLLIN) && rb_lookup_each(l, each, ud);
  rb_lookup_end(l, fd);
  return ok;
}

/* does the script call what changes something here? */
static int changes (const rb_Ahead *a) {
  char word[64];
  for (const rb_Reg *r = a->module->methods; r != NULL && r->name != NULL; r++) {
    if (r->effect == RB_PROBE || r->effect == RB_PURE) continue;
    snprintf(word, sizeof word, " %s ", r->name);
    if (strstr(a->verbs, word) != NULL) return 1;
  }
  return 0;
}

static void *work (void *ud) {
  rb_Ahead *a = ud;
  int failed = 0;
  a->module = rb_warm_module(a->vm, a->kind);
  if (a->module != NULL && a->module->ahead == NULL) a->module = NULL;
  for (int i = 0; i < a->n; i++) {
    a->now = &a->item[i];
    if (a->module != NULL && !failed && (!a->now->deeds || changes(a)))
      a->now->thing = a->module->ahead(a);
    failed |= a->now->thing == NULL;
    close(a->now->end);
  }
  return NULL;
}

/* -- begun --------------------------------------------------------------------------- */

static void clear (rb_Ahead *a) {
  for (int i = 0; i < a->n; i++) {
    if (a->item[i].thing != NULL) a->module->unahead(a->item[i].thing);
    if (a->item[i].url != NULL) explicit_bzero(a->item[i].url, strlen(a->item[i].url));
    free(a->item[i].url);
    close(a->item[i].fd);
  }
  close(a->cancel);
  free(a->verbs);
  free(a);
}

/* one for the setting whose value is at idx, where there is one; 0: it cannot be */
static int additem (lua_State *L, rb_Ahead *a, int idx, const char *setting, int deeds) {
  int fds[2];
  if (lua_type(L, idx) != LUA_TSTRING) return 1;
  char *url = strdup(lua_tostring(L, idx));
  if (url == NULL || pipe2(fds, O_CLOEXEC) != 0) {
    free(url);
    return 0;
  }
  a->item[a->n++] = (Item){.setting = setting, .url = url, .deeds = deeds,
                           .fd = fds[0], .end = fds[1]};
  return 1;
}

/* the probe's URL at -2, the other at -1: a dry run has use for one of them only */
static int fill (lua_State *L, rb_Ahead *a, const char *verbs) {
  a->verbs = strdup(verbs);
  a->cancel = eventfd(0, EFD_CLOEXEC);
  int ok = a->verbs != NULL && a->cancel >= 0 && additem(L, a, -2, "probe", 0);
  int probe = a->n > 0;
  if (ok && !(probe && a->vm->dryrun)) ok = additem(L, a, -1, "url", probe);
  return ok && a->n > 0;
}

void rb_ahead_begin (lua_State *L, const char *system, const char *kind,
                     const char *verbs) {
  rb_VM *vm = rb_vm(L);
  int top = lua_gettop(L);
  rb_ResourceBox *box = rb_push_resource(L, system, kind);
  rb_setting(L, &box->r, "probe");
  rb_setting(L, &box->r, "url");
  rb_Ahead *a = calloc(1, sizeof *a);
  if (a != NULL) {
    *a = (rb_Ahead){.vm = vm, .resource = box->r.name, .kind = box->r.kind,
                    .next = vm->aheads};
    if (fill(L, a, verbs) && rb_thread(&a->thread, work, a) == 0) vm->aheads = a;
    else {
      for (int i = 0; i < a->n; i++) close(a->item[i].end);
      clear(a);
    }
  }
  lua_settop(L, top);
}

void rb_ahead_end (rb_VM *vm) {
  for (rb_Ahead *a = vm->aheads; a != NULL; a = a->next) eventfd_write(a->cancel, 1);
  while (vm->aheads != NULL) {
    rb_Ahead *a = vm->aheads;
    vm->aheads = a->next;
    pthread_join(a->thread, NULL);
    clear(a);
  }
}

/* -- asked for ------------------------------------------------------------------------- */

/* what was begun for that setting and is nobody's yet */
static Item *find (rb_VM *vm, const rb_Resource *r, const char *setting) {
  rb_Ahead *a = vm->aheads;
  while (a != NULL && a->resource != r->name) a = a->next;
  for (int i = 0; a != NULL && i < a->n; i++)
    if (!a->item[i].taken && strcmp(a->item[i].setting, setting) == 0)
      return &a->item[i];
  return NULL;
}

/* the item, the caller's k and its ctx stand above 'base' */
static int arrived (lua_State *L, int status, lua_KContext base) {
  (void)status;
  Item *i = lua_touserdata(L, (int)base + 1);
  lua_KFunction k;
  memcpy(&k, lua_touserdata(L, (int)base + 2), sizeof k);
  lua_KContext ctx = (lua_KContext)lua_tointeger(L, (int)base + 3);
  struct pollfd p = {.fd = i->fd, .events = POLLIN};
  lua_settop(L, (int)base);
  if (poll(&p, 1, 0) > 0 && i->thing != NULL) {
    lua_pushlightuserdata(L, i->thing);
    i->thing = NULL;
  } else lua_pushnil(L);
  return k(L, LUA_YIELD, ctx);
}

int rb_ahead (lua_State *L, const char *setting, lua_KContext ctx, lua_KFunction k) {
  Item *i = find(rb_vm(L), rb_resource(L), setting);
  int base = lua_gettop(L);
  if (i == NULL) {
    lua_pushnil(L);
    return k(L, LUA_OK, ctx);
  }
  i->taken = 1;
  lua_pushlightuserdata(L, i);
  memcpy(lua_newuserdatauv(L, sizeof k, 0), &k, sizeof k);
  lua_pushinteger(L, (lua_Integer)ctx);
  return rb_wait(L, i->fd, POLLIN, base, arrived);
}
