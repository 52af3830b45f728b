/*
** embed.c - build tool: prints a Lua file as a C array, compiled and without its line
** numbers (or, with a third argument, as it is)
*/

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

static int writer (lua_State *L, const void *p, size_t n, void *ud) {
  size_t *at = ud;
  (void)L;
  for (size_t i = 0; i < n; i++)
    if (printf("%u,%s", ((const unsigned char *)p)[i], ++*at % 20 ? "" : "\n") < 0)
      return 1;
  return 0;
}

static int astext (const char *file, const char *name) {
  size_t at = 0;
  FILE *f = fopen(file, "r");
  if (f == NULL) return EXIT_FAILURE;
  printf("static const char rb_%s[] = {\n", name);
  for (int c; (c = fgetc(f)) != EOF; )
    if (printf("%d,%s", c, ++at % 20 ? "" : "\n") < 0) return EXIT_FAILURE;
  printf("0\n};\n");
  fclose(f);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main (int argc, char **argv) {
  size_t at = 0;
  if (argc == 4) return astext(argv[1], argv[2]);
  lua_State *L = luaL_newstate();
  if (argc != 3 || L == NULL) return EXIT_FAILURE;
  if (luaL_loadfile(L, argv[1]) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return EXIT_FAILURE;
  }
  printf("static const unsigned char rb_%s[] = {\n", argv[2]);
  if (lua_dump(L, writer, &at, 1) != 0) return EXIT_FAILURE;
  printf("};\n");
  lua_close(L);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
