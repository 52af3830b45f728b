/*
** code.c - compiled functions, read from Lua's dump of them
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/buffer.h"
#include "vm/run/code.h"

#define HEADER 31    /* bytes before the number of the chunk's upvalues */
#define MAXDEPTH 200 /* functions within functions: Lua's own limit */

/* a program with all of them, and where in its code each stands */
static const char sample[] =
  "local a; local b = a; b = 'x'; local t = {a}; t.x = a.x; x = a; x() "
  "for i = 1, 2 do end for k in x do if a then b = x .. a end end "
  "a:x(_ENV, function () end, false) local d = a or b; d = a == nil; d = a == b; d = not a "
  "local c = ... return c()";

static const size_t places[RB_OPS] = {
  [RB_OPMOVE] = 2, [RB_OPLOADK] = 3, [RB_OPLOADNIL] = 1, [RB_OPGETUPVAL] = 31,
  [RB_OPGETTABUP] = 11, [RB_OPSETTABUP] = 10, [RB_OPGETFIELD] = 8, [RB_OPSETFIELD] = 9,
  [RB_OPSELF] = 30, [RB_OPNEWTABLE] = 4, [RB_OPSETLIST] = 7, [RB_OPCONCAT] = 25,
  [RB_OPCLOSURE] = 32, [RB_OPCALL] = 12, [RB_OPTAILCALL] = 49, [RB_OPJMP] = 22,
  [RB_OPFORPREP] = 16, [RB_OPFORLOOP] = 17, [RB_OPTFORPREP] = 20, [RB_OPTFORCALL] = 27,
  [RB_OPTFORLOOP] = 28, [RB_OPVARARG] = 47, [RB_OPLOADFALSE] = 33,
  [RB_OPEXTRAARG] = 5, [RB_OPTEST] = 21, [RB_OPTESTSET] = 35, [RB_OPEQK] = 38,
  [RB_OPEQ] = 42, [RB_OPNOT] = 46
};

typedef struct Reader {
  const unsigned char *at, *end;
  int bad;             /* not the format that we know, or no memory */
  rb_Code *code;
} Reader;

/* -- the format ------------------------------------------------------------ */

static const unsigned char *skip (Reader *r, size_t n) {
  const unsigned char *at = r->at;
  if (r->bad || n > (size_t)(r->end - r->at)) { r->bad = 1; return at; }
  r->at += n;
  return at;
}

static int byte (Reader *r) {
  const unsigned char *c = skip(r, 1);
  return r->bad ? 0 : *c;
}

/* seven bits at a time, the highest first; the last has bit 7 set */
static size_t size (Reader *r) {
  size_t n = 0;
  for (int c = 0; !r->bad && (c & 0x80) == 0; ) {
    c = byte(r);
    n = n << 7 | (size_t)(c & 0x7F);
  }
  return n;
}

static rb_Text string (Reader *r) {
  size_t n = size(r);  /* its length + 1; 0: none */
  if (n == 0) return (rb_Text){"", 0};
  return (rb_Text){(const char *)skip(r, n - 1), n - 1};
}

/* a constant; its text where it has one */
static rb_Text constant (Reader *r) {
  switch (byte(r)) {
    case 0x00: case 0x01: case 0x11: break;        /* nil, false, true */
    case 0x03: case 0x13: skip(r, 8); break;       /* integer, float */
    case 0x04: case 0x14: return string(r);
    default: r->bad = 1; break;
  }
  return (rb_Text){NULL, 0};
}

/* room for *n things, of which there cannot be more than bytes are left */
static void *room (Reader *r, size_t *n, size_t each) {
  *n = size(r);
  if (*n > (size_t)(r->end - r->at)) r->bad = 1;
  void *list = r->bad ? NULL : calloc(*n + 1, each);
  if (list == NULL) {
    r->bad = 1;
    *n = 0;
  }
  return list;
}

/* -- a function ---------------------------------------------------------------- */

/* the lines: differences, with absolute marks between */
static void readlines (Reader *r, rb_Proto *p) {
  size_t n = size(r);
  const unsigned char *steps = skip(r, n);
  size_t nmarks = size(r);
  int line = p->firstline;
  p->lines = r->bad ? NULL : calloc(p->ncode + 1, sizeof *p->lines);
  if (p->lines == NULL) r->bad = 1;
  for (size_t pc = 0; pc < p->ncode && !r->bad; pc++) {
    int step = pc < n ? (signed char)steps[pc] : 0;
    if (step != -0x80) line += step;
    else if (nmarks-- > 0) {
      size(r);  /* its instruction */
      line = (int)size(r);
    } else r->bad = 1;
    if (p->lines != NULL) p->lines[pc] = line;
  }
}

