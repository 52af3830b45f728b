/*
** ahead.c - connections, begun before the script asks for them
**
** A connection costs more time than what is asked over it: names, handshakes,
** proofs of passwords, the server's own start. So a thread for each opens what
** the run will need, while the run still loads its libraries and looks
** elsewhere. That is no effect: nobody's data is asked for, and a failure is never
** shown; whoever needs the connection then makes his own and says what is wrong.
*/

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm/vm.h"

/* one connection */
struct rb_Ahead {
  rb_Ahead *next;
  pthread_t thread;
  rb_VM *vm;
  const rb_Module *module;  /* once it is loaded */
  const char *resource, *kind;
  const char *setting;   /* "probe" */
  char *url;
  char *verbs;           /* " exec value " */
  const rb_Ahead *after; /* for remedies: where the script calls one, after that of the
                         ** probes, which are first */
  int cancel;            /* an eventfd: nobody needs it any more */
  int end, fd;           /* a pipe; the thread closes its end when it is done */
  int up, taken;         /* there is a connection; a call waits for it, or has it */
  void *thing;           /* what the module made */
};

/* -- in the thread ----------------------------------------------------------------- */

const char *rb_ahead_setting (const rb_Ahead *a) { return a->setting; }

const char *rb_ahead_url (const rb_Ahead *a) { return a->url; }

int rb_ahead_deeds (const rb_Ahead *a) { return a->after != NULL; }

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
  a->module = rb_warm_module(a->vm, a->kind);
  if (a->module != NULL && a->module->ahead != NULL && (a->after == NULL
      || (changes(a) && rb_ahead_wait(a, a->after->fd, POLLIN) && a->after->up)))
    a->thing = a->module->ahead(a);
  a->up = a->thing != NULL;
  close(a->end);
  return NULL;
}

/* -- begun --------------------------------------------------------------------------- */

static void clear (rb_Ahead *a) {
  if (a->thing != NULL) a->module->unahead(a->thing);
  if (a->url != NULL) explicit_bzero(a->url, strlen(a->url));
  if (a->cancel >= 0) close(a->cancel);
  if (a->fd >= 0) close(a->fd);
  free(a->url);
  free(a->verbs);
  free(a);
}

/* the URL and all else that the thread needs; 0: it cannot be */
static int fill (rb_Ahead *a, const char *url, const char *verbs) {
  int fds[2];
  a->cancel = eventfd(0, EFD_CLOEXEC);
  a->fd = -1;
  a->url = strdup(url);
  a->verbs = strdup(verbs);
  if (a->url == NULL || a->verbs == NULL || a->cancel < 0 || pipe2(fds, O_CLOEXEC) != 0)
    return 0;
  a->fd = fds[0];
  a->end = fds[1];
  if (rb_thread(&a->thread, work, a) == 0) return 1;
  close(a->end);
  return 0;
}

/* [-0, +0, m]  A thread of its own for that setting; NULL: none was begun. */
static rb_Ahead *begin (lua_State *L, rb_Resource *r, const char *setting,
                        const rb_Ahead *after, const char *verbs) {
  rb_VM *vm = rb_vm(L);
  int given = rb_setting(L, r, setting) == LUA_TSTRING;
  rb_Ahead *a = given ? calloc(1, sizeof *a) : NULL;
  if (a != NULL) {
    *a = (rb_Ahead){.vm = vm, .resource = r->name, .kind = r->kind, .setting = setting,
                    .after = after, .next = vm->aheads};
    if (fill(a, lua_tostring(L, -1), verbs)) return vm->aheads = a;
    clear(a);
  }
  return NULL;
}

void rb_ahead_begin (lua_State *L, const char *system, const char *kind,
                     const char *verbs) {
  int top = lua_gettop(L);
  rb_ResourceBox *box = rb_push_resource(L, system, kind);
  const rb_Ahead *probe = begin(L, &box->r, "probe", NULL, verbs);
  begin(L, &box->r, "url", probe, verbs);  /* remedies act with it, their previews look */
  lua_settop(L, top);
}

int rb_ahead_begun (const rb_VM *vm, const rb_Resource *r) {
  const rb_Ahead *a = vm->aheads;
  while (a != NULL && a->resource != r->name) a = a->next;
  return a != NULL;
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
static rb_Ahead *find (rb_VM *vm, const rb_Resource *r, const char *setting) {
  rb_Ahead *a = vm->aheads;
  while (a != NULL && (a->resource != r->name || a->taken || strcmp(a->setting, setting) != 0))
    a = a->next;
  return a;
}

/* what was begun, the caller's k and its ctx stand above 'base' */
static int arrived (lua_State *L, int status, lua_KContext base) {
  (void)status;
  rb_Ahead *a = lua_touserdata(L, (int)base + 1);
  lua_KFunction k;
  memcpy(&k, lua_touserdata(L, (int)base + 2), sizeof k);
  lua_KContext ctx = (lua_KContext)lua_tointeger(L, (int)base + 3);
  struct pollfd p = {.fd = a->fd, .events = POLLIN};
  lua_settop(L, (int)base);
  if (poll(&p, 1, 0) > 0 && a->thing != NULL) {
    lua_pushlightuserdata(L, a->thing);
    a->thing = NULL;
  } else lua_pushnil(L);
  return k(L, LUA_YIELD, ctx);
}

int rb_ahead (lua_State *L, const char *setting, lua_KContext ctx, lua_KFunction k) {
  rb_Ahead *a = find(rb_vm(L), rb_resource(L), setting);
  int base = lua_gettop(L);
  if (a == NULL) {
    lua_pushnil(L);
    return k(L, LUA_OK, ctx);
  }
  a->taken = 1;
  lua_pushlightuserdata(L, a);
  memcpy(lua_newuserdatauv(L, sizeof k, 0), &k, sizeof k);
  lua_pushinteger(L, (lua_Integer)ctx);
  return rb_wait(L, a->fd, POLLIN, base, arrived);
}
