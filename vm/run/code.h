/*
** code.h - compiled functions, as Lua dumps them
**
** Lua gives no list of what a function uses, but dumps its code in a plain format; which
** numbers its instructions have is asked of Lua itself.
*/

#ifndef rb_code_h
#define rb_code_h

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

typedef struct rb_Text { const char *s; size_t n; } rb_Text;  /* s NULL: none */

/* the instructions that somebody asks about */
typedef enum rb_Op {
  RB_OPMOVE, RB_OPLOADK, RB_OPLOADNIL, RB_OPGETUPVAL, RB_OPGETTABUP, RB_OPSETTABUP,
  RB_OPGETFIELD, RB_OPSETFIELD, RB_OPSELF, RB_OPNEWTABLE, RB_OPSETLIST, RB_OPCONCAT,
  RB_OPCLOSURE, RB_OPCALL, RB_OPTAILCALL, RB_OPJMP, RB_OPFORPREP, RB_OPFORLOOP,
  RB_OPTFORPREP, RB_OPTFORCALL, RB_OPTFORLOOP, RB_OPVARARG, RB_OPLOADFALSE,
  RB_OPEXTRAARG, RB_OPTEST, RB_OPTESTSET, RB_OPEQK, RB_OPEQ, RB_OPNOT, RB_OPS
} rb_Op;

typedef struct rb_Upvalue {
  rb_Text name;
  int instack, index;    /* a register of the function around it, or its upvalue */
} rb_Upvalue;

typedef struct rb_Local {
  rb_Text name;
  size_t start, end;     /* instructions */
} rb_Local;

/* One function. Texts point into the dump. */
typedef struct rb_Proto {
  struct rb_Proto *next;             /* all of the code, to be freed */
  const unsigned char *code;         /* four bytes each */
  int *lines;                        /* one for each instruction */
  size_t ncode;
  rb_Text *constants; size_t nconstants;
  struct rb_Proto **inner; size_t ninner;
  rb_Upvalue *upvalues; size_t nupvalues;
  rb_Local *locals; size_t nlocals;
  int firstline, lastline, registers;
} rb_Proto;

typedef struct rb_Code {
  rb_Proto *top, *all;
  char *dump; size_t size;
  unsigned char kind[128];           /* of each opcode: its rb_Op, RB_OPS: another */
} rb_Code;

/* [-0, +0, m]  The code of the function on the top; 0 when this Lua's cannot be read.
** Freed with rb_code_free in any case. */
int rb_code_read (lua_State *L, rb_Code *c);
void rb_code_free (rb_Code *c);

/* the instruction's word; its parts */
uint32_t rb_code_at (const rb_Proto *p, size_t pc);
#define RB_CODEOP(c, i) ((rb_Op)(c)->kind[(i) & 0x7F])
#define RB_CODEA(i) ((int)((i) >> 7 & 0xFF))
#define RB_CODEB(i) ((int)((i) >> 16 & 0xFF))
#define RB_CODEC(i) ((int)((i) >> 24 & 0xFF))
#define RB_CODEK(i) ((int)((i) >> 15 & 1))
#define RB_CODEBX(i) ((int)((i) >> 15))
#define RB_CODESJ(i) ((int)((i) >> 7) - ((1 << 24) - 1))

/* The name of the local variable in a register at 'pc'; empty where it has none. */
rb_Text rb_code_local (const rb_Proto *p, int reg, size_t pc);
/* Is the text this word? */
int rb_code_is (rb_Text t, const char *word);

#endif
