/*
** trace.c - the calls of primitives in compiled code, without running it
**
** The code is walked once from its first instruction to its last, and what each register
** holds is remembered as far as it is certain: `erp` is an upvalue, whose value is there to
** be looked at; `erp.redis` is a field of it; `:set` is then known, and so are the constants
** and tables that it is given. Where two ways through the code meet, what was
** written on one of them is no longer certain. So what is told is true, and not all is told.
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/run/known.h"
#include "vm/run/trace.h"
#include "vm/vm.h"

#define TABLES 64     /* constructors of one function that are remembered */
#define DEPTH 40      /* functions that call functions */

typedef enum Kind {
  NOTHING, LIVE, TEXT, BUILT, TABLE, MODULE, MEMBER,
  WITHIN                 /* what the function of a transaction is given */
} Kind;

/* what a register holds, as far as it is certain */
typedef struct Value {
  Kind kind;
  int at;                /* LIVE: its place in the arena; TABLE: in `tables` */
  rb_Text text;          /* TEXT; MEMBER: its name */
  const char *module;    /* MODULE, MEMBER */
  const rb_Resource *resource;  /* MEMBER, WITHIN */
  int method, within;    /* MEMBER: of a value; of a transaction */
  int absent;            /* LIVE: nil */
} Value;

typedef struct Trace {
  lua_State *L;
  int arena, seen;       /* tables: live values by number; functions that were walked */
  int live, depth;
  void (*each) (void *ud, const rb_Traced *call);
  void (*absent) (void *ud, const rb_Absent *name);
  void *ud;
} Trace;

/* one function being walked */
typedef struct Walk {
  Trace *t;
  const rb_Code *code;
  const rb_Proto *p;
  const Value *up;
  const char *file;
  int n;                 /* registers */
  int open;              /* where the results of the last call begin */
  Value *reg;
  size_t *written;       /* the instruction that did, plus one */
  rb_Keys *tables;       /* NULL: none yet */
  int ntables;
  size_t *from;          /* for each instruction: the first that jumps forward to it, + 1 */
  size_t *last;          /* and the last that jumps back to it */
} Walk;

static void function (Trace *t, const rb_Code *code, const rb_Proto *p, const Value *up,
                      const char *file, Value first);

/* -- live values ---------------------------------------------------------------------- */

/* [-1, +0, m] */
static Value keep (Trace *t) {
  Value v = {.kind = LIVE, .at = ++t->live, .absent = lua_isnil(t->L, -1)};
  lua_rawseti(t->L, t->arena, v.at);
  return v;
}

static void push (Trace *t, Value v) { lua_rawgeti(t->L, t->arena, v.at); }

/* [-0, +0, m]  The function on the top with all that it calls: once. */
static void live (Trace *t) {
  lua_State *L = t->L;
  lua_Debug d;
  const rb_Code *code;
  rb_Code own;
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1) || t->depth == DEPTH) return;
  lua_pushvalue(L, -1);
  if (lua_rawget(L, t->seen) != LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  luaL_checkstack(L, 20, NULL);
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, t->seen);
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &d);
  const rb_Proto *p = rb_known_function(L, &code, &own);
  Value *up = p != NULL ? calloc(p->nupvalues + 1, sizeof *up) : NULL;
  for (int i = 0; up != NULL && (size_t)i < p->nupvalues; i++)
    if (lua_getupvalue(L, -1, i + 1) != NULL) up[i] = keep(t);
  if (up != NULL) function(t, code, p, up, d.source, (Value){0});
  free(up);
  rb_code_free(&own);
}

/* a global: a module, or what the script can see under that name */
static Value global (Trace *t, rb_Text name) {
  const char *module;
  for (int i = 0; (module = rb_module_name(i)) != NULL; i++)
    if (rb_module_isfree(i) && rb_code_is(name, module))
      return (Value){.kind = MODULE, .module = module};
  lua_pushglobaltable(t->L);
  lua_pushlstring(t->L, name.s, name.n);
  lua_rawget(t->L, -2);
  lua_remove(t->L, -2);
  return keep(t);
}

/* lua_CFunction(value, key): a field, which may be made when it is asked for */
static int getfield (lua_State *L) {
  lua_gettable(L, 1);
  return 1;
}

