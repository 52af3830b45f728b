/*
** plan.h - a plan that was kept: written by a dry run, read, shown and applied
**
** The file is the document of `run --dry-run --json` with two things more: each
** deed has the digests of its arguments and of what it found, and "plan" says
** what it was made of. A checksum over all of it shows that it was changed, not by whom:
** whoever can write the file can make another checksum.
*/

#ifndef rb_plan_h
#define rb_plan_h

#include <jansson.h>

#include "vm/run/report.h"

#define RB_PLANFORMAT 1

/* Does the file begin as a plan does? */
int rb_plan_is (const char *file);

/* The document, after its format and checksum were looked at; NULL and *p. */
json_t *rb_plan_read (const char *file, rb_Problem *p);

/* May a plan be written there? Said before anything is run. */
int rb_plan_place (const char *file, rb_Problem *p);

/* The report that it was made of, for pages; rb_report_close frees it. */
void rb_plan_report (const json_t *doc, rb_Report *rep);

/* "3 h ago" of a time in milliseconds since 1970. */
void rb_plan_age (const json_t *doc, char *out, size_t size);

#endif
