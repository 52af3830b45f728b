#!/usr/bin/env bash
# No secret is in plain text on the tape or on any page; resume and undo have them all the same
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir -p "$work"; cd "$tmp" || exit 1
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$work" } },
  systems = { app = { dotenv = "$work/.env", settings = { word = secret "WORD" } } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua WORD=configured-9c1d7
printf 'API_TOKEN=before-image-5e20\n' > "$work/.env"; cp "$work/.env" "$tmp/before"
cat > "$tmp/t.lua" <<LUA
local app = system "app"
return runbook { title = "S", params = { word = { "secret" } },
  step "A" { remedy = function (run)
    app.dotenv:set("API_TOKEN", run.word)
    file.write("$work/config", app.settings.word)
    file.write("$work/token", token.hex(16))
    if not file.stat("$work/go") then run:fail("not yet") end
    file.write("$work/again", run.word) end } }
LUA
pages=$tmp/pages; mkdir "$pages"
say() { rb "$@"; printf '%s\n%s\n' "$out" "$err" > "$pages/$1.$RANDOM"; }
say run t.lua word=parameter-77af3 --json; is "a run with secrets stops" "$rc" 1
touch "$work/go"; say resume --json; is "and is resumed" "$rc" 0
is "with the real parameter" "$(cat "$work/again")" parameter-77af3
hex=$(cat "$work/token")
say report; say report --json; say history --json; say replay --json; is "it replays" "$rc" 0
cp -r "$XDG_STATE_HOME" "$tmp/copy"
say undo --json; is "and is taken back" "$rc" 0
is "to the real value" "$(cat "$work/.env")" "$(cat "$tmp/before")"
ok "what is no secret is found there" grep -raqF -- API_TOKEN "$XDG_STATE_HOME" "$pages"
for word in parameter-77af3 "$WORD" before-image-5e20 "$hex"; do
  ok "a secret of ${#word} letters" test ${#word} -ge 12
  refuses "... is on no tape and no page" \
    grep -raqF --exclude-dir=keys -- "$word" "$XDG_STATE_HOME" "$tmp/copy" "$pages"
done
