/*
** private.h - what the files of vm/config share
*/

#ifndef rb_config_private_h
#define rb_config_private_h

#include "vm/config/config.h"

#define RB_LATER "config.later"  /* metatable of env "X" and secret "X" */

typedef struct rb_Later {
  int secret;
  char name[];
} rb_Later;

struct rb_Target {
  rb_Config *c;
  char *name;
  const char *kind;
  int ref;               /* its table in the configuration's state */
  const char **systems;
  struct rb_Target *next;
};

struct rb_Config {
  lua_State *L;
  char *file, *folder;   /* NULL: there is none */
  const char **runbooks, **targets;
  rb_Target *open;
  struct rb_Names *names;  /* lists handed out, freed at the end */
};

typedef struct rb_Names {
  struct rb_Names *next;
  const char **list;
} rb_Names;

/* check.c: [-0, +0] the configuration at the top is well formed, or *p */
int rb_config_check (rb_Config *c, rb_Problem *p);

/* check.c: is that text a URL of a kind of resource ("http", "pg", ...)? */
int rb_config_url (const char *kind, const char *url, char *why, size_t size);

/* The text of what stands for it now; NULL and 'why': where it was looked for. */
char *rb_later_text (const rb_Later *later, char *why, size_t size);

/* `path` as seen from the configuration's folder; malloc'ed */
char *rb_config_path (const rb_Config *c, const char *path);

/* [-1, +0]  the keys (or, for a list, the values) of the table at the top,
** sorted; lives as long as the configuration */
const char **rb_config_names (rb_Config *c, int values);

#endif
