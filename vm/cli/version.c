/*
** version.c - `runbook version`
*/

#include <stdio.h>

#include <lua.h>

#include "vm/cli/cli.h"

int rb_cmd_version (int argc, char **argv) {
  rb_Arguments a;
  int status = rb_options_read(&rb_command_version, argc, argv, NULL, &a);
  if (status != 0) return status;
  puts("runbook " RB_VERSION " (" LUA_RELEASE ")");
  rb_options_free(&a);
  return RB_DONE;
}

const rb_Command rb_command_version = {
  .name = "version", .takes = "",
  .summary = "which runbook this is",
  .example = "runbook version",
  .main = rb_cmd_version
};