/* what a value has under a name */
static Value field (Trace *t, Value base, rb_Text name) {
  lua_State *L = t->L;
  Value v = {0};
  if (name.s == NULL) return v;
  if (base.kind == MODULE) return (Value){.kind = MEMBER, .text = name, .module = base.module};
  if (base.kind == WITHIN)
    return (Value){.kind = MEMBER, .text = name, .module = base.resource->kind,
                   .resource = base.resource, .method = 1, .within = 1};
  if (base.kind != LIVE) return v;
  push(t, base);
  const rb_Resource *r = rb_resource_at(L, -1);
  if (r != NULL) {
    lua_pop(L, 1);
    return (Value){.kind = MEMBER, .text = name, .module = r->kind, .resource = r, .method = 1};
  }
  if (!lua_istable(L, -1) && !rb_issystem(L, -1)) {
    lua_pop(L, 1);
    return v;
  }
  lua_pushcfunction(L, getfield);
  lua_insert(L, -2);
  lua_pushlstring(L, name.s, name.n);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return keep(t);
  lua_pop(L, 1);
  return v;
}

/* Does the code ask, after 'pc', whether what is in the register is there? */
static int asks (const Walk *w, size_t pc, int reg) {
  for (pc++; pc < w->p->ncode; pc++) {
    uint32_t i = rb_code_at(w->p, pc);
    int a = RB_CODEA(i), b = RB_CODEB(i);
    switch (RB_CODEOP(w->code, i)) {
      case RB_OPTEST: case RB_OPEQK: if (a == reg) return 1; break;
      case RB_OPTESTSET: case RB_OPNOT: if (b == reg) return 1; break;
      case RB_OPEQ: if (a == reg || b == reg) return 1; break;
      case RB_OPMOVE: case RB_OPLOADK: case RB_OPGETFIELD: case RB_OPGETTABUP: case RB_OPGETUPVAL:
        if (a == reg) return 0;
        break;
      default: break;
    }
  }
  return 0;
}

/* a field that is read into a register */
static Value readfield (const Walk *w, size_t pc, int reg, Value base, rb_Text name) {
  Trace *t = w->t;
  rb_Absent n = {.file = w->file, .line = w->p->lines[pc], .name = name};
  Value v = field(t, base, name);
  if (!v.absent || base.kind != LIVE) return v;
  push(t, base);
  n.part = rb_part_at(t->L, -1, &n.system);
  lua_pop(t->L, 1);
  n.guarded = asks(w, pc, reg);
  if (n.part != NULL) t->absent(t->ud, &n);
  return v;
}

/* -- registers -------------------------------------------------------------------------- */

static rb_Text constant (const rb_Proto *p, int i) {
  return (size_t)i < p->nconstants ? p->constants[i] : (rb_Text){NULL, 0};
}

/* what is no register of the function (some instructions have something else in its place) is
** left out */
static void set (Walk *w, size_t pc, int reg, Value v) {
  if (reg >= w->n) return;
  w->reg[reg] = v;
  w->written[reg] = pc + 1;
}

static Value get (const Walk *w, int reg) { return reg < w->n ? w->reg[reg] : (Value){0}; }

/* from 'reg' on, whatever was there may be gone */
static void forget (Walk *w, size_t pc, int reg) {
  for (; reg < w->n; reg++)
    if (w->reg[reg].kind != NOTHING) set(w, pc, reg, (Value){0});
}

static void newtable (Walk *w, size_t pc, int a) {
  Value v = {0};
  if (w->tables == NULL) w->tables = malloc(TABLES * sizeof *w->tables);
  if (w->tables != NULL && w->ntables < TABLES) {
    v = (Value){.kind = TABLE, .at = w->ntables++};
    w->tables[v.at].n = 0;
    w->tables[v.at].reg = a;
  }
  set(w, pc, a, v);
}

static void addkey (Walk *w, int a, rb_Text name) {
  Value v = get(w, a);
  rb_Keys *k = v.kind == TABLE ? &w->tables[v.at] : NULL;
  if (k != NULL && k->n < RB_TRACEDKEYS && name.s != NULL) k->name[k->n++] = name;
}

/* Of constants it is one, too. */
static Value concat (const Walk *w, int a, int n) {
  lua_State *L = w->t->L;
  for (int i = a; i < a + n; i++)
    if (i >= w->n || w->reg[i].kind != TEXT) return (Value){.kind = BUILT};
  luaL_checkstack(L, n + 1, NULL);
  for (int i = a; i < a + n; i++) lua_pushlstring(L, w->reg[i].text.s, w->reg[i].text.n);
  lua_concat(L, n);
  Value v = {.kind = TEXT};
  v.text.s = lua_tolstring(L, -1, &v.text.n);
  keep(w->t);
  return v;
}

/* -- calls -------------------------------------------------------------------------------- */

