/*
** recordpage.h - a run of the tape as a page (private to vm/show)
*/

#ifndef rb_recordpage_h
#define rb_recordpage_h

#include "vm/buffer.h"
#include "vm/run/report.h"

/* recorded.c: words that every format shares */
void rb_record_when (const rb_Report *r, rb_Buffer *b);
void rb_record_who (const rb_Report *r, rb_Buffer *b);
void rb_record_resumed (const rb_Report *r, rb_Buffer *b);
void rb_record_end (const rb_Report *r, rb_Buffer *b);
void rb_record_approval (const rb_Report *r, const json_t *a, rb_Buffer *b);
/* The case that begins with this step, or NULL. */
const rb_CaseRow *rb_record_entered (const rb_Report *r, const rb_StepRow *step);

/* how the parts of a page are written, in the order of a walk */
typedef struct rb_RecordStyle {
  void (*title) (rb_Buffer *b, const char *text);
  void (*section) (rb_Buffer *b, const char *text);
  void (*table) (rb_Buffer *b, const char *const *heads);  /* NULL: it ends */
  void (*row) (rb_Buffer *b, const char *const *cells);    /* NULL-terminated */
  void (*step) (rb_Buffer *b, int n, const char *title, const char *status);
  void (*effect) (rb_Buffer *b, const char *verb, const char *text, const char *state);
  void (*detail) (rb_Buffer *b, const char *label, const char *text);
  void (*diff) (rb_Buffer *b, const char *text);
  void (*after) (rb_Buffer *b);   /* the step ends */
  void (*line) (rb_Buffer *b, const char *text);
  void (*end) (rb_Buffer *b);
} rb_RecordStyle;

void rb_record_walk (const rb_Report *r, const rb_RecordStyle *style, rb_Buffer *b);
void rb_record_markdown (const rb_Report *r, rb_Buffer *b);
void rb_record_html (const rb_Report *r, rb_Buffer *b);

#endif
