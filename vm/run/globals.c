/*
** globals.c - the global names that a chunk uses, without running it
**
** A misspelt name in the body of a step would show only on the night when
** that step is reached. The compiler knows every global: an access to the
** upvalue _ENV. Lua gives no list of them, but dumps its code in a plain
** format; which numbers its two instructions have is asked of Lua itself.
*/

#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/buffer.h"
#include "vm/run/shape.h"

#define HEADER 31    /* bytes before the number of the chunk's upvalues */
#define MAXDEPTH 200 /* functions within functions: Lua's own limit */

enum { GET, SET };

typedef struct Text { const char *s; size_t n; } Text;

typedef struct Reader {
  const unsigned char *at, *end;
  int bad;             /* not the format that we know */
  int op[2];           /* of GETTABUP and SETTABUP */
  void (*each) (void *ud, const rb_Global *g);
  void *ud;
} Reader;

/* one function of the dump: where its parts are */
typedef struct Function {
  const unsigned char *code, *lines, *constants, *upvalues;
  size_t ncode, nlines, nconstants, nupvalues;
  const unsigned char *abslines;
  size_t nabslines;
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

/* item n of the strings or constants that begin at 'at' */
static Text item (Reader *r, const unsigned char *at, size_t n, size_t count,
                  Text (*read) (Reader *r)) {
  Reader one = *r;
  Text t = {NULL, 0};
  if (n >= count) return t;
  one.at = at;
  for (size_t i = 0; i <= n; i++) t = read(&one);
  return one.bad ? (Text){NULL, 0} : t;
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

/* the line of instruction 'pc': differences, with absolute marks between */
static int lineof (const Function *f, size_t pc) {
  int line = f->firstline;
  const unsigned char *abs = f->abslines;
  size_t left = f->nabslines;
  for (size_t i = 0; i <= pc && i < f->nlines; i++) {
    int difference = (signed char)f->lines[i];
    if (difference != -0x80) line += difference;
    else if (left-- > 0) {
      varint(&abs);
      line = (int)varint(&abs);
    }
  }
  return line;
}

static void scan (Reader *r, const Function *f) {
  for (size_t pc = 0; pc < f->ncode && !r->bad; pc++) {
    uint32_t i;
    memcpy(&i, f->code + 4 * pc, 4);
    int a = i >> 7 & 0xFF, b = i >> 16 & 0xFF, c = i >> 24 & 0xFF;
    int op = (int)(i & 0x7F), set = op == r->op[SET];
    if (op != r->op[GET] && !set) continue;
    Text up = item(r, f->upvalues, (size_t)(set ? a : b), f->nupvalues, string);
    Text name = item(r, f->constants, (size_t)(set ? b : c), f->nconstants,
                     constant);
    if (up.n != 4 || memcmp(up.s, "_ENV", 4) != 0 || name.s == NULL) continue;
    rb_Global g = {"", set, lineof(f, pc)};
    if (name.n >= sizeof g.name) continue;
    memcpy(g.name, name.s, name.n);
    r->each(r->ud, &g);
  }
}

/* the lists that follow a function's inner functions */
static void readdebug (Reader *r, Function *f) {
  f->nlines = size(r);
  f->lines = skip(r, f->nlines);
  f->nabslines = size(r);
  f->abslines = r->at;
  for (size_t i = 0; i < f->nabslines && !r->bad; i++) { size(r); size(r); }
  for (size_t n = size(r); n > 0 && !r->bad; n--) {  /* local variables */
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
  f.constants = r->at;
  for (size_t i = 0; i < f.nconstants && !r->bad; i++) constant(r);
  skip(r, 3 * size(r));                     /* upvalues: where they are */
  for (size_t n = size(r); n > 0 && !r->bad; n--) readfunction(r, depth + 1);
  readdebug(r, &f);
  if (!r->bad) scan(r, &f);
}

/* -- the chunk ------------------------------------------------------------- */

static int writer (lua_State *L, const void *p, size_t n, void *ud) {
  (void)L;
  rb_buffer_add(ud, p, n);
  return 0;
}

/* the number of the second instruction of 'text', or -1 */
static int opcodeof (lua_State *L, const char *text) {
  rb_Buffer b = {0};
  Reader r = {0};
  uint32_t i = 0;
  if (luaL_loadstring(L, text) == LUA_OK) lua_dump(L, writer, &b, 0);
  lua_pop(L, 1);
  r.at = (const unsigned char *)b.s;
  r.end = r.at + b.n;
  skip(&r, HEADER + 1);
  string(&r); size(&r); size(&r); skip(&r, 3);
  r.bad = r.bad || size(&r) < 2;
  const unsigned char *code = skip(&r, 8);
  if (!r.bad) memcpy(&i, code + 4, 4);
  rb_buffer_free(&b);
  return r.bad ? -1 : (int)(i & 0x7F);
}

int rb_globals (lua_State *L, void (*each) (void *ud, const rb_Global *g),
                void *ud) {
  rb_Buffer b = {0};
  Reader r = {.each = each, .ud = ud};
  r.op[GET] = opcodeof(L, "return x");
  r.op[SET] = opcodeof(L, "x = 1");
  r.bad = r.op[GET] < 0 || r.op[SET] < 0;
  lua_dump(L, writer, &b, 0);
  r.at = (const unsigned char *)b.s;
  r.end = r.at + b.n;
  if (b.failed) r.bad = 1;
  skip(&r, HEADER + 1);
  if (!r.bad) readfunction(&r, 0);
  rb_buffer_free(&b);
  return !r.bad;
}
