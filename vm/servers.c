/*
** servers.c - which servers a run has met, so that no other one takes their place
**
** A URL may lead to another database tomorrow. What a server says that it is goes on the
** tape when the run uses it first; a session that resumes the run, or takes it back,
** stops where the same name answers as another one.
*/

#include <stdio.h>
#include <string.h>

#include "vm/vm.h"

/* what a probe's own connection leads to may be another one (a copy to read from) */
static const char *nameof (const rb_ResourceBox *box, int probes, char *out, size_t size) {
  snprintf(out, size, "%s%s", box->r.name, probes ? RB_PROBESERVER : "");
  return out;
}

int rb_identity_wanted (lua_State *L, int probes) {
  const rb_Task *t = rb_taskof(L);
  const rb_VM *vm = t->vm;
  return t->calling && t->call.box != NULL && (t->call.box->met & 1 << probes) == 0
         && !vm->dryrun && !vm->hushed && !vm->mute && vm->tape != NULL;
}

void rb_identity (lua_State *L, int probes, const char *is) {
  char name[300];
  rb_VM *vm = rb_vm(L);
  if (!rb_identity_wanted(L, probes)) return;
  rb_ResourceBox *box = rb_taskof(L)->call.box;
  nameof(box, probes, name, sizeof name);
  json_t *clean = rb_jsontext(is, strlen(is));
  const char *was = json_string_value(json_object_get(vm->servers, name));
  const char *now = json_string_value(clean);
  if (was != NULL && now != NULL && strcmp(was, now) != 0) {
    lua_pushfstring(L, "%s is another one than when the run began: it was %s and is %s",
                    box->r.name, was, now);
    json_decref(clean);
    rb_stop(L, RB_ELSEWHERE, "%s", lua_tostring(L, -1));
    return;
  }
  box->met |= 1 << probes;
  if (was == NULL) {
    rb_record(vm, "server", NULL, json_pack("{s:s,s:O}", "target", name, "is", clean));
    if (vm->servers == NULL) vm->servers = json_object();
    json_object_set(vm->servers, name, clean);
  }
  json_decref(clean);
}
