/*
** ask.c - run:ask and run:choose: what only the operator knows
**
** From --answers, else the terminal, else the run stops for a person (exit
** 3). A dry run without an answer defers.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vm/base.h"
#include "vm/replay.h"
#include "vm/run/run.h"

static const char *fieldof (lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  return lua_tostring(L, -1);  /* stays on the stack */
}

/* --answers: text, number or boolean by id; {done=, note=} as the text of both */
static char *given (rb_Run *r, const char *id) {
  json_t *j = json_object_get(r->answers, id);
  if (json_is_string(j)) return strdup(json_string_value(j));
  if (json_is_object(j)) {
    char *text;
    const char *note = json_string_value(json_object_get(j, "note"));
    const char *done = json_is_true(json_object_get(j, "done")) ? "yes" : "no";
    return asprintf(&text, note != NULL ? "%s: %s" : "%s", done, note) < 0 ? NULL : text;
  }
  if (json_is_boolean(j)) return strdup(json_is_true(j) ? "yes" : "no");
  return j != NULL ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
}

/* people read it redacted; a resume needs all of it */
void rb_answer_tape (rb_Run *r, const char *id, const char *text) {
  rb_record_sealed(r->vm, "answer", id, json_pack("{s:o}", "text",
                   rb_jsontext(text, strlen(text))), text, strlen(text));
}

/* Does the tape alone answer? */
static int alone (const rb_VM *vm) {
  return vm->mute || (vm->replay != NULL && vm->replay->skipping);
}

/* Nobody is asked where nothing is done. */
static int asks (const rb_Run *r) {
  return !r->vm->dryrun && !alone(r->vm) && rb_ask_terminal();
}

int rb_answer (rb_Run *r, const char *id, const char *question, char **text) {
  const char *taped = rb_replay_answer(r->vm, id);
  *text = taped != NULL ? strdup(taped) : given(r, id);
  if (*text == NULL) {
    if (!asks(r)) return 0;
    double began = rb_person_begin(r->vm);
    *text = rb_ask_line(r->vm->show, question, 0);
    rb_person_end(r->vm, began);
    if (*text == NULL) return -1;
  }
  rb_answer_tape(r, id, *text);
  return 1;
}

int rb_answer_done (const char *text) {
  return strncasecmp(text, "y", 1) == 0 || strncasecmp(text, "done", 4) == 0;
}

/* what a file has as evidence goes to the tape as run:evidence puts it there */
static void keepevidence (rb_Run *r, const char *id) {
  json_t *j = json_object_get(json_object_get(r->answers, id), "evidence");
  if (j != NULL)
    rb_record(r->vm, "evidence", id, json_pack("{s:s,s:O}", "name", id, "value", j));
}

/* "Not done" is not the last word: an earlier session ended with it, and the one that
** goes on asks again. Offline it stays what was said. */
int rb_answer_manual (rb_Run *r, const char *id, const char *question, char **text) {
  const char *taped;
  char *last = NULL;
  while ((taped = rb_replay_answer(r->vm, id)) != NULL && !rb_answer_done(taped)) {
    free(last);
    last = strdup(taped);
  }
  *text = taped != NULL ? strdup(taped)
          : last != NULL && (r->vm->replay->offline || r->vm->mute) ? strdup(last) : NULL;
  free(last);
  if (*text != NULL) {
    rb_answer_tape(r, id, *text);
    return 1;
  }
  int got = rb_answer(r, id, question, text);
  if (got > 0 && !r->vm->dryrun) keepevidence(r, id);
  return got;
}

static int noanswer (lua_State *L, const char *id, const char *question) {
  if (rb_vm(L)->interrupts > 0) return rb_stop(L, RB_INTERRUPT, "interrupted");
  if (alone(rb_vm(L)))
    return rb_stop(L, RB_TAPEEND, "the tape ends before the answer to: %s", question);
  if (rb_vm(L)->dryrun) return rb_stop(L, RB_DEFER, "needs an answer: %s", question);
  return rb_stop(L, RB_PERSON, "needs an answer: %s (run it on a terminal, or give "
                 "{\"%s\": ...} with --answers FILE)", question, id);
}

