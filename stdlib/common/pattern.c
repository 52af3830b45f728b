/*
** pattern.c - regular expressions as Perl writes them (PCRE2)
**
** Compiled to machine code where that works. A limit on steps ends what would
** go on for ever: (a+)+b is somebody's pattern one day.
*/

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "stdlib/common/pattern.h"

#define PATTERN "rb.pattern"
enum { STEPS = 1000000 };

struct rb_Pattern {
  pcre2_code *code;          /* all NULL: closed */
  pcre2_match_data *data;
  pcre2_match_context *context;
};

static int pattern_close (lua_State *L) {
  rb_Pattern *p = luaL_checkudata(L, 1, PATTERN);
  pcre2_match_data_free(p->data);
  pcre2_match_context_free(p->context);
  pcre2_code_free(p->code);
  *p = (rb_Pattern){0};
  return 0;
}

/* [-0, +1, m]  closed */
static rb_Pattern *pushclosed (lua_State *L) {
  rb_Pattern *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (rb_Pattern){0};
  if (luaL_newmetatable(L, PATTERN)) {
    lua_pushcfunction(L, pattern_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return p;
}

rb_Pattern *rb_pattern_push (lua_State *L, int idx, const char *who, int whole) {
  size_t n, at = 0;
  int error = 0;
  PCRE2_UCHAR words[200];
  const char *s = lua_tolstring(L, idx, &n);
  rb_Pattern *p = pushclosed(L);
  uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C
                     | (whole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0);
  p->code = pcre2_compile((PCRE2_SPTR)s, n, options, &error, &at, NULL);
  if (p->code == NULL) {
    pcre2_get_error_message(error, words, sizeof words);
    luaL_error(L, "%s: the pattern '%s' is not well formed at character %d: %s", who, s,
               (int)at + 1, (const char *)words);
  }
  pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);  /* without it: slower */
  p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
  p->context = pcre2_match_context_create(NULL);
  if (p->data == NULL || p->context == NULL) luaL_error(L, "not enough memory");
  pcre2_set_match_limit(p->context, STEPS);
  return p;
}

int rb_pattern_match (const rb_Pattern *p, const char *s, size_t n, unsigned group,
                      rb_Span *span) {
  int rc = pcre2_match(p->code, (PCRE2_SPTR)s, n, 0, 0, p->data, p->context);
  if (rc < 0) return rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
  if (span == NULL) return 1;
  const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->data);
  *span = (rb_Span){0};
  if (group < (unsigned)rc && at[2 * group] != PCRE2_UNSET)
    *span = (rb_Span){.at = at[2 * group], .n = at[2 * group + 1] - at[2 * group],
                      .set = 1};
  return 1;
}

unsigned rb_pattern_groups (const rb_Pattern *p) {
  uint32_t n = 0;
  pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &n);
  return n;
}
