/*
** place.h - a file by its folder and name, reached through no symbolic link
**
** A path is resolved first, asked about (is it allowed?), then opened as
** what it was resolved to: a link that appears in between is an error, and
** from then on all work is done relative to the folder's descriptor.
*/

#ifndef rb_place_h
#define rb_place_h

#include <limits.h>
#include <sys/stat.h>

typedef struct rb_Place {
  char path[PATH_MAX];        /* absolute and resolved */
  char name[NAME_MAX + 1];    /* its last part */
  int folder;                 /* O_PATH; -1: closed */
  int fd;                     /* O_PATH of the thing itself; -1: not there */
  struct stat st;             /* of fd */
} rb_Place;

/* Makes p->path of a path as a script gives it (relative: to where we are). With
** 'follow' a link at the end is followed, too. Returns NULL, or words for a
** message ("there is no folder /x", "... is not a place for files"). The
** place is closed. */
const char *rb_place_resolve (rb_Place *p, const char *path, int follow);

/* Opens it: NULL, or words. That the thing itself is missing is no error. */
const char *rb_place_open (rb_Place *p);
void rb_place_close (rb_Place *p);

/* A descriptor for reading a regular file at an open place; -1 with errno. */
int rb_place_read (const rb_Place *p);

#endif
