/*
** file.h - what the parts of the file module share
*/

#ifndef rb_file_h
#define rb_file_h

#include "stdlib/common/place.h"
#include "stdlib/common/swap.h"
#include "vm/module.h"

#define RB_FILEMAX ((size_t)16 << 20)  /* what a script may hold of one file */

/* What a file is, as one line: size, mode and hash of its content ("412 bytes,
** 0644, sha256:..."); a bigger one by its inode and time of change. People
** see it as "before", and the deed must find the same. */
typedef struct rb_Image { char s[192]; } rb_Image;
#define RB_ABSENT "absent"

/* how the last part of a path is taken */
typedef enum rb_Link { RB_FOLLOW, RB_ITSELF } rb_Link;

/* [-0, +1, v]  The place that argument 'arg' names, allowed by 'list' ("reads",
** "files") and open until the call ends. */
rb_Place *rb_file_place (lua_State *L, int arg, rb_Link link, const char *list);

/* [-0, +1, v]  The same without opening it: pushes its path. */
const char *rb_file_path (lua_State *L, int arg, rb_Link link, const char *list);

/* The image of what is behind a descriptor: 0, or -1 with errno. */
int rb_file_image (int fd, rb_Image *image);

/* The image of a file with that content. */
void rb_file_imageof (const char *s, size_t n, mode_t mode, rb_Image *image);

/* [-0, +1, v]  The content of an open place, at most RB_FILEMAX bytes. */
const char *rb_file_pushcontent (lua_State *L, const rb_Place *p, size_t *n);

/* [-0, +1, v]  The sorted names in the folder at an open place. */
void rb_file_pushnames (lua_State *L, const rb_Place *p);

/* [-0, +1, m]  "file:/path" or "folder:/path". */
const char *rb_file_key (lua_State *L, const char *what, const char *path);

void rb_file_hash (const char *s, size_t n, char hex[65]);

/* "file", "folder", "link", ... */
const char *rb_file_type (mode_t mode);

/* -- look.c: probes, and their answers from what was planned -------------- */

int rb_file_read (lua_State *L);
int rb_file_lines (lua_State *L);
int rb_file_stat (lua_State *L);
int rb_file_list (lua_State *L);
int rb_file_sum (lua_State *L);
int rb_file_planread (lua_State *L);
int rb_file_planlines (lua_State *L);
int rb_file_planstat (lua_State *L);
int rb_file_planlist (lua_State *L);
int rb_file_plansum (lua_State *L);

/* -- preview.c ---------------------------------------------------------------- */

int rb_file_prewrite (lua_State *L);
int rb_file_precopy (lua_State *L);
int rb_file_premove (lua_State *L);
int rb_file_preremove (lua_State *L);
int rb_file_prechmod (lua_State *L);

/* [-0, +0, v]  A mode such as "0640" at 'idx', or in the field `mode` of the
** options there; 'none' where it is not given. */
mode_t rb_file_mode (lua_State *L, int idx, int option, mode_t none);

/* -- deed.c --------------------------------------------------------------------- */

int rb_file_write (lua_State *L);
int rb_file_copy (lua_State *L);
int rb_file_move (lua_State *L);
int rb_file_remove (lua_State *L);
int rb_file_chmod (lua_State *L);

#endif
