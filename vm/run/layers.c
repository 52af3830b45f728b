/*
** layers.c - which layers of the dry run hold here
*/

#include <stdlib.h>
#include <string.h>

#include "vm/run/run.h"

static const char *const guarded[] = {"http", "pg", "redis", NULL};

/* asks each module whether the protocol layer holds, by the configuration */
static void protocol (rb_Run *r, const char *system, const char *kind) {
  const char *why = NULL;
  rb_ResourceBox *box = rb_push_resource(r->L, system, kind);
  lua_pop(r->L, 1);
  if (box->module == NULL) box->module = rb_module_load(r->L, kind);
  if (box->module->layer == NULL) return;
  if (box->module->layer(r->L, &box->r, &why)) {
    json_array_append_new(r->report.protocol, json_string(kind));
    return;
  }
  rb_Buffer b = {0};
  if (r->report.protocolwhy != NULL)
    rb_buffer_printf(&b, "%s; ", r->report.protocolwhy);
  rb_buffer_printf(&b, "%s: %s", kind, why != NULL ? why : "not held");
  free(r->report.protocolwhy);
  r->report.protocolwhy = b.s;
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
  if (!r->o->require_layers || !r->vm->dryrun) return 0;
  if (rep->kernel && rep->protocolwhy == NULL) return 0;
  return rb_problem(p, RB_USAGE, "layers", "--require-layers: not all layers hold here: "
                    "%s%s%s", rep->kernel ? "" : rep->kernelwhy,
                    rep->kernel || rep->protocolwhy == NULL ? "" : "; ",
                    rep->protocolwhy != NULL ? rep->protocolwhy : "");
}
