#!/usr/bin/env bash
# Every session, command and piece of Lua that README and docs/ show is run; what they
# say comes of it has to come of it. How: tests/docs.py.
. "$(dirname "$0")/lib.sh"
sandbox_up
unset RUNBOOK_CONFIG XDG_STATE_HOME XDG_CONFIG_HOME
mkdir "$tmp/clone" "$tmp/home"
for f in runbooks examples docs build Makefile README.md tests; do ln -s "$top/$f" "$tmp/clone/$f"; done
cp "$tmp/runbook.config.lua" "$tmp/clone/runbook.config.lua"; chmod 600 "$tmp/clone/runbook.config.lua"
export HOME=$tmp/home PATH=$BUILD:$PATH SANDBOX_DIR=$tmp/sb
export SANDBOX=$top/examples/sandbox/sandbox

for doc in "$top"/README.md "$top"/docs/*.md; do
  sandbox_reset
  rm -rf "$HOME/.local"
  "$python" "$top/tests/docs.py" "$top" "$tmp/clone" "$runbook" "$doc" > "$tmp/results" 2>&1 ||
    fail "docs.py $doc" "$(tail -5 "$tmp/results")"
  cat "$tmp/results"
  passed=$((passed + $(grep -c '^ok ' "$tmp/results")))
  failed=$((failed + $(grep -c '^not ok ' "$tmp/results")))
done

# the comparison itself can fail
mkdir "$tmp/self"
cat > "$tmp/self/wrong.md" <<'MD'
    $ echo one
    two

    $ false

and

    runbook run --frobnicate

    runbook frobnicate FILE

```lua
return runbook { titel = "x" }
```

```lua
step "x" { probe = function (run) }
```

```lua
return { targets = { a = { kindd = "x" } } }
```
MD
is "wrong examples are found" "$("$python" "$top/tests/docs.py" "$top" "$tmp/clone" "$runbook" \
  "$tmp/self/wrong.md" | grep -c '^not ok')" 7
