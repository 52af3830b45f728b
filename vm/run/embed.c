/*
** embed.c - build tool: compiles a Lua file, without its line numbers, and
** prints it as a C array
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

int main (int argc, char **argv) {
  size_t at = 0;
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
