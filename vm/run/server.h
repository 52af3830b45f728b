/*
** server.h - what the servers of a target have against what a script would send them
*/

#ifndef rb_server_h
#define rb_server_h

#include "vm/config/config.h"

typedef struct rb_Server rb_Server;

/* a name in a text, and what stands for it */
typedef struct rb_Given { char name[64]; char *text; } rb_Given;

typedef struct rb_Question {
  const char *system, *kind;   /* the resource */
  const char *method;          /* "query" */
  const char *text;
  size_t n;
  const rb_Given *given; int ngiven;
} rb_Question;

typedef enum rb_Said { RB_SAIDNOTHING, RB_SAIDNO, RB_SAIDDOWN } rb_Said;

/* NULL: out of memory. */
rb_Server *rb_server_open (rb_Config *c, rb_Target *t);
void rb_server_close (rb_Server *s);
/* From now on names are those of this folder's schema.lua, under the configuration's. */
void rb_server_folder (rb_Server *s, const char *folder);
/* Shows the text to the server, which runs nothing. RB_SAIDNO: 'why' are its words;
** RB_SAIDDOWN: why it cannot be asked, which is said once. */
rb_Said rb_server_ask (rb_Server *s, const rb_Question *a, char *why, size_t size);

/* Has a person ended it, with Ctrl-C while a server was asked? Then none is asked any more. */
int rb_server_interrupted (const rb_Server *s);

#endif
