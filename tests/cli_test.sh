#!/usr/bin/env bash
# The command line: options, slips of the finger, help, version, history, doctor, and
# the exit code of each.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2

fails() {  # WHAT WORDS ARGS...: exit 2, says so on standard error, nothing else
  local what=$1 words=$2; shift 2
  rb "$@"
  is "$what: exit 2" "$rc" 2
  has "$what: says so" "$err" "$words"
  is "$what: nothing on standard output" "$out" ""
  is "$what: one line" "$(wc -l <<<"$err")" 1
}
failsjson() {  # WHAT WORDS ARGS...: the same as one JSON document
  local what=$1 words=$2; shift 2
  rb "$@"
  is "$what, as JSON: exit 2" "$rc" 2
  is "$what, as JSON: one document" "$(jq -s 'length' <<<"$out" 2>&1)" 1
  is "$what, as JSON: a usage error before there is a run" \
    "$(jq -c '[.run, .exit, .error.kind]' <<<"$out" 2>&1)" '[null,2,"usage"]'
  has "$what, as JSON: says so" "$(jq -r .error.message <<<"$out" 2>&1)" "$words"
}

# -- commands ------------------------------------------------------------------------
fails "no command" "which command?"
fails "a misspelt command" "did you mean 'history'" histroy
fails "no command of ours" "runbook help lists them" frobnicate
failsjson "a misspelt command" "did you mean 'run'" rnu x.lua --json
fails "an option before the command" "the command comes first" --config x list
fails "a misspelt command in help" "did you mean 'doctor'" help docter

# -- options -------------------------------------------------------------------------
fails "a misspelt option" "did you mean --dry-run" run x --dry-rum
fails "half an option" "has no option --dry" run x --dry
failsjson "a misspelt option" "did you mean --target" run x --targte=t --json
failsjson "a misspelt option before --json" "did you mean --case" run x --casse a --json
fails "an unknown letter" "has no option -q" run x -nq
fails "an option without its value" "--target takes a value" run x --target
fails "an option as a value" "--target takes a value" run x --target --dry-run
fails "a letter without its value" "--target takes a value" run x -t
fails "a value for a switch" "--dry-run takes no value" run x --dry-run=yes
fails "one of two values" "--target is given twice: a and b" run x --target a -tb
fails "a word too few" "run takes FILE" run
fails "a word too many" "does not take 'x'" version x
fails "an option of another command" "version has no option --target" version --target t
fails "a number that is none" "--last takes a number" history --last none
fails "a number too small" "--last takes a number" history --last 0
fails "an approval without its person" "--approved-by takes ROLE=WHO:NOTE" run x --approved-by cto

cat > "$tmp/runbook.config.lua" <<'LUA'
return { runbooks = { "." }, target = "a", targets = { a = { kind = "sandbox" }, b = { kind = "sandbox" } } }
LUA
cat > "$tmp/p.lua" <<'LUA'
#!/usr/bin/env runbook
return runbook {
  title = "Parameters",
  params = { one = { "string", default = "-" }, two = { "string", default = "-" } },
  step "Say them" { probe = function (run) run:finding("all", run.one .. " " .. run.two .. " " .. run.target) end },
}
LUA
chmod 755 p.lua; chmod 600 runbook.config.lua
says() {  # WHAT FINDING ARGS...
  local what=$1 want=$2; shift 2
  rb "$@" --json
  is "$what: exit 0" "$rc" 0
  is "$what" "$(jq -r '.findings[0].value' <<<"$out" 2>&1)" "$want"
}
fails "a runbook where a command is expected" "runbook run p --dry-run" p
fails "a word that is no parameter" "p takes one (string), two (string)" run p first
mkdir -p folder
fails "a folder" "is a folder" run ./folder
rb run p --only 1; is "a step by its number" "$rc" 0
fails "a number that no step has" "no step '2'" run p --only 2
says "words" "1 2 a" run p one=1 two=2
says "words after options" "1 2 b" run --target b p one=1 two=2
says "options between words" "1 2 b" run p one=1 -t b two=2
says "--name=value" "- - b" run p --target=b
says "-nvalue" "- - b" run p -tb
says "--set" "1 2 a" run p one=1 --set two=2
says "--set twice, first" "1 2 a" run --set one=1 --set=two=2 p
rb run --json p -- one=1 two=--json
is "after --, all are words" "$(jq -r '.findings[0].value' <<<"$out")" "1 --json a"
rb run -- p one=1 --json
is "after --, --json is a word: exit 2" "$rc" 2
hasnot "after --, --json is a word: no JSON" "$out" "{"
says "a value with = in it" "a=b - a" run p one=a=b
says "an empty value" " - a" run p one=
says "a file as the first word" "1 - a" ./p.lua one=1
says "letters side by side" "- - a" run p -ny
rb run p -n --json
is "-n is --dry-run" "$(jq -r .mode <<<"$out")" dry-run

