/*
** source.c - the lines of a function, as they stand in the runbook's file
** or in one beside it that it requires
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "vm/show/page.h"

#define MAXLINE 4096

/* the lines first..last of a file, each with its newline */
static void readlines (const char *file, int first, int last, rb_Buffer *b) {
  char line[MAXLINE];
  FILE *f = fopen(file, "re");
  if (f == NULL) return;
  for (int n = 1; n <= last && fgets(line, sizeof line, f) != NULL; ) {
    size_t len = strlen(line);
    int ends = len > 0 && line[len - 1] == '\n';
    if (n >= first) rb_buffer_add(b, line, len);
    n += ends;
  }
  fclose(f);
}

/* the indentation that all lines share */
static size_t indent (const char *s) {
  size_t least = SIZE_MAX;
  for (; *s != '\0'; s += strcspn(s, "\n"), s += *s == '\n') {
    size_t n = strspn(s, " ");
    if (s[n] != '\n' && s[n] != '\0' && n < least) least = n;
  }
  return least == SIZE_MAX ? 0 : least;
}

static void dedent (const char *s, rb_Buffer *b) {
  size_t n = indent(s);
  while (*s != '\0') {
    size_t len = strcspn(s, "\n"), spaces = strspn(s, " ");
    size_t skip = spaces < n ? spaces : n;
    rb_buffer_add(b, s + skip, len - skip);
    rb_buffer_puts(b, "\n");
    s += len + (s[len] == '\n');
  }
}

/* The runbook's own file, or a Lua file of its folder: a chunk may call itself anything. */
static int isbeside (const char *path, const char *file) {
  const char *slash = strrchr(path, '/'), *own = strrchr(file, '/');
  size_t n = strlen(path), folder = slash != NULL ? (size_t)(slash - path) : 0;
  if (strcmp(path, file) == 0) return 1;
  return slash != NULL && own != NULL && folder == (size_t)(own - file)
         && strncmp(path, file, folder) == 0 && n > 4 && strcmp(path + n - 4, ".lua") == 0;
}

void rb_page_source (lua_State *L, const rb_Outline *o, int ref,
                     rb_Buffer *b) {
  char path[PATH_MAX];
  lua_Debug ar;
  rb_Buffer lines = {0};
  if (ref == RB_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_getinfo(L, ">S", &ar);
  if (ar.source[0] != '@' || realpath(ar.source + 1, path) == NULL ||
      !isbeside(path, o->file)) return;
  readlines(path, ar.linedefined, ar.lastlinedefined, &lines);
  if (lines.s != NULL) dedent(lines.s, b);
  rb_buffer_free(&lines);
}
