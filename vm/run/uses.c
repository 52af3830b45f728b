/*
** uses.c - the names that a chunk uses, without running it
**
** A misspelt name in the body of a step would show only on the night when
** that step is reached. The compiler knows every global: an access to the
** upvalue _ENV.
*/

#include <string.h>

#include "vm/run/code.h"
#include "vm/run/shape.h"

#define MAXTEXT 16000  /* bytes of a text that is looked at */

typedef struct Scan {
  const rb_Code *code;
  void (*each) (void *ud, const rb_Use *use);
  void *ud;
  char text[MAXTEXT + 1];
} Scan;

static void tell (Scan *s, rb_Text name, rb_UseKind kind, int line) {
  rb_Use use = {kind, "", line, NULL};
  if (name.s == NULL || name.n >= sizeof use.name) return;
  memcpy(use.name, name.s, name.n);
  s->each(s->ud, &use);
}

/* a name that is a constant of the function */
static void tellkey (Scan *s, const rb_Proto *p, size_t pc, rb_UseKind kind, int key) {
  if ((size_t)key < p->nconstants) tell(s, p->constants[key], kind, p->lines[pc]);
}

/* a text, which does not end with a NUL in the dump */
static void telltext (Scan *s, rb_Text text, rb_UseKind kind, rb_Text name, int line) {
  rb_Use use = {kind, "", line, NULL};
  if (text.s == NULL || text.n > MAXTEXT) return;
  if (name.s != NULL && name.n < sizeof use.name) memcpy(use.name, name.s, name.n);
  memcpy(s->text, text.s, text.n);
  s->text[text.n] = '\0';
  use.text = s->text;
  s->each(s->ud, &use);
}

static rb_Text constant (const rb_Proto *p, int i) {
  return (size_t)i < p->nconstants ? p->constants[i] : (rb_Text){NULL, 0};
}

/* t.name = value: is the value a text? */
static void setfield (Scan *s, const rb_Proto *p, size_t pc, uint32_t i) {
  rb_Text name = constant(p, RB_CODEB(i));
  tell(s, name, RB_SETFIELD, p->lines[pc]);
  if (RB_CODEK(i)) telltext(s, constant(p, RB_CODEC(i)), RB_WRITTEN, name, p->lines[pc]);
}

/* a table in an upvalue: the globals, or `run` of an outer function */
static void upvalue (Scan *s, const rb_Proto *p, size_t pc, int n, int key, int set) {
  rb_Text up = (size_t)n < p->nupvalues ? p->upvalues[n].name : (rb_Text){"", 0};
  if (rb_code_is(up, "_ENV"))
    tellkey(s, p, pc, set ? RB_SETGLOBAL : RB_GETGLOBAL, key);
  else if (set) tellkey(s, p, pc, RB_SETFIELD, key);
  else if (rb_code_is(up, "run")) tellkey(s, p, pc, RB_GETRUN, key);
}

static int isrun (const rb_Proto *p, int reg, size_t pc) {
  return rb_code_is(rb_code_local(p, reg, pc), "run");
}

static void scan (Scan *s, const rb_Proto *p) {
  for (size_t i = 0; i < p->ninner; i++) scan(s, p->inner[i]);
  for (size_t pc = 0; pc < p->ncode; pc++) {
    uint32_t i = rb_code_at(p, pc);
    int a = RB_CODEA(i), b = RB_CODEB(i), c = RB_CODEC(i);
    switch (RB_CODEOP(s->code, i)) {
      case RB_OPGETTABUP: upvalue(s, p, pc, b, c, 0); break;
      case RB_OPSETTABUP: upvalue(s, p, pc, a, b, 1); break;
      case RB_OPSETFIELD: setfield(s, p, pc, i); break;
      case RB_OPLOADK:
        telltext(s, constant(p, RB_CODEBX(i)), RB_WRITTEN, (rb_Text){"", 0}, p->lines[pc]);
        break;
      case RB_OPGETFIELD: if (isrun(p, b, pc)) tellkey(s, p, pc, RB_GETRUN, c); break;
      case RB_OPSELF:
        if (RB_CODEK(i) && isrun(p, b, pc)) tellkey(s, p, pc, RB_CALLRUN, c);
        break;
      default: break;
    }
  }
  for (size_t i = 0; i < p->nconstants; i++)
    telltext(s, p->constants[i], RB_CONSTANT, (rb_Text){"", 0}, p->firstline);
  for (size_t i = 0; i < p->nlocals; i++)
    tell(s, p->locals[i].name, RB_LOCAL, p->firstline);
}

void rb_uses (const rb_Code *c, void (*each) (void *ud, const rb_Use *use), void *ud) {
  static Scan s;
  s.code = c;
  s.each = each;
  s.ud = ud;
  scan(&s, c->top);
}