# -- help and version ------------------------------------------------------------------
rb help
is "help: exit 0" "$rc" 0
commands=$(sed -nE 's/^  runbook ([a-z]+)  .*/\1/p' <<<"$out")
ok "help lists the commands" test "$(wc -w <<<"$commands")" -ge 8
overview=$out
for flag in --help -h; do rb $flag; is "runbook $flag is help" "$out" "$overview"; done
for c in $commands; do
  rb help "$c"
  is "help $c: exit 0" "$rc$err" 0
  has "help $c: how it is written" "$out" "  runbook $c"
  has "help $c: an example" "$out" "Example"
  page=$out
  for flag in --help -h; do rb "$c" $flag; is "$c $flag is its help" "$out" "$page"; done
  ok "help $c: no line is too long" test "$(wc -L <<<"$out")" -le 100
  # what help lists is what the parser takes: a value is asked for, or the option taken
  for o in $(sed -nE 's/^  (-., |    )--([a-z-]+) [A-Z].*/\2/p' <<<"$out"); do
    rb "$c" "--$o"
    has "$c --$o is an option with a value" "$err" "--$o takes a value"
  done
done
rb version
has "version" "$out" "runbook "
is "version: one line" "$(wc -l <<<"$out")" 1
version=$out
for flag in --version -V; do rb $flag; is "runbook $flag is version" "$out" "$version"; done
out=$(RUNBOOK_CONFIG=/no/such/file XDG_STATE_HOME=/dev/null HOME=/dev/null "$runbook" version)
is "version asks for no configuration and no tape" "$out" "$version"
if command -v strace > "$tmp/which"; then
  strace -f -e trace=openat,open -o "$tmp/opened" "$runbook" version > "$tmp/printed"
  is "version opens no file of ours" "$(grep -cE 'config|tape|stdlib' "$tmp/opened")" 0
else
  skip "version opens no file of ours" "no strace"
fi

# -- output that does not arrive -----------------------------------------------------------
"$runbook" help > /dev/full 2> "$tmp/err"; rc=$?
is "a full disk: exit 1" "$rc" 1
ok "a full disk: one line" test "$(wc -l < "$tmp/err")" = 1
(sleep 0.3; "$runbook" help 2> "$tmp/err"; echo $? > "$tmp/rc") | true
while [ ! -s "$tmp/rc" ]; do sleep 0.1; done
is "a closed pipe: exit 1" "$(cat "$tmp/rc")" 1
is "a closed pipe: no noise" "$(cat "$tmp/err")" ""
"$runbook" history --json >&- 2> "$tmp/err"; rc=$?
is "closed standard output: exit 1" "$rc" 1
"$runbook" run p --json > /dev/full 2> "$tmp/err"; rc=$?
ok "a run whose output is lost: not exit 0" test "$rc" != 0

# -- history ---------------------------------------------------------------------------------
export XDG_STATE_HOME=$tmp/none
rb history
is "an empty history: exit 0" "$rc$out" 0
has "an empty history: says so" "$err" "nothing has been run"
rb history --json
is "an empty history, as JSON" "$out" "[]"
ok "looking at no tape makes none" test ! -e "$tmp/none"
export XDG_STATE_HOME=$tmp/state2
rb run p one=first
rb run p one=$'esc\e[31m' two='x y' --dry-run
rb history --json
is "history: newest first, dry runs included" "$(jq -c '[.[].mode]' <<<"$out")" '["dry-run","run"]'
is "history: its keys" "$(jq -c '.[0] | keys' <<<"$out")" \
  '["cases","ended","exit","mode","operator","params","pruned","run","runbook","started","status","target"]'