static rb_Argument argument (const Walk *w, int reg) {
  rb_Argument a = {.kind = RB_ARGOTHER};
  Value v = w->reg[reg];
  if (v.kind == LIVE) {
    push(w->t, v);
    if (lua_type(w->t->L, -1) == LUA_TSTRING) {  /* the arena keeps it */
      v.kind = TEXT;
      v.text.s = lua_tolstring(w->t->L, -1, &v.text.n);
    }
    lua_pop(w->t->L, 1);
  }
  if (v.kind == TEXT) a = (rb_Argument){.kind = RB_ARGTEXT, .text = v.text};
  if (v.kind == BUILT) a.kind = RB_ARGBUILT;
  if (v.kind == TABLE) a = (rb_Argument){.kind = RB_ARGTABLE, .keys = &w->tables[v.at]};
  a.whole = v.kind == TABLE && a.keys->reg == reg && a.keys->n < RB_TRACEDKEYS;
  return a;
}

/* "...":format(...) and its like make a text of what they are given */
static int builds (Value callee) {
  return callee.kind == MEMBER && callee.module == NULL;
}

/* b == 0: what it is given ends with all results of a call, or with ...; the first of
** them is in w->open */
static void call (Walk *w, size_t pc, int a, int b) {
  Value callee = get(w, a);
  int self = callee.kind == MEMBER && callee.method;
  int n = b > 0 ? b - 1 : w->open > a ? w->open - a : 0;
  for (int i = a; i <= a + n && i < w->n; i++)  /* functions that are handed on, too */
    if (w->reg[i].kind == LIVE) {
      push(w->t, w->reg[i]);
      live(w->t);
      lua_pop(w->t->L, 1);
    }
  if (callee.kind == MEMBER && callee.module != NULL) {
    rb_Traced c = {.file = w->file, .line = w->p->lines[pc], .module = callee.module,
                   .resource = callee.resource, .within = callee.within, .name = callee.text,
                   .exact = b > 0};
    for (int i = a + 1 + self; i <= a + n && i < w->n && c.nargs < RB_TRACEDARGS; i++)
      c.arg[c.nargs++] = argument(w, i);
    w->t->each(w->t->ud, &c);
  }
  forget(w, pc, a);
  w->open = a;
  if (builds(callee)) set(w, pc, a, (Value){.kind = BUILT});
}

static void self (Walk *w, size_t pc, int a, int b, uint32_t i) {
  Value base = get(w, b);
  rb_Text name = RB_CODEK(i) ? constant(w->p, RB_CODEC(i)) : get(w, RB_CODEC(i)).text;
  Value member = base.kind == TEXT ? (Value){.kind = MEMBER, .text = name, .method = 1}
                                   : field(w->t, base, name);
  set(w, pc, a + 1, base);
  set(w, pc, a, member);
}

/* The function made in a register becomes what a transaction calls: what it is given. */
static Value given (const Walk *w, int reg) {
  Value callee = reg >= 2 ? get(w, reg - 2) : (Value){0};
  int is = callee.kind == MEMBER && callee.resource != NULL && !callee.within
           && rb_code_is(callee.text, "transaction");
  return is ? (Value){.kind = WITHIN, .resource = callee.resource} : (Value){0};
}

/* A function made here: it is walked with what its upvalues have now, as far as that is no
** text or table, which may be another by the time it is called. */
static void closure (Walk *w, int reg, int n) {
  const rb_Proto *p = (size_t)n < w->p->ninner ? w->p->inner[n] : NULL;
  Value *up = p != NULL ? calloc(p->nupvalues + 1, sizeof *up) : NULL;
  if (up == NULL) return;
  for (size_t i = 0; i < p->nupvalues; i++) {
    const rb_Upvalue *u = &p->upvalues[i];
    Value v = u->instack ? get(w, u->index) : w->up[u->index];
    if (v.kind == LIVE || v.kind == MODULE) up[i] = v;
  }
  function(w->t, w->code, p, up, w->file, given(w, reg));
  free(up);
}

/* -- walking ---------------------------------------------------------------------------------- */

static Value upvalue (Walk *w, size_t pc, int a, int b, rb_Text name) {
  if (rb_code_is(w->p->upvalues[b].name, "_ENV") && name.s != NULL) return global(w->t, name);
  return readfield(w, pc, a, w->up[b], name);
}

