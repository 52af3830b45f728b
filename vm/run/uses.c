/*
** uses.c - the names that a chunk uses, without running it
**
** A misspelt name in the body of a step would show only on the night when
** that step is reached. The compiler knows every global: an access to the
** upvalue _ENV. Lua gives no list of them, but dumps its code in a plain
** format; which numbers its instructions have is asked of Lua itself.
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/buffer.h"
#include "vm/run/shape.h"

#define HEADER 31    /* bytes before the number of the chunk's upvalues */
#define MAXDEPTH 200 /* functions within functions: Lua's own limit */

/* the instructions that name something, each with a program whose
** instruction 'at' it is */
enum { GETTABUP, SETTABUP, GETFIELD, SETFIELD, SELF, OPS };
static const struct { const char *text; size_t at; } samples[OPS] = {
  {"return x", 1}, {"x = 1", 1}, {"local t; return t.x", 2},
  {"local t; t.x = 1", 2}, {"local t; t:x()", 2}
};

typedef struct Text { const char *s; size_t n; } Text;

typedef struct Reader {
  const unsigned char *at, *end;
  int bad;             /* not the format that we know */
  int op[OPS];
  void (*each) (void *ud, const rb_Use *use);
  void *ud;
} Reader;

/* one function of the dump: where its parts are */
typedef struct Function {
  const unsigned char *code, *lines, *abslines, *upvalues, *locals;
  size_t ncode, nlines, nabslines, nupvalues, nlocals;
  Text *constants;
  size_t nconstants;
  int firstline;
} Function;

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

static Text string (Reader *r) {
  size_t n = size(r);  /* its length + 1; 0: none */
  if (n == 0) return (Text){"", 0};
  return (Text){(const char *)skip(r, n - 1), n - 1};
}

/* a constant; its text where it has one */
static Text constant (Reader *r) {
  switch (byte(r)) {
    case 0x00: case 0x01: case 0x11: break;        /* nil, false, true */
    case 0x03: case 0x13: skip(r, 8); break;       /* integer, float */
    case 0x04: case 0x14: return string(r);
    default: r->bad = 1; break;
  }
  return (Text){NULL, 0};
}

/* the name of upvalue n */
static Text upvaluename (Reader *r, const Function *f, int n) {
  Reader one = *r;
  Text t = {"", 0};
  one.at = f->upvalues;
  if ((size_t)n < f->nupvalues)
    for (int i = 0; i <= n; i++) t = string(&one);
  return t;
}

/* -- what a function uses -------------------------------------------------- */

static unsigned long varint (const unsigned char **at) {
  unsigned long n = 0;
  int c;
  do {
    c = *(*at)++;
    n = n << 7 | (unsigned long)(c & 0x7F);
  } while ((c & 0x80) == 0);
  return n;
}

/* the line of instruction 'pc', from that of the one before: differences,
** with absolute marks between */
static void nextline (const Function *f, size_t pc, const unsigned char **mark,
                      int *line) {
  int difference = pc < f->nlines ? (signed char)f->lines[pc] : 0;
  if (difference != -0x80) *line += difference;
  else {
    varint(mark);  /* its instruction */
    *line = (int)varint(mark);
  }
}

/* the name of the local variable in a register at 'pc' */
static Text localname (Reader *r, const Function *f, int reg, size_t pc) {
  Reader one = *r;
  one.at = f->locals;
  for (size_t i = 0; i < f->nlocals; i++) {
    Text name = string(&one);
    size_t start = size(&one), end = size(&one);
    if (one.bad || start > pc) break;
    if (pc < end && reg-- == 0) return name;
  }
  return (Text){"", 0};
}

static int is (Text t, const char *word) {
  return t.n == strlen(word) && memcmp(t.s, word, t.n) == 0;
}

static void tell (Reader *r, Text name, rb_UseKind kind, int line) {
  rb_Use use = {kind, "", line};
  if (name.s == NULL || name.n >= sizeof use.name) return;
  memcpy(use.name, name.s, name.n);
  r->each(r->ud, &use);
}

/* a name that is a constant of the function */
static void tellkey (Reader *r, const Function *f, int line, rb_UseKind kind,
                     int key) {
  if ((size_t)key < f->nconstants) tell(r, f->constants[key], kind, line);
}

static void telllocals (Reader *r, const Function *f) {
  Reader one = *r;
  one.at = f->locals;
  for (size_t i = 0; i < f->nlocals && !one.bad; i++) {
    Text name = string(&one);
    size(&one); size(&one);
    tell(r, name, RB_LOCAL, f->firstline);
  }
}

/* a table in an upvalue: the globals, or `run` of an outer function */
static void upvalue (Reader *r, const Function *f, int line, int n, int key,
                     int set) {
  Text up = upvaluename(r, f, n);
  if (is(up, "_ENV"))
    tellkey(r, f, line, set ? RB_SETGLOBAL : RB_GETGLOBAL, key);
  else if (set) tellkey(r, f, line, RB_SETFIELD, key);
  else if (is(up, "run")) tellkey(r, f, line, RB_GETRUN, key);
}

