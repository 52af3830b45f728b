/*
** private.h - what the files of vm/config share
*/

#ifndef rb_config_private_h
#define rb_config_private_h

#include "vm/config/config.h"

/* -- item.c: what the file returned, as C data -------------------------------- */

typedef enum rb_ItemType {
  RB_ITEMTABLE, RB_ITEMTEXT, RB_ITEMINTEGER, RB_ITEMNUMBER, RB_ITEMBOOLEAN,
  RB_ITEMENV, RB_ITEMSECRET
} rb_ItemType;

typedef struct rb_Item {
  rb_ItemType type;
  char *key;               /* NULL in a list */
  char *text;              /* the text, or the name of an env or a secret */
  char *value;             /* of an env or secret, once its target is open */
  long long integer;       /* and boolean */
  double number;
  struct rb_Item *items;   /* of a table: its list, then its keys, sorted */
  size_t n, nlist;
  const char **names;      /* of a table: the texts of a list, or the keys */
} rb_Item;

/* metatable of env "X" and secret "X" */
#define RB_LATER "config.later"

typedef struct rb_Later {
  int secret;
  char name[];
} rb_Later;

/* [-0, +0, v]  Copies the value at the top; raises "place: what is wrong". The
** caller owns *item also when it is half made. */
void rb_item_read (lua_State *L, rb_Item *item);
void rb_item_free (rb_Item *item);

/* The item of that key in a table; NULL where there is none, or 't' is NULL. */
const rb_Item *rb_item_get (const rb_Item *t, const char *key);

/* The text, or the value of an env or secret whose target is open, or NULL. */
const char *rb_item_text (const rb_Item *item);

/* [-0, +1, m]  Pushes a copy onto another state; nil for NULL. */
void rb_item_push (lua_State *L, const rb_Item *item, rb_PushSecret push);

/* -- source.c: where the keys stand in the file -------------------------------- */

typedef struct rb_Place {
  char *name;              /* "targets.local.kind" */
  int line;
} rb_Place;

typedef struct rb_Places {
  rb_Place *list;          /* sorted by name */
  size_t n, size;
} rb_Places;

/* Reads the keys of every table that is written out. 0: out of memory. */
int rb_places_read (rb_Places *p, const char *source);
void rb_places_free (rb_Places *p);
int rb_places_line (const rb_Places *p, const char *name);  /* 0: not known */
/* A key that one table has twice: the second one, or NULL. */
const rb_Place *rb_places_twice (const rb_Places *p);

/* -- config.c ------------------------------------------------------------------- */

struct rb_Target {
  rb_Config *c;
  const rb_Item *item;     /* NULL: the target of no configuration */
  const char *name;
  struct rb_Target *next;
};

struct rb_Config {
  char *file, *folder;     /* NULL: there is none */
  rb_Item root;
  rb_Places places;
  char **runbooks;
  rb_Target *open;
  char **weak;             /* names of secrets that are too short */
  size_t nweak;
};

/* A problem at that place of the configuration; returns its exit code. */
int rb_config_problem (const rb_Config *c, rb_Problem *p, const char *place,
                       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* `path` as seen from the configuration's folder; malloc'ed */
char *rb_config_path (const rb_Config *c, const char *path);

/* -- check.c -------------------------------------------------------------------- */

/* Is all of it well formed? 0, or the exit code and *p. */
int rb_config_check (const rb_Config *c, rb_Problem *p);
/* The same for one target, now that its environment is known. */
int rb_config_checktarget (const rb_Config *c, const rb_Item *target, rb_Problem *p);

#endif