static void instruction (Walk *w, size_t pc) {
  uint32_t i = rb_code_at(w->p, pc);
  int a = RB_CODEA(i), b = RB_CODEB(i), c = RB_CODEC(i);
  Value text = {.kind = TEXT, .text = constant(w->p, RB_CODEBX(i))};
  switch (RB_CODEOP(w->code, i)) {
    case RB_OPMOVE: set(w, pc, a, get(w, b)); break;
    case RB_OPLOADK: set(w, pc, a, text.text.s != NULL ? text : (Value){0}); break;
    case RB_OPGETUPVAL: set(w, pc, a, w->up[b]); break;
    case RB_OPGETTABUP: set(w, pc, a, upvalue(w, pc, a, b, constant(w->p, c))); break;
    case RB_OPGETFIELD: set(w, pc, a, readfield(w, pc, a, get(w, b), constant(w->p, c))); break;
    case RB_OPSELF: self(w, pc, a, b, i); break;
    case RB_OPNEWTABLE: newtable(w, pc, a); break;
    case RB_OPSETFIELD: addkey(w, a, constant(w->p, b)); break;
    case RB_OPSETLIST: forget(w, pc, a + 1); break;
    case RB_OPCONCAT: set(w, pc, a, concat(w, a, b)); break;
    case RB_OPCLOSURE: closure(w, a, RB_CODEBX(i)); set(w, pc, a, (Value){0}); break;
    case RB_OPCALL: case RB_OPTAILCALL: call(w, pc, a, b); break;
    case RB_OPVARARG: w->open = a; forget(w, pc, a); break;
    case RB_OPLOADNIL: case RB_OPFORPREP: case RB_OPFORLOOP:
    case RB_OPTFORPREP: case RB_OPTFORCALL: case RB_OPTFORLOOP: forget(w, pc, a); break;
    case RB_OPJMP: case RB_OPSETTABUP: case RB_OPEXTRAARG: break;
    default: set(w, pc, a, (Value){0}); break;
  }
}

/* where this instruction jumps to; 0: nowhere */
static size_t target (const Walk *w, size_t pc) {
  uint32_t i = rb_code_at(w->p, pc);
  rb_Op op = RB_CODEOP(w->code, i);
  long to = op == RB_OPJMP ? (long)pc + 1 + RB_CODESJ(i)
          : op == RB_OPFORPREP ? (long)pc + 2 + RB_CODEBX(i)
          : op == RB_OPTFORPREP ? (long)pc + 1 + RB_CODEBX(i)
          : op == RB_OPFORLOOP || op == RB_OPTFORLOOP ? (long)pc + 1 - RB_CODEBX(i) : 0;
  return to > 0 && (size_t)to < w->p->ncode ? (size_t)to : 0;
}

static void findjumps (Walk *w) {
  for (size_t pc = 0, to; pc < w->p->ncode; pc++) {
    if ((to = target(w, pc)) == 0) continue;
    if (to <= pc) w->last[to] = pc;
    else if (w->from[to] == 0) w->from[to] = pc + 1;
  }
}

/* Two ways meet here: what was written since they parted is not certain. In a loop
** neither is what it will write. */
static void meet (Walk *w, size_t pc) {
  for (int i = 0; w->from[pc] > 0 && i < w->n; i++)
    if (w->written[i] > w->from[pc]) w->reg[i] = (Value){0};
  for (size_t in = pc; w->last[pc] > 0 && in <= w->last[pc]; in++) {
    uint32_t i = rb_code_at(w->p, in);
    set(w, pc, RB_CODEA(i), (Value){0});
    if (RB_CODEOP(w->code, i) == RB_OPSELF) set(w, pc, RB_CODEA(i) + 1, (Value){0});
  }
}

static void function (Trace *t, const rb_Code *code, const rb_Proto *p, const Value *up,
                      const char *file, Value first) {
  size_t n = (size_t)p->registers + 2;  /* one more than SELF writes */
  Walk w = {.t = t, .code = code, .p = p, .up = up, .file = file, .n = (int)n};
  size_t *places = calloc(2 * p->ncode + n, sizeof *places);
  w.reg = calloc(n, sizeof *w.reg);
  if (w.reg != NULL && places != NULL && t->depth < DEPTH) {
    w.reg[0] = first;
    w.written = places, w.from = places + n, w.last = w.from + p->ncode;
    findjumps(&w);
    t->depth++;
    for (size_t pc = 0; pc < p->ncode; pc++) {
      meet(&w, pc);
      instruction(&w, pc);
    }
    t->depth--;
  }
  free(w.tables);
  free(w.reg);
  free(places);
}

void rb_trace (lua_State *L, void (*each) (void *ud, const rb_Traced *call),
               void (*absent) (void *ud, const rb_Absent *name), void *ud) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  lua_newtable(L);
  lua_newtable(L);
  Trace t = {L, top + 1, top + 2, 0, 0, each, absent, ud};
  lua_pushvalue(L, top);
  live(&t);
  lua_settop(L, top);
}
