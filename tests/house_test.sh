#!/usr/bin/env bash
# Who may include whom, and what a module may be.
. "$(dirname "$0")/lib.sh"
cd "$top" || exit 2
none() { if [ -z "$2" ]; then pass "$1"; else fail "$1" "$2"; fi; }

none "a module of stdlib sees vm/module.h and its own files only" "$(
  grep -Hn '#include "' -r stdlib | while IFS=: read -r file line inc; do
    own=$(echo "$file" | sed -E 's#^stdlib/([a-z_]+)(\.c|/.*)$#\1#')
    case "$inc" in
      *'"vm/module.h"'* | *'"stdlib/common/'* | *"\"stdlib/$own/"* | *"\"stdlib/$own.h\""*) ;;
      *) echo "$file:$line: $inc";;
    esac
  done)"
none "vm knows no client library" "$(grep -HnE '#include <(hiredis|libpq|curl|pg_query)' -r vm)"
none "the VM's floors: tape and config do not look upstairs" "$(
  grep -HnE '#include "vm/(run|show|cli)/' -r vm/tape vm/config)"
none "show knows the report, not the engine" "$(
  grep -HnE '#include "vm/(cli|tape|config|vm\.h|run/run\.h)' vm/show/{show,terminal,json,ask}*.c 2>/dev/null)"
none "no function of ours is over 100 columns wide" "$(
  grep -nE '^.{101,}' -r vm stdlib --include='*.[ch]' | cut -c1-80)"
for so in "$BUILD"/lib/*.so; do
  name=$(basename "$so" .so)
  case $name in *-*) symbol=rb_part;; *) symbol=rb_module;; esac
  is "$name exports one symbol" "$(nm -D --defined-only "$so" | awk '$2 ~ /[A-Z]/ && $3 !~ /^__odr_asan/ { print $3 }' | sort | xargs)" $symbol
done
none "the program names no client library" "$(
  ldd "$runbook" | grep -E 'libcurl|libpq|hiredis|pg_query')"
cat > "$tmp/x.lua" <<'LUA'
return runbook { title = "t", step "a" { probe = function () return json.encode {} end } }
LUA
cp -r "$BUILD/lib" "$tmp/lib"; cp "$runbook" "$tmp/runbook"; chmod 777 "$tmp/lib/json.so"
out=$(cd "$tmp" && ./runbook run x.lua 2>&1); rc=$?
ok "a module that others may write is not loaded ($rc)" test "$rc" != 0
has "and it says why" "$out" "writable by nobody else"
