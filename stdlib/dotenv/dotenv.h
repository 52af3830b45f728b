/*
** dotenv.h - what the parts of the dotenv module share
*/

#ifndef rb_dotenv_h
#define rb_dotenv_h

#include "stdlib/common/place.h"
#include "stdlib/dotenv/lines.h"
#include "vm/module.h"

/* -- source.c ---------------------------------------------------------------- */

/* [-0, +1, v]  The place of the running call's resource; with 'open' it is
** opened, until the call ends. */
rb_Place *rb_env_pushplace (lua_State *L, int open);

/* [-0, +1, v]  The text of the file as it is on the disk. */
const char *rb_env_pushfile (lua_State *L, const rb_Place *p, size_t *n);

/* [-0, +1 or 0, v]  The text that an earlier remedy of this dry run planned; NULL
** and nothing where there is none. */
const char *rb_env_pushplanned (lua_State *L, const rb_Place *p, size_t *n);

/* [-0, +1, m]  What an assignment means. */
const char *rb_env_pushvalue (lua_State *L, const char *s, const Entry *e, size_t *n);

/* [-0, +0, m]  What its name or its form says to be secret is shown nowhere. */
void rb_env_keepsecrets (lua_State *L, const char *s, size_t n);

/* [-0, +0, v]  Arguments of a script. */
const char *rb_env_checkname (lua_State *L, int arg);
const char *rb_env_checkvalue (lua_State *L, int arg, size_t *n);  /* +1 */
const char *rb_env_checkitem (lua_State *L, int arg, size_t *n);

/* Is the item in the comma-separated list? */
int rb_env_listed (const char *list, size_t n, const char *item, size_t len);

/* -- change.c ---------------------------------------------------------------- */

int rb_env_set (lua_State *L);
int rb_env_unset (lua_State *L);
int rb_env_add (lua_State *L);
int rb_env_remove (lua_State *L);
int rb_env_preset (lua_State *L);
int rb_env_preunset (lua_State *L);
int rb_env_preadd (lua_State *L);
int rb_env_preremove (lua_State *L);

/* -- doctor.c ---------------------------------------------------------------- */

int rb_env_doctor (lua_State *L);
int rb_env_identity (lua_State *L);

#endif
