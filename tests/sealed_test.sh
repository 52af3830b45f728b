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
# what a look found to be a secret is one in the next session, too, which does not look
cat > "$tmp/found.lua" <<LUA
local app = system "app"
return runbook { title = "F",
  step "Look" { probe = function (run) run.found = app.dotenv:get("API_TOKEN") end },
  step "Stop" { probe = function (run) if not file.stat("$work/on") then run:fail("not yet") end end },
  step "Say" { probe = function (run) run:note("it is %s", run.found) run:finding("found", run.found) end } }
LUA
printf 'API_TOKEN=found-by-a-look-81c\n' > "$work/.env"
say run found.lua; is "a look at a secret, then a stop" "$rc" 1
printf 'API_TOKEN=another-value-now\n' > "$work/.env"; touch "$work/on"
say resume; is "goes on without looking" "$rc" 0
has "and says what it found, without its text" "$err" "it is [redacted API_TOKEN]"
say report; say replay; is "... and replays" "$rc" 0
# -- pruning: the real thing, on a copy -------------------------------------------------
pruned() { XDG_STATE_HOME=$tmp/old rb "$@"; }
cp -r "$XDG_STATE_HOME" "$tmp/old"
pruned tape prune --older-than 1h; has "nothing is that old" "$rc $out" "0 0 runs were pruned"
sleep 2
pruned tape prune --older-than 1s --dry-run --json; n=$(jq '.pruned | length' <<<"$out")
is "a dry run says which" "$rc/$((n > 2))/$(jq -r '.dry_run' <<<"$out")" 0/1/true
ok "and removes nothing" grep -raqF -- "dotenv.set" "$tmp/old/runbook/tape.db" "$tmp/old/runbook/tape.db-wal"
pruned tape prune --older-than 1s --json; is "the same runs go" "$rc/$(jq '.pruned | length' <<<"$out")" "0/$n"
is "with their keys" "$(find "$tmp/old/runbook/keys" -type f | wc -l)" 0
for word in dotenv.set API_TOKEN parameter-77af3 found-by-a-look; do
  refuses "... $word is nowhere" grep -raqF -- "$word" "$tmp/old"
done
# the key of a run that was killed before anything of it was written; not of one that begins
keys=$tmp/old/runbook/keys
for key in 01ARZ3NDEKTSV4RRFFQ69G5FAV 01ARZ3NDEKTSV4RRFFQ69G5FAW; do head -c 32 /dev/urandom >"$keys/$key"; done
mkfifo held.in
flock "$keys/01ARZ3NDEKTSV4RRFFQ69G5FAW" sh -c 'echo held; read -r _' <held.in >held & holder=$!
exec 7>held.in; until [ -s held ]; do kill -0 $holder || break; done
pruned tape prune --older-than 1h -n; has "keys without a run: a dry run counts them" "$out" "; 1 key of runs that left nothing else"
pruned tape prune --older-than 1h --json; is "they go, but not while somebody holds one" "$(jq .keys <<<"$out")/$(ls "$keys")" "1/01ARZ3NDEKTSV4RRFFQ69G5FAW"
exec 7>&-; wait $holder
pruned tape prune --older-than 1h --json; is "then it does" "$(jq .keys <<<"$out")/$(ls "$keys")" "1/"
pruned verify; has "verify counts them" "$rc $out" "runs were pruned"
pruned history --json; is "history lists them" "$(jq '[.[] | select(.pruned)] | length' <<<"$out")" "$n"
pruned report; has "report says so" "$rc $out" "what it did was pruned by"
for verb in resume replay undo; do
  pruned $verb "$(jq -r '[.[] | select(.runbook == "t" and .mode == "run")][0].run' <<<"$("$runbook" history --json)")"
  has "$verb: refused" "$rc $err" "was pruned: what it did is not on the tape"
done
pruned tape prune; has "prune without a time" "$rc $err" "2 runbook: tape prune takes --older-than"

