/*
** json.h - JSON texts to values and back
*/

#ifndef rb_json_h
#define rb_json_h

#include <jansson.h>
#include <lua.h>

#define RB_JSONARRAY "json.array"  /* the type of a list that may be empty */

typedef struct rb_JsonWay {
  const char *who;  /* for errors: "json.encode" */
  int secrets;      /* as their text; else they are an error */
} rb_JsonWay;

typedef struct rb_Json {
  json_t *root, *value;  /* value: what was asked for; root owns it */
  size_t flags;          /* to dump it: names sorted, numbers whole */
} rb_Json;

/* [-0, +1, v]  The value at idx as a tree, which the userdata pushed owns. */
rb_Json *rb_json_tree (lua_State *L, int idx, const rb_JsonWay *way);

/* Closes a tree at once, before Lua collects it. */
void rb_json_close (rb_Json *tree);

/* [-0, +1, m]  Pushes what the text says, or what is wrong with it and returns 0. */
int rb_json_read (lua_State *L, const char *s, size_t n);

/* [-0, +0, m]  The table at the top is a list, also when it is empty. */
void rb_json_setarray (lua_State *L);

#endif
