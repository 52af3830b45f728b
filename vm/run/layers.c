/*
** layers.c - which layers of the dry run hold here
*/

#include <stdlib.h>
#include <string.h>

#include "vm/run/run.h"

static const char *const guarded[] = {"http", "pg", "redis", NULL};

#define GLANCE 2    /* seconds that a server may take to say who we are there, */
#define PATIENCE 10 /* and where nothing is done before that is known */

static void missing (rb_Report *rep, const char *kind, const char *why) {
  rb_Buffer b = {0};
  if (rep->protocolwhy != NULL) rb_buffer_printf(&b, "%s; ", rep->protocolwhy);
  rb_buffer_printf(&b, "%s: %s", kind, why != NULL ? why : "not held");
  free(rep->protocolwhy);
  rep->protocolwhy = b.s;
}

/* [-0, +0, m]  asks the module whether the protocol layer holds: by the configuration, and
** where the script will connect, by what the server says */
static void protocol (rb_Run *r, const char *system, const char *kind) {
  const char *why = NULL;
  char unknown[400] = "";
  rb_ResourceBox *box = rb_push_resource(r->L, system, kind);
  lua_pop(r->L, 1);
  if (box->module == NULL) box->module = rb_module_load(r->L, kind);
  box->judged = 1;
  if (box->module->layer == NULL) return;
  if (!box->module->layer(r->L, &box->r, &why)) {
    missing(&r->report, kind, why);
    return;
  }
  if (box->module->holds != NULL && (r->vm->strict || rb_ahead_begun(r->vm, &box->r))) {
    char *said = rb_identity_ask(r, box, box->module->holds, r->vm->strict ? PATIENCE : GLANCE,
                                 unknown, sizeof unknown);
    if (said == NULL) missing(&r->report, kind, "not known, for the server does not answer");
    else if (*said != '\0') missing(&r->report, kind, said);
    int fine = said != NULL && *said == '\0';
    free(said);
    if (!fine) return;
  }
  json_array_append_new(r->report.protocol, json_string(kind));
}

void rb_layers_used (lua_State *L, rb_ResourceBox *box) {
  const char *why = NULL;
  box->judged = 1;
  if (box->r.system == NULL || box->module->layer == NULL
      || box->module->layer(L, &box->r, &why)) return;
  lua_pushfstring(L, "%s (%s)", why != NULL ? why : "not held", box->r.name);
  rb_unclaim(L, box->r.kind, lua_tostring(L, -1));
  lua_pop(L, 1);
}

static void *trykernel (void *ud) {
  rb_kernellayer(ud);  /* knows from now on */
  return NULL;
}

void rb_layers_begin (rb_Run *r) {
  r->trying = r->vm->dryrun && r->vm->world == NULL
              && rb_thread(&r->trykernel, trykernel, NULL) == 0;
}

void rb_layers_end (rb_Run *r) {
  if (r->trying) pthread_join(r->trykernel, NULL);
  r->trying = 0;
}

void rb_layers_look (rb_Run *r) {
  rb_Report *rep = &r->report;
  const char *why = NULL;
  rep->script = rep->gate = 1;
  rep->protocol = json_array();
  if (r->vm->world != NULL) return;  /* nothing is below the gate */
  if (!r->vm->dryrun) return;  /* trying the kernel's out takes 2.5 ms */
  rb_layers_end(r);
  rep->kernel = rb_kernellayer(&why);
  if (!rep->kernel && why != NULL) rep->kernelwhy = strdup(why);
  if (r->outline.system == NULL) return;
  const char *const *have = rb_target_resources(r->vm->target, r->outline.system);
  for (const char *const *k = guarded; have != NULL && *k != NULL; k++)
    for (const char *const *h = have; *h != NULL; h++)
      if (strcmp(*h, *k) == 0) protocol(r, r->outline.system, *k);
}

int rb_layers_check (rb_Run *r, rb_Problem *p) {
  const rb_Report *rep = &r->report;
  if (!r->vm->strict) return 0;
  if (rep->kernel && rep->protocolwhy == NULL) return 0;
  return rb_problem(p, RB_USAGE, "layers", "--require-layers: not all layers hold here: "
                    "%s%s%s", rep->kernel ? "" : rep->kernelwhy,
                    rep->kernel || rep->protocolwhy == NULL ? "" : "; ",
                    rep->protocolwhy != NULL ? rep->protocolwhy : "");
}