/* the lists that follow a function's inner functions */
static void readdebug (Reader *r, rb_Proto *p) {
  readlines(r, p);
  p->locals = room(r, &p->nlocals, sizeof *p->locals);
  for (size_t i = 0; i < p->nlocals && !r->bad; i++) {
    p->locals[i].name = string(r);
    p->locals[i].start = size(r);
    p->locals[i].end = size(r);
  }
  size_t n = size(r);
  for (size_t i = 0; i < n && !r->bad; i++) {
    rb_Text name = string(r);
    if (i < p->nupvalues) p->upvalues[i].name = name;
  }
}

static rb_Proto *readfunction (Reader *r, int depth) {
  rb_Proto *p = depth <= MAXDEPTH ? calloc(1, sizeof *p) : NULL;
  if (p == NULL) { r->bad = 1; return NULL; }
  p->next = r->code->all;
  r->code->all = p;
  string(r);                                /* source */
  p->firstline = (int)size(r);
  p->lastline = (int)size(r);
  skip(r, 2);                               /* parameters, vararg */
  p->registers = byte(r);
  p->ncode = size(r);
  p->code = skip(r, 4 * p->ncode);
  p->constants = room(r, &p->nconstants, sizeof *p->constants);
  for (size_t i = 0; i < p->nconstants && !r->bad; i++) p->constants[i] = constant(r);
  p->upvalues = room(r, &p->nupvalues, sizeof *p->upvalues);
  for (size_t i = 0; i < p->nupvalues && !r->bad; i++) {
    p->upvalues[i].instack = byte(r);
    p->upvalues[i].index = byte(r);
    byte(r);                                /* kind */
  }
  p->inner = room(r, &p->ninner, sizeof *p->inner);
  for (size_t i = 0; i < p->ninner && !r->bad; i++)
    p->inner[i] = readfunction(r, depth + 1);
  readdebug(r, p);
  return p;
}

/* -- the whole ------------------------------------------------------------------- */

static int writer (lua_State *L, const void *p, size_t n, void *ud) {
  (void)L;
  rb_buffer_add(ud, p, n);
  return ((rb_Buffer *)ud)->failed;
}

/* [-0, +0, m]  the function on the top; c->top is NULL when it cannot be read */
static int read (lua_State *L, rb_Code *c) {
  rb_Buffer b = {0};
  lua_dump(L, writer, &b, 0);
  Reader r = {(const unsigned char *)b.s, NULL, b.failed, c};
  if (b.s != NULL) r.end = r.at + b.n;
  c->dump = b.s;
  c->size = b.n;
  skip(&r, HEADER + 1);
  rb_Proto *top = r.bad ? NULL : readfunction(&r, 0);
  c->top = r.bad ? NULL : top;
  return c->top != NULL;
}

/* the opcodes of this Lua into 'kind'; 0: its code is another, for two are the same */
static int askopcodes (lua_State *L, unsigned char *kind) {
  rb_Code c = {0};
  int ok = luaL_loadstring(L, sample) == LUA_OK && read(L, &c);
  memset(kind, RB_OPS, sizeof c.kind);
  for (int op = 0; op < RB_OPS && ok; op++) {
    size_t at = places[op];
    unsigned char *k = &kind[at < c.top->ncode ? rb_code_at(c.top, at) & 0x7F : 0];
    ok = at < c.top->ncode && *k == RB_OPS;
    *k = (unsigned char)op;
  }
  lua_pop(L, 1);
  rb_code_free(&c);
  return ok;
}

int rb_code_read (lua_State *L, rb_Code *c) {
  static unsigned char kind[sizeof c->kind];
  static int asked;  /* once; -1: this Lua has other code */
  *c = (rb_Code){0};
  if (asked == 0) asked = askopcodes(L, kind) ? 1 : -1;
  memcpy(c->kind, kind, sizeof kind);
  return asked > 0 && read(L, c);
}

void rb_code_free (rb_Code *c) {
  while (c->all != NULL) {
    rb_Proto *p = c->all;
    c->all = p->next;
    free(p->lines);
    free(p->constants);
    free(p->inner);
    free(p->upvalues);
    free(p->locals);
    free(p);
  }
  free(c->dump);
  *c = (rb_Code){0};
}

uint32_t rb_code_at (const rb_Proto *p, size_t pc) {
  uint32_t i;
  memcpy(&i, p->code + 4 * pc, 4);
  return i;
}

rb_Text rb_code_local (const rb_Proto *p, int reg, size_t pc) {
  for (size_t i = 0; i < p->nlocals && p->locals[i].start <= pc; i++)
    if (pc < p->locals[i].end && reg-- == 0) return p->locals[i].name;
  return (rb_Text){"", 0};
}

int rb_code_is (rb_Text t, const char *word) {
  return t.s != NULL && t.n == strlen(word) && memcmp(t.s, word, t.n) == 0;
}