/* [-0, +1]  the options at 2: id and question, checked */
static void checkask (lua_State *L, const char **id, const char **question) {
  luaL_checkudata(L, 1, RB_RUNTYPE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  *id = fieldof(L, "id");
  *question = fieldof(L, "question");
  if (*id == NULL || *question == NULL)
    luaL_error(L, "run:ask and run:choose take { id = \"...\", question = \"...\" }");
}

static int run_ask (lua_State *L) {
  const char *id, *question;
  char *text;
  checkask(L, &id, &question);
  int got = rb_answer(rb_runof(rb_vm(L)), id, question, &text);
  if (got <= 0) return noanswer(L, id, question);
  lua_pushstring(L, text);
  free(text);
  return 1;
}

/* the index of `text` among the choices at the top of the stack; 0: none */
static lua_Integer choiceof (lua_State *L, const char *text) {
  lua_Integer n = luaL_len(L, -1), found = 0;
  for (lua_Integer i = 1; i <= n && found == 0; i++) {
    lua_geti(L, -1, i);
    if (strcmp(rb_tolstring(L, -1, NULL), text) == 0) found = i;
    lua_pop(L, 2);
  }
  return found;
}

/* [-0, +1]  the choices at the top, for people */
static const char *pushchoices (lua_State *L) {
  int list = lua_gettop(L);
  lua_pushliteral(L, "");
  for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
    const char *word = rb_tolstring(L, -1, NULL);
    lua_pushfstring(L, "%s%s%s", lua_tostring(L, list + 1), i > 1 ? ", " : "", word);
    lua_replace(L, list + 1);
    lua_settop(L, list + 1);
  }
  lua_pop(L, 1);
  return lua_tostring(L, -1);
}

static int onterminal (lua_State *L, rb_Run *r, const char *question) {
  const char *words[100];
  int n = (int)luaL_len(L, -1), choices = lua_gettop(L);
  luaL_checkstack(L, 110, NULL);
  for (int i = 0; i < n && i < 99; i++) {
    lua_geti(L, choices, i + 1);
    words[i] = rb_tolstring(L, -1, NULL);
  }
  words[n < 99 ? n : 99] = NULL;
  double began = rb_person_begin(r->vm);
  int chosen = rb_ask_choice(r->vm->show, question, words);
  rb_person_end(r->vm, began);
  lua_settop(L, choices);
  return chosen + 1;
}

static int run_choose (lua_State *L) {
  const char *id, *question;
  rb_Run *r = rb_runof(rb_vm(L));
  lua_Integer chosen = 0;
  checkask(L, &id, &question);
  lua_getfield(L, 2, "choices");
  luaL_argcheck(L, lua_istable(L, -1) && luaL_len(L, -1) > 0, 2,
                "run:choose takes choices = { ... }");
  const char *taped = rb_replay_answer(r->vm, id);
  char *text = taped != NULL ? strdup(taped) : given(r, id);
  if (text != NULL) {
    lua_pushstring(L, text);
    free(text);
    lua_insert(L, -2);
    chosen = choiceof(L, lua_tostring(L, -2));
    if (chosen == 0) {
      const char *said = lua_tostring(L, -2);
      return rb_fail(L, "argument", RB_NOTDONE, "the answer '%s' for %s is none of "
                     "the choices (%s)", said, id, pushchoices(L));
    }
  } else if (asks(r)) {
    chosen = onterminal(L, r, question);
  }
  if (chosen == 0) return noanswer(L, id, question);
  lua_geti(L, -1, chosen);
  rb_answer_tape(r, id, rb_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return 1;
}

const rb_Reg rb_ask_methods[] = {
  {"ask", RB_PURE, run_ask, NULL,
   "ask{ id =, question = } -> string : what only the operator knows, from the terminal or "
   "from --answers FILE; on the tape, so that a resumed run does not ask again. Without "
   "either the run stops (exit 3)", NULL, NULL},
  {"choose", RB_PURE, run_choose, NULL,
   "choose{ id =, question =, choices = { ... } } -> string : one of several, asked for as "
   "by run:ask", NULL, NULL},
  RB_END
};
