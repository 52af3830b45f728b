/*
** show.h - what a person reads, and what a program reads
**
** Results go to standard output, progress and prompts to standard error. The
** calls come in the order of a run; with json only the last one prints.
*/

#ifndef rb_show_h
#define rb_show_h

#include <signal.h>

#include "vm/run/report.h"

typedef struct rb_Show rb_Show;

typedef struct rb_ShowOptions {
  int json;
  int nocolor;        /* --no-color; NO_COLOR and no terminal are looked at here */
} rb_ShowOptions;

rb_Show *rb_show_open (const rb_ShowOptions *o);
void rb_show_close (rb_Show *s);

/* The banner: title, target, mode, parameters, layers that hold. */
void rb_show_start (rb_Show *s, const rb_Report *r);

/* The case that was taken (or all of a dry run's), with its evidence. */
void rb_show_case (rb_Show *s, const rb_Report *r, const rb_CaseRow *c);

/* A step begins (progress, on standard error of a terminal only), and ends
** (one line and its effects). */
void rb_show_begin (rb_Show *s, const rb_Report *r, const rb_StepRow *step);
void rb_show_end (rb_Show *s, const rb_Report *r, const rb_StepRow *step);

/* run:note and print: a line on standard error. 'text' is redacted. */
void rb_show_note (rb_Show *s, const char *text);

/* What a statement at the prompt waits for, once that takes long; terminal only. */
void rb_show_waiting (rb_Show *s, const char *what, double elapsed);

/* A long step: "412 of 10,000". At most ten times a second, terminal only. */
void rb_show_progress (rb_Show *s, const rb_StepRow *step, const char *what,
                       long long done, long long total, double seconds);

/* What a run is doing now (the document of vm/status.c), on standard error; or as text. */
void rb_show_status (rb_Show *s, const json_t *doc);
struct rb_Buffer;
void rb_show_doing (struct rb_Buffer *b, const json_t *doc);

/* The end: findings, the error with what to type next, totals; or the JSON. */
void rb_show_finish (rb_Show *s, const rb_Report *r);

/* A usage or configuration error before there is a run. */
void rb_show_problem (const rb_Problem *p, int json);

/* -- a run as a document ------------------------------------------------------ */

typedef enum rb_Format { RB_TEXT, RB_JSON, RB_MARKDOWN, RB_HTML, RB_NOFORMAT } rb_Format;

rb_Format rb_format_named (const char *name);   /* "text", "json", "md", "html" */
rb_Format rb_format_of (const char *file);      /* .txt, .json, .md, .html */

/* The whole document, appended. Text is coloured and folded as standard output
** takes it when 'terminal' is set. */
struct rb_Buffer;
void rb_show_document (const rb_Report *r, rb_Format format, int terminal,
                       struct rb_Buffer *b);

/* Has all of standard output been written so far? */
int rb_show_delivered (void);

/* Questions, on the terminal: 1 yes, 0 no, -1 no terminal (or its end). */
int rb_ask_terminal (void);   /* is there one? */
extern volatile sig_atomic_t rb_asking;  /* is a question open? */
int rb_ask_yes (rb_Show *s, const char *question);
/* A line (malloc'ed, without its newline); NULL: no terminal, or its end. */
char *rb_ask_line (rb_Show *s, const char *question, int hidden);
/* One of several: its index, or -1. */
int rb_ask_choice (rb_Show *s, const char *question,
                   const char *const *choices);

#endif
