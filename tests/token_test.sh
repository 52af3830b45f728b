#!/usr/bin/env bash
# token_test.sh - token and random: values that belong to a place of a run
set -u
. "$(dirname "$0")/lib.sh"
sandbox_up
cd "$tmp" || exit 1

# steps DECLARATIONS STEPS: writes book.lua
book() { printf 'local erp = system "school_erp"\nreturn runbook { title = "t", %s }\n' "$1" >book.lua; }
probe() { book 'step "Draw" { probe = function (run) '"$1"' end }'; rb run book.lua --json; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r .error.message <<<"$out"; }
everywhere() { grep -ra -- "$1" "$tmp/state" 2>/dev/null | wc -l; }

# -- a secret goes wherever a deed takes one, and is read nowhere else ------------------------
deeds='step "Rotate" { remedy = function (run)
    local key = token.secret(32)
    erp.redis:set("token:it", key)
    erp.dotenv:set("TOKEN_KEY", key)
    erp.pg:exec([[UPDATE public.schools SET name = :key WHERE slug = :slug]], { key = key, slug = "riverside" })
    erp.redis:set("token:hex", "tok-" .. token.hex(16) .. "-en")
    run:note("made %s", tostring(key))
  end }'
book "$deeds"
rb run book.lua -n --json
is "a dry run plans it (exit)" "$rc" 0
is "its before and after show the label" "$(jq -r '[.steps[0].effects[] | select(.verb == "redis.set") | .after.value] | join(" ")' <<<"$out")" \
   "[redacted token rotate/remedy/1] tok-[redacted token rotate/remedy/5]-en"
digest=$(jq -r .digest <<<"$out")
rb run book.lua -n --json
is "the digest of a plan is the same in every dry run" "$(jq -r .digest <<<"$out")" "$digest"
book "${deeds/token:it/token:other}"; rb run book.lua -n --json
ok "and another one for another plan" test "$(jq -r .digest <<<"$out")" != "$digest"
book "${deeds/token.secret(32)/\"a text\"}"; rb run book.lua -n --json
ok "or for a text in the token's place" test "$(jq -r .digest <<<"$out")" != "$digest"

book "$deeds"
rb run book.lua --json
is "a real run does it (exit)" "$rc" 0
key=$(redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning get token:it)
hex=$(redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning get token:hex)
is "32 bytes are 43 characters" "$(grep -cE '^[A-Za-z0-9_-]{43}$' <<<"$key")" 1
is "hex is a text like others" "$(grep -cE '^tok-[0-9a-f]{32}-en$' <<<"$hex")" 1
is "dotenv has the same secret" "$(grep -c "TOKEN_KEY=.*$key" "$SANDBOX_DOTENV")" 1
is "and so has the database" "$(psql -At "$SANDBOX_PG_URL" -c "SELECT count(*) FROM public.schools WHERE name = '$key'")" 1
hasnot "the document does not have it" "$out$err" "$key"
hasnot "nor the hex" "$out$err" "${hex:4:32}"
has "a note shows the label" "$out$err" "made [redacted token rotate/remedy/1]"
is "the tape's folder has neither" "$(everywhere "$key")$(everywhere "${hex:4:32}")" 00

# -- other places, other values ----------------------------------------------------------------
probe 'local a, b = token.hex(16), token.hex(16) run:finding("same", a == b) run:finding("n", #a)'
is "two places give two values" "$rc/$(finding same)/$(finding n)" "0/false/32"
probe 'local all, n = {}, 0
  for _, s in ipairs(run:each({ 1, 2, 3 }, function () return token.hex(8) end)) do
    if not all[s] then all[s] = true n = n + 1 end
  end
  run:finding("n", n) run:note("%s", token.hex(8))'
is "so do branches" "$rc/$(finding n)" 0/3
probe 'run:note("%s", run:each({ 1 }, function () return token.hex(8) end)[1])'
has "whose places have a readable name" "$err$out" "[redacted token draw/probe/1(1)/1]"
probe 'token.secret(4)'; has "a token that can be guessed is refused" "$rc/$(message)" "8 to 1024"
probe 'token.hex(2000)'; has "and one that is no token" "$(message)" "8 to 1024"
probe 'run:note("%s", "x" .. token.secret(16))'; has "a secret cannot be put into a text" "$(message)" "concatenate"
printf 'local k = token.hex(16)\nreturn runbook { title = k, step "a" { probe = function () end } }\n' >book.lua
rb run book.lua; is "not while the file is being loaded: exit" "$rc" 2
has "and in words" "$err" "random values belong to a run: ask for them in a step"

# -- chance --------------------------------------------------------------------------------------
probe 'local seen, low, high = {}, 9, 0
  for i = 1, 400 do local n = random.integer(1, 6) seen[n] = (seen[n] or 0) + 1 low, high = math.min(low, n), math.max(high, n) end
  local kinds, few = 0, 400 for _, n in pairs(seen) do kinds = kinds + 1 few = math.min(few, n) end
  run:finding("range", low .. ".." .. high .. " of " .. kinds) run:finding("few", few)
  run:finding("one", random.integer(7, 7)) run:finding("wide", math.type(random.integer(math.mininteger, math.maxinteger)))
  run:finding("choice", random.choice { "only" })'
is "all of a..b come" "$rc/$(finding range)" "0/1..6 of 6"
ok "none of them seldom ($(finding few) of 400)" test "$(finding few)" -ge 25
is "also from a range of one, or of all" "$(finding one)/$(finding wide)/$(finding choice)" "7/integer/only"
probe 'random.integer(2, 1)'; has "a range that is none" "$(message)" "b is smaller than a"
probe 'random.choice {}'; has "a choice of nothing" "$(message)" "a list with something in it"
probe 'run:finding("x", math.random(6))'; has "math.random says what there is instead" "$(message)" "use random.integer(a, b)"

# -- a resumed run, a replay, a plan that is applied ---------------------------------------------
redis() { redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning "$@"; }
book 'step "Draw" { remedy = function (run)
    run.key, run.n = token.secret(16), random.integer(1, 1000000000)
    erp.redis:set("draw:key", run.key) erp.redis:set("draw:n", tostring(run.n)) end },
  step "Stumble" { probe = function () file.read(erp.settings.stone or "/nothing/there") end, on_failure = "stop" },
  step "Keep" { remedy = function (run) erp.redis:set("keep:key", run.key) erp.redis:set("keep:n", tostring(run.n)) end }'
rb run book.lua --json
is "a run that stumbles" "$rc/$(redis exists keep:key)" "1/0"
sed 's|probe = function () file.read.*, on_failure|probe = function () end, on_failure|' book.lua >mended.lua
rb resume --with mended.lua --yes --json
is "and is resumed" "$rc/$(redis exists keep:key)" "0/1"
is "keeps its token" "$(redis get keep:key)" "$(redis get draw:key)"
is "and its chance" "$(redis get keep:n)" "$(redis get draw:n)"
book 'step "Draw" { remedy = function (run) local key = token.secret(16)
  erp.redis:set("plan:key", key) erp.redis:set("plan:hex", "k-" .. token.hex(16)) end }'
rb plan book.lua -o p.json
rb apply p.json --yes --json
is "a plan with tokens is what is applied" "$rc/$(redis get plan:key | grep -cE '^[A-Za-z0-9_-]{22}$')" "0/1"
rb replay --json
is "and a replay finds the same" "$rc" 0
