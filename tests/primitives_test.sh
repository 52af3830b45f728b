#!/usr/bin/env bash
# primitives_test.sh - docs/primitives.md and `help NAME`, from the registration rows
. "$(dirname "$0")/lib.sh"
cd "$top" || exit 2

"$runbook" help --primitives >"$tmp/page" 2>&1
ok "docs/primitives.md is what the rows say (make docs)" diff -u docs/primitives.md "$tmp/page"
is "every module has its part" "$(sed -n 's/^## //p' "$tmp/page" | xargs)" \
   "run $(cd "$BUILD/lib" && ls ./*.so | grep -v -- - | sed 's|./||; s|\.so||' | xargs)"
is "and says what it is about" "$(grep -A2 '^## ' "$tmp/page" | grep -cE '^[A-Z].*\.')" "$(grep -c '^## ' "$tmp/page")"
is "every primitive says what it does" "$(grep -E '^\*(pure|probe|remedy|notice|inside)' "$tmp/page" | grep -cvE '\*\. [^ ].*[.?!]$')" 0
is "and what it returns, but for what never does" "$(grep '^### ' "$tmp/page" | grep -v '^### `run:' | grep -v -- '->' | sed 's/[^a-z:]//g' | xargs)" "redis:keys"
is "no signature is there twice" "$(grep '^### ' "$tmp/page" | sort | uniq -d)" ""

rb help file.read
is "help of a primitive: exit" "$rc" 0
has "how it is called" "$out" "file.read(path) -> string"
has "what it may do" "$out" "  probe"
has "what it is for" "$out" "The content, at most 16 MB"
is "lines fit" "$(awk 'length > 80' <<<"$out")" ""
rb help redis:set; has "as a script calls it" "$rc/$out" "0/redis:set(key, value"
rb help http.response.json; has "of what a primitive returns" "$rc/$out" "0/response:json() -> value"
rb help net; has "help of a module" "$rc/$out" "0/net: is it there?"
has "lists what it has" "$out" "probe   net.certificate(host, port"
rb help fiel.read; is "one that is misspelt" "$rc/$err" "2/runbook: there is no primitive 'fiel.read' (did you mean 'file.read'?)"
rb help redis.gte; has "the nearest" "$err" "did you mean 'redis.get'?"
rb help xyz.qqqqqqqq; is "one that is like none" "$rc" 2
rb help rnu; has "a command that is misspelt is still one" "$err" "did you mean 'run'?"
