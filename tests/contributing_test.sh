#!/usr/bin/env bash
# contributing_test.sh - follows CONTRIBUTING.md in a copy: saves its files, runs its commands
set -u
. "$(dirname "$0")/lib.sh"
doc=$top/CONTRIBUTING.md
if [ "$BUILD" != "$top/build" ] || [ -n "${SAN:-}" ]; then
  skip "CONTRIBUTING.md" "followed with the ordinary build only"; exit
fi
mkdir "$tmp/clone" && cd "$tmp/clone" || exit 1
(cd "$top" && tar cf - --exclude=./build/tests --exclude=./build/pm2 --exclude=./build/sandbox --exclude=./.git .) | tar xf - || exit 1
git init -q . && git add -A >/dev/null 2>&1
unset BUILD  # or the copy would be tested with what is not its own

# every fenced block with a name is saved under it
awk '/^<!-- file: / { name = $3; next }
     /^```/ && name != "" { if (on) { on = 0; name = "" } else on = 1; next }
     on { print > name }' "$doc"
is "the files of the worked example" "$(ls stdlib/folder.c try.lua try.config.lua tests/folder_test.sh | wc -l)" 4

# the commands, in their order; /tmp/folder-example is ours
sed -i "s|/tmp/folder-example|$tmp/folder-example|g" try.lua try.config.lua
while IFS= read -r command; do
  command=${command//\/tmp\/folder-example/$tmp/folder-example}
  last=$(eval "$command" 2>&1 </dev/null); code=$?
  if [ "$code" = 0 ]; then pass "$ ${command//$tmp/TMP}"; else fail "$ $command" "exit $code" "$last"; fi
  case $command in
    *"help folder.make") has "it is documented" "$last" "folder.make(path) -> true";;
    *--dry-run) dry=$last;;
  esac
done < <(sed -n 's/^    \$ //p' "$doc")
has "at last nothing has to be done" "$dry" "Nothing"
has "the page has it" "$(cat docs/primitives.md)" '### `folder.make(path) -> true`'
for word in $(sed -n 's/^    make \([a-z]*\)  .*/\1/p' "$doc"); do
  ok "make $word is there" grep -q "^$word:" Makefile
done