# an export holds none of them, in whatever form, and replays without the tape and its keys
first=$(jq -r '.[] | select(.runbook == "t" and .mode == "run") | .run' <<<"$("$runbook" history --json)")
say tape export "$first" -o "$tmp/one.tape"; is "a run with secrets is exported" "$rc" 0
say tape export -o "$tmp/two.tape"; is "so is the last one" "$rc" 0
"$runbook" tape export "$first" -o - 2>/dev/null | zcat > "$pages/one.json"; zcat "$tmp/two.tape" > "$pages/two.json"
is "-o - writes to standard output" "$(wc -l < "$pages/one.json")" "$(zcat "$tmp/one.tape" | wc -l)"
ok "what is no secret is in it" grep -q API_TOKEN "$pages/one.json"
refuses "nor is what was there before" grep -q '"before"' "$pages/one.json"
elsewhere() { XDG_STATE_HOME=$tmp/elsewhere WORD=another-configuration rb "$@"; }
elsewhere replay "$tmp/one.tape" --json; is "it replays elsewhere" "$rc/$(jq -c .error <<<"$out")" 0/null
elsewhere replay "$tmp/two.tape"; is "so does the other" "$rc" 0
ok "and no tape is made there" test ! -e "$tmp/elsewhere"
sed "s|$work/token|$work/tokens|" t.lua > edited.lua
elsewhere replay "$tmp/one.tape" --with edited.lua
has "an edited script is shown where it differs" "$rc $out" "here it asks for file.write"
sed '3s/"done"/"gone"/; 4s/API_TOKEN/API_TOKEX/' "$pages/one.json" > "$tmp/bad.tape"
elsewhere replay "$tmp/bad.tape"
has "an edited export is refused, naming the line" "$rc $err" "2 runbook: $tmp/bad.tape:4: this line does not fit"
head -n 5 "$pages/one.json" > "$tmp/bad.tape"; elsewhere replay "$tmp/bad.tape"
has "one that was cut short, too" "$rc $err" "2 runbook: $tmp/bad.tape:6: its end is missing"
sed 3d "$pages/one.json" > "$tmp/bad.tape"; elsewhere replay "$tmp/bad.tape"
has "and one with a line less" "$rc $err" "bad.tape:3: this line does not fit"
head -c 600 "$tmp/one.tape" > "$tmp/bad.tape"; elsewhere replay "$tmp/bad.tape"
has "half a file" "$rc $err" "the file is damaged or cut short"
elsewhere replay "$tmp/t.lua"; has "another file" "$rc $err" "this is no exported run"
rb tape export "$first"; has "without -o" "$rc $err" "2 runbook: tape export takes -o FILE"
rb tape export "$first" -o "$tmp/nowhere/x"; has "into no folder" "$rc $err" "2 runbook: cannot write $tmp/nowhere/x"
rb tape verify -o x; has "an option of another verb" "$rc $err" "--output belongs to tape export"

# -- an anchor; what `status` and a run that is asked say while it is under way --------------
cat > "$tmp/live.lua" <<LUA
local app = system "app"
return runbook { title = "Live", params = { word = { "secret" } },
  step "Change" { remedy = function (run) app.dotenv:set("API_TOKEN", run.word) file.write("$work/live", app.settings.word) end },
  step "Wait" { probe = function (run)
    run.found = app.dotenv:get("API_TOKEN")
    run:wait_until("it is " .. run.found .. " or $WORD or parameter-77af3", { every = "50s", within = "55s" },
      function () return false end) end } }
LUA
"$runbook" run live.lua word=parameter-77af3 >"$pages/live.out" 2>"$pages/live.err" </dev/null & live=$!
until rb status --json; [ "$(jq -r '.live[0].tasks[0].verb' <<<"$out")" = run:wait_until ]; do kill -0 $live || break; done
say status; has "status shows a run that has secrets" "$out" "run:wait_until: it is [redacted "
say status --json; kill -USR1 $live
until grep -q wait_until "$pages/live.err"; do kill -0 $live || break; done
while kill -INT $live 2>/dev/null; do sleep 0.1; done; wait $live
say status; has "and that it is not finished" "$out" "is not finished: interrupted"
say verify --anchor "$pages/anchor"; is "an anchor" "$rc" 0; ok "has something in it" test -s "$pages/anchor"
say abandon "$(jq -r '.[0].run' <<<"$("$runbook" history --json)")" --yes

# a secret that is no text comes back whole, byte for byte
rm -f "$work/on"
cat > "$tmp/bytes.lua" <<LUA
return runbook { title = "B", params = { word = { "secret", required = true } },
  step "Stop" { probe = function (run) if not file.stat("$work/on") then run:fail("not yet") end end },
  step "Write" { remedy = function (run) file.write("$work/bytes", run.word) end } }
LUA
bytes=$'bytes-\xe9\xff-of-a-secret'
say run bytes.lua word="$bytes"; touch "$work/on"; say resume
is "a secret that is not UTF-8" "$rc/$(cat "$work/bytes")" "0/$bytes"

for word in found-by-a-look-81c "$bytes" "$(printf %s "$bytes" | od -An -tx1 | tr -d ' \n')" parameter-77af3 "$WORD" before-image-5e20 "$hex"; do
  ok "a secret of ${#word} letters" test ${#word} -ge 12
  refuses "... is on no tape and no page" \
    grep -raqF --exclude-dir=keys -- "$word" "$XDG_STATE_HOME" "$tmp/copy" "$pages"
done
