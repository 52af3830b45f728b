/*
** stream.h - a regular file of any size, open for reading as long as a call lasts
*/

#ifndef rb_stream_h
#define rb_stream_h

#include "stdlib/common/place.h"
#include "vm/module.h"

typedef struct rb_Stream {
  rb_Place place;       /* what is open: its path, its stat */
  int fd;               /* for reading; -1: closed */
} rb_Stream;

/* [-0, +1, v]  Opens the file that 'given' names, links followed, and pushes its
** owner, which closes it with the call. 'list' is the allow-list that it must be in
** ("reads"); NULL: the configuration names it itself. 'who' begins the message of a
** failure ("school_erp.log: "). Kinds: "missing", "refused", "io". */
rb_Stream *rb_stream_open (lua_State *L, const char *who, const char *given,
                           const char *list);

/* [-0, +1, v]  Its place only: resolved and allowed, not opened. */
rb_Stream *rb_stream_find (lua_State *L, const char *who, const char *given,
                           const char *list);

#endif
