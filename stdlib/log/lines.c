/*
** lines.c - a file by lines, a piece at a time
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdlib/log/log.h"

enum { PIECE = 1 << 18 };

int rb_log_open (Lines *l, int fd, long long at, long long size) {
  *l = (Lines){.fd = fd, .at = at, .size = size, .room = PIECE};
  l->buf = malloc(l->room);
  return l->buf != NULL;
}

void rb_log_close (Lines *l) {
  free(l->buf);
  l->buf = NULL;
}

/* what is appended meanwhile is not seen, or a busy log would have no end */
static ssize_t readpiece (Lines *l, char *to, size_t n) {
  ssize_t got = 0;
  if ((long long)n > l->size - l->at) n = (size_t)(l->size - l->at);
  do got = n > 0 ? pread(l->fd, to, n, (off_t)l->at) : 0;
  while (got < 0 && errno == EINTR);
  if (got > 0) l->at += got;
  return got;
}

/* 1: there is more; 0: there is not, or no room; -1: errno */
static int fill (Lines *l) {
  size_t kept = l->end - l->from;
  memmove(l->buf, l->buf + l->from, kept);
  l->from = 0;
  l->end = kept;
  if (kept == l->room && l->room < RB_LOG_LINEMAX) {
    char *more = realloc(l->buf, l->room * 2);
    if (more == NULL) return -1;
    l->buf = more;
    l->room *= 2;
  }
  if (kept == l->room) return 0;
  ssize_t n = readpiece(l, l->buf + kept, l->room - kept);
  if (n > 0) l->end += (size_t)n;
  return n < 0 ? -1 : n > 0;
}

static int give (Lines *l, Text *line, size_t n, size_t taken) {
  *line = (Text){l->buf + l->from, n};
  if (n > 0 && line->s[n - 1] == '\r') line->n--;
  l->from += taken;
  if (l->skipping) {
    l->skipping = taken == n;
    return 0;
  }
  l->line++;
  if (taken == n && n >= RB_LOG_LINEMAX) {
    l->skipping = 1;
    l->cut++;
  }
  return 1;
}

int rb_log_next (Lines *l, Text *line) {
  for (size_t seen = 0;;) {
    size_t n = l->end - l->from;
    char *nl = n > seen ? memchr(l->buf + l->from + seen, '\n', n - seen) : NULL;
    size_t len = nl != NULL ? (size_t)(nl - l->buf) - l->from : n;
    if (nl != NULL) {
      seen = 0;
      if (give(l, line, len, len + 1)) return 1;
      continue;
    }
    seen = n;
    int more = fill(l);
    if (more < 0) return -1;
    if (more > 0) continue;
    if (n == 0) return 0;
    seen = 0;
    if (give(l, line, n, n)) return 1;  /* the last one, or one that is too long */
  }
}

long long rb_log_lastlines (int fd, long long size, long long n) {
  char chunk[1 << 14];
  long long at = size;
  while (at > 0) {
    size_t want = at < (long long)sizeof chunk ? (size_t)at : sizeof chunk;
    ssize_t got = pread(fd, chunk, want, (off_t)(at - (long long)want));
    if (got < 0 && errno == EINTR) continue;
    if (got != (ssize_t)want) return got < 0 ? -1 : 0;
    for (size_t i = want; i > 0; i--) {
      long long here = at - (long long)want + (long long)i - 1;
      if (chunk[i - 1] == '\n' && here != size - 1 && n-- <= 1) return here + 1;
    }
    at -= (long long)want;
  }
  return 0;
}