is "history: a run" "$(jq -c '.[1] | [.runbook, .target, .status, .exit, .operator, .params.one]' <<<"$out")" \
  "[\"p\",\"a\",\"done\",0,\"$(id -un)\",\"first\"]"
ok "history: times" jq -e 'all(.[]; (.started, .ended) | test("^2\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$"))' <<<"$out"
ok "history: a ULID" jq -e 'all(.[]; .run | test("^[0-9A-Z]{26}$"))' <<<"$out"
rb history
is "history: a head and a line for each" "$(wc -l <<<"$out")" 3
has "history: parameters" "$out" "one=first two=-"
hasnot "history: no escape sequences" "$out" $'\e'
cat > cased.lua <<'LUA'
return runbook { title = "t", case "one" { title = "One", when = function () return true end,
  step "A" { probe = function () end } } }
LUA
rb run cased.lua --config runbook.config.lua
rb history --last 1 --json
is "history: the case that was taken" "$(jq -c '.[0].cases' <<<"$out")" '["one"]'
rb history
ok "history: for people, too" grep -qE 'cased +one ' <<<"$out"
ok "history: and a run without a case" grep -qE ' p +- ' <<<"$out"
rb history --last 1
is "history --last 1" "$(wc -l <<<"$out")" 2
rb history --last 1 --json
is "history --last 1 --json" "$(jq length <<<"$out")" 1

# -- doctor ------------------------------------------------------------------------------------
row() { jq -r --arg a "$1" --arg n "$2" '.rows[] | select(.about == $a and .name == $n) | .status' <<<"$out"; }
rb doctor --json
is "doctor: exit 0" "$rc" 0
is "doctor: the configuration" "$(row configuration file)$(row configuration mode)" okok
is "doctor: the targets" "$(row target a)$(row target b)" okok
is "doctor: the tape" "$(row tape file)" ok
ok "doctor: nothing is bad" jq -e 'all(.rows[]; .status != "bad") and .exit == 0' <<<"$out"
chmod 666 runbook.config.lua
rb doctor --json --config runbook.config.lua
is "doctor: others may write the configuration" "$rc$(row configuration mode)" 1bad
rb doctor --json
is "the same in this folder: not used" "$rc$(jq -r .error.kind <<<"$out")" 2config
chmod 600 runbook.config.lua
cat > d.lua <<'LUA'
return { target = "a", runbooks = { "nowhere" }, targets = {
  a = { kind = "sandbox", systems = { s = { settings = { key = secret "RBT_KEY" } } } },
  b = { systems = { s = { settings = { key = secret "RBT_OTHER" } } } } } }
LUA
RBT_KEY=12345 rb doctor --json --config d.lua
is "doctor: exit 1 when one is bad" "$rc" 1
is "doctor: a folder that is not there" "$(row runbooks folder)" bad
is "doctor: a secret too short" "$(row secret RBT_KEY)" warn
is "doctor: another target lacks its environment" "$(row target b)" warn
ok "doctor: everything else than ok says how to mend it" \
  jq -e 'all(.rows[]; (.status == "ok") == (.mend == null))' <<<"$out"
RBT_KEY='a-long-enough-one' rb doctor --json --config d.lua --target b
is "doctor --target b lacks its environment" "$rc$(row target b)" 1bad
has "doctor: the variable is named" "$out" RBT_OTHER
RBT_KEY=12345 rb doctor --config d.lua
has "doctor, for people: how to mend it" "$out" "-> "
has "doctor, for people: the count" "$out" "1 bad, "
printf 'return { targts = {} }' > d.lua
rb doctor --config d.lua
is "doctor: a configuration that is wrong: exit 2" "$rc" 2
