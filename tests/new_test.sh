#!/usr/bin/env bash
# new_test.sh - a runbook that was begun with `new` runs, is tested and is well formed
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1

rb new restart_web
is "a runbook: exit" "$rc" 0
is "what was written" "$(sed '/^$/,$d' <<<"$out" | xargs)" \
  "restart_web.lua restart_web_test.lua .luarc.json .luatypes/runbook.lua"
is "says what to type next" "$(grep -c '^  runbook ' <<<"$out")" 3
# that is typed
grep '^  runbook ' <<<"$out" | while read -r _ words; do
  # shellcheck disable=SC2086
  "$runbook" $words >said 2>&1 || { echo "$words"; cat said; }
done >failed
is "and it works" "$(cat failed)" ""
has "its title" "$(cat restart_web.lua)" 'title    = "Restart web"'
ok "the editor's file is JSON" jq -e '."workspace.library"[0] == ".luatypes"' .luarc.json
ok "and names what is there" test -f .luatypes/runbook.lua

echo mine >.luarc.json
rm -r .luatypes
mkdir sub
rb new other.lua
is "with .lua: exit" "$rc" 0
is "the editor's file is left alone" "$(cat .luarc.json) $(test -e .luatypes; echo $?)" "mine 1"
rb new sub/third
is "in a folder" "$rc $(find sub | sort | xargs)" \
  "0 sub sub/.luarc.json sub/.luatypes sub/.luatypes/runbook.lua sub/third.lua sub/third_test.lua"

# -- nothing is written over ----------------------------------------------------------------
echo 'return 1' >restart_web.lua
rb new restart_web
is "one that is there: exit" "$rc $out" "2 "
has "one that is there: says so" "$err" "there is a restart_web_test.lua already: nothing was written"
rm restart_web_test.lua
rb new restart_web
has "the runbook alone" "$err" "there is a restart_web.lua already"
is "is as it was" "$(cat restart_web.lua) $(test -e restart_web_test.lua; echo $?)" "return 1 1"

for name in "a b" "" "sub/" "../x;y" "a_test" "a_parts" "é"; do
  rb new "$name"
  is "no name: '$name'" "$rc $out" "2 "
done
rb new no/such/folder
is "no such folder: exit" "$rc" 2
has "no such folder: says so" "$err" "cannot write no/such/folder.lua: No such file or directory"
rb new; is "without a name" "$rc" 2

# -- for a system, by what it has --------------------------------------------------------------
for kind in http pg redis service dotenv log; do
  case $kind in
    http) value='"http://127.0.0.1:1"';; pg) value='"postgresql://127.0.0.1:1/x"';;
    redis) value='"redis://127.0.0.1:1/0"';; service) value='"pm2:web"';;
    dotenv) value="\"$tmp/env\"";; log) value="\"$tmp/log\"";;
  esac
  (umask 077; cat >runbook.config.lua <<E
return { target = "l", targets = { l = { kind = "sandbox", systems = { ["web-$kind"] = { $kind = $value } } } } }
E
  )
  rb new "look_$kind" --system "web-$kind"
  is "$kind: exit" "$rc$err" 0
  has "$kind: its system" "$(cat "look_$kind.lua")" "local web_$kind = system \"web-$kind\""
  [ "$kind" = log ] || has "$kind: is looked at" "$(cat "look_$kind.lua")" "web_$kind.$kind:"
  rb check "look_$kind.lua"; is "$kind: well formed" "$rc $out" "0 look_$kind.lua: ok"
  rb test "look_$kind.lua"; is "$kind: its test passes" "$rc $(grep -c '^  ok ' <<<"$out")" "0 1"
done
rb new look --system web-lag
is "a system that is none: exit" "$rc" 2
has "a system that is none: the nearest" "$err" "target 'l' has no system 'web-lag' (did you mean 'web-log'?)"
is "and nothing is written" "$(ls look.lua 2>/dev/null)" ""
