/*
** pagestyle.h - what a style of page knows (private to vm/show/page*.c)
*/

#ifndef rb_pagestyle_h
#define rb_pagestyle_h

#include "vm/show/page.h"

typedef struct rb_Page {
  lua_State *L;
  const rb_Outline *o;
  rb_Buffer *b;
  const struct rb_Style *style;
  int indent;         /* columns, on the terminal */
} rb_Page;

/* how the parts of a page are written, in the order of a walk */
typedef struct rb_Style {
  void (*title) (rb_Page *p, const char *title);
  void (*section) (rb_Page *p, const char *title);
  void (*step) (rb_Page *p, int n, const char *title);
  void (*pair) (rb_Page *p, const char *label, const char *text);
  void (*code) (rb_Page *p, const char *label, const char *lines);
  void (*params) (rb_Page *p, int first, int n);
  void (*end) (rb_Page *p);  /* NULL: nothing to close */
} rb_Style;

/* text as it is safe in that language */
void rb_page_mdtext (rb_Buffer *b, const char *s);
void rb_page_htmltext (rb_Buffer *b, const char *s);
extern const char rb_page_htmlhead[];  /* up to and with <title> */

/* "required", "default 1h" or "optional"; "identifier" or "pm2, docker" */
void rb_page_status (rb_Page *p, const rb_Param *q, rb_Buffer *b);
void rb_page_type (const rb_Param *q, rb_Buffer *b);

/* Do the lines say themselves what they are: "probe = function (run)"? */
int rb_page_labelled (const char *label, const char *lines);

void rb_page_walk (lua_State *L, const rb_Outline *o, rb_Buffer *b,
                   const rb_Style *style);

#endif