static void scan (Reader *r, const Function *f) {
  const unsigned char *mark = f->abslines;
  int line = f->firstline;
  for (size_t pc = 0; pc < f->ncode && !r->bad; pc++) {
    uint32_t i;
    memcpy(&i, f->code + 4 * pc, 4);
    int op = (int)(i & 0x7F), constkey = i >> 15 & 1;
    int a = i >> 7 & 0xFF, b = i >> 16 & 0xFF, c = i >> 24 & 0xFF;
    nextline(f, pc, &mark, &line);
    if (op == r->op[GETTABUP]) upvalue(r, f, line, b, c, 0);
    else if (op == r->op[SETTABUP]) upvalue(r, f, line, a, b, 1);
    else if (op == r->op[SETFIELD]) tellkey(r, f, line, RB_SETFIELD, b);
    else if (op == r->op[GETFIELD] && is(localname(r, f, b, pc), "run"))
      tellkey(r, f, line, RB_GETRUN, c);
    else if (op == r->op[SELF] && constkey &&
             is(localname(r, f, b, pc), "run"))
      tellkey(r, f, line, RB_CALLRUN, c);
  }
}

/* the lists that follow a function's inner functions */
static void readdebug (Reader *r, Function *f) {
  f->nlines = size(r);
  f->lines = skip(r, f->nlines);
  f->nabslines = size(r);
  f->abslines = r->at;
  for (size_t i = 0; i < f->nabslines && !r->bad; i++) { size(r); size(r); }
  f->nlocals = size(r);
  f->locals = r->at;
  for (size_t i = 0; i < f->nlocals && !r->bad; i++) {
    string(r); size(r); size(r);
  }
  f->nupvalues = size(r);
  f->upvalues = r->at;
  for (size_t i = 0; i < f->nupvalues && !r->bad; i++) string(r);
}

static void readfunction (Reader *r, int depth) {
  Function f = {0};
  if (depth > MAXDEPTH) { r->bad = 1; return; }
  string(r);                                /* source */
  f.firstline = (int)size(r);
  size(r);                                  /* last line */
  skip(r, 3);                               /* parameters, vararg, stack */
  f.ncode = size(r);
  f.code = skip(r, 4 * f.ncode);
  f.nconstants = size(r);
  if (f.nconstants > (size_t)(r->end - r->at)) r->bad = 1;
  f.constants = r->bad ? NULL : calloc(f.nconstants + 1, sizeof *f.constants);
  if (f.constants == NULL) { r->bad = 1; return; }
  for (size_t i = 0; i < f.nconstants && !r->bad; i++)
    f.constants[i] = constant(r);
  skip(r, 3 * size(r));                     /* upvalues: where they are */
  for (size_t n = size(r); n > 0 && !r->bad; n--) readfunction(r, depth + 1);
  readdebug(r, &f);
  if (!r->bad) { scan(r, &f); telllocals(r, &f); }
  free(f.constants);
}

/* -- the chunk ------------------------------------------------------------- */

static int writer (lua_State *L, const void *p, size_t n, void *ud) {
  (void)L;
  rb_buffer_add(ud, p, n);
  return 0;
}

/* the number of instruction 'at' of a program, or -1 */
static int opcodeof (lua_State *L, const char *text, size_t at) {
  rb_Buffer b = {0};
  Reader r = {0};
  uint32_t i = 0;
  if (luaL_loadstring(L, text) == LUA_OK) lua_dump(L, writer, &b, 0);
  lua_pop(L, 1);
  r.at = (const unsigned char *)b.s;
  r.end = r.at + b.n;
  skip(&r, HEADER + 1);
  string(&r); size(&r); size(&r); skip(&r, 3);
  r.bad = r.bad || size(&r) <= at;
  const unsigned char *code = skip(&r, 4 * (at + 1));
  if (!r.bad) memcpy(&i, code + 4 * at, 4);
  rb_buffer_free(&b);
  return r.bad ? -1 : (int)(i & 0x7F);
}

int rb_uses (lua_State *L, void (*each) (void *ud, const rb_Use *use),
             void *ud) {
  static int ops[OPS];  /* asked once; 0 (MOVE) is none of them */
  rb_Buffer b = {0};
  Reader r = {.each = each, .ud = ud};
  for (int op = 0; op < OPS; op++) {
    if (ops[op] == 0) ops[op] = opcodeof(L, samples[op].text, samples[op].at);
    if (ops[op] < 0) r.bad = 1;
    r.op[op] = ops[op];
  }
  lua_dump(L, writer, &b, 0);
  r.at = (const unsigned char *)b.s;
  r.end = r.at + b.n;
  if (b.failed) r.bad = 1;
  skip(&r, HEADER + 1);
  if (!r.bad) readfunction(&r, 0);
  rb_buffer_free(&b);
  return !r.bad;
}
