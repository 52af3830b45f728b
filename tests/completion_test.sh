#!/usr/bin/env bash
# What the shells complete, asked of the shells themselves: bash by its function and by
# keys on a terminal, zsh on a terminal of zpty, fish by `complete -C`.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
export PATH=$BUILD:$PATH
mkdir books
cat > runbook.config.lua <<'LUA'
return { runbooks = { "books" }, target = "here", roles = { lead = { "kim", "ada" } },
  targets = { here = { kind = "sandbox", systems = { web = { http = "http://127.0.0.1:1" } } }, there = { kind = "sandbox" } } }
LUA
chmod 600 runbook.config.lua
cat > books/mend_it.lua <<'LUA'
return runbook { title = "Mend: the 'thing'", approve = "lead",
  params = {
    tenant = { "identifier", required = true, help = "schema of the school" },
    how = { "choice", "fast", "slow", default = "fast" }, file = { "path", default = "x" },
  },
  step "Look at it" { probe = function () end },
  case "first" { title = "The first", when = "asked", step "Do it" { id = "do-it", probe = function () end } },
  case "second" { title = "The second", when = "asked", step "Or this" { probe = function () end } },
}
LUA
echo 'return runbook { title = "Another", step "a" { probe = function () end } }' > books/measure.lua
echo 'return runbook {' > books/broken.lua
runbook run measure >/dev/null 2>&1
runbook run mend_it tenant=a -n >/dev/null 2>&1
run=$(runbook history --json | jq -r '.[0].run')
touch "a file.lua" answers.json

# -- what is asked -----------------------------------------------------------------------
values() { runbook __complete "$@" | cut -f1 | sort | xargs; }
is "commands" "$(values r)" "repl replay report resume run"
is "a command of ours alone" "$(values '' | grep -c __complete)" 0
is "runbooks, the broken one, too" "$(values run '')" "broken measure mend_it"
has "a runbook's title" "$(runbook __complete run mend)" "Mend: the 'thing'"
is "parameters" "$(values run mend_it '')" "file= how= tenant="
is "parameters that are given are not offered" "$(values run mend_it how=fast '')" "file= tenant="
is "options between are no words" "$(values run -t here mend_it '')" "file= how= tenant="
is "choices" "$(values run mend_it how=)" "how=fast how=slow"
is "a path" "$(values run mend_it file=)" ":files"
is "cases" "$(values run mend_it --case '')" "first second"
is "cases, after =" "$(values run mend_it --case=f)" "--case=first"
is "steps" "$(values run mend_it --only '')" "do-it look-at-it or-this"
is "targets" "$(values run mend_it -t '')" "here there"
is "systems" "$(values new x --system '')" "web"
is "roles" "$(values run mend_it --approved-by '')" "lead="
is "people" "$(values run mend_it --approved-by lead=)" "lead=ada lead=kim"
is "files" "$(values run mend_it --answers '')" ":files"
is "a list of words" "$(values check --format '')" "json sarif text"
is "shells" "$(values completion '')" "bash fish zsh"
is "an option that is given is not offered" "$(values run x --dry-run --dry)" ""
is "one that may be repeated is" "$(values run x --case a --cas)" "--case"
is "runs by their ending" "$(values report '' | wc -w)" 2
has "runs: what they were" "$(runbook __complete report "${run: -6}")" "mend_it on here, dry-run"
is "runs by their beginning" "$(values report "$run")" "$run"
is "another configuration" "$(values run --config /nonexistent mend_it '')" ""
is "a folder: files" "$(values run ./)" ":files"
is "no such command" "$(values frobnicate '')" ""
# every option that takes a value offers what it takes, files, or what nobody can know
for c in $(values ''); do
  for o in $(runbook help "$c" | sed -nE 's/^  (-., |    )--([a-z-]+) ([A-Za-z|=:]+) .*/\2/p'); do
    case $o in last|since|timeout|reset|older-than) continue;; esac
    ok "$c --$o has candidates" test -n "$(runbook __complete "$c" mend_it "--$o" '')"
  done
done
if command -v strace >/dev/null; then
  strace -f -e trace=openat,open -o opened runbook __complete run mend_it '' >/dev/null
  is "no client library" "$(grep -cE 'libpq|libcurl|hiredis|stdlib|/lib/[a-z]+\.so' opened)" 0
fi

# -- bash -----------------------------------------------------------------------------------
inbash() {  # WORDS as readline splits them: what bash would offer
  bash --norc -c 'source <(runbook completion bash)
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
    compopt() { :; }
    _runbook runbook; printf "%s\n" "${COMPREPLY[@]}"' _ "$@" | sort | xargs
}
is "bash: commands" "$(inbash runbook repo)" "report"
is "bash: runbooks" "$(inbash runbook run me)" "measure mend_it"
is "bash: parameters" "$(inbash runbook run mend_it te)" "tenant="
is "bash: after =, what follows it" "$(inbash runbook run mend_it how = '')" "fast slow"
is "bash: after =, begun" "$(inbash runbook run mend_it how = s)" "slow"
is "bash: --case=" "$(inbash runbook run mend_it --case = se)" "second"
is "bash: two parameters" "$(inbash runbook run mend_it how = fast fi)" "file="
is "bash: files" "$(inbash runbook run mend_it --answers an)" "answers.json"
is "bash: a file with a space" "$(inbash runbook check 'a f')" "a file.lua"
cat > keys.py <<'PY'
# keys.py SHELL KEYS: types the keys on a terminal of that shell; prints what is there then
import os, pty, re, select, sys, time
shell, keys = sys.argv[1].split(), sys.argv[2]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="> ")
    os.execvp(shell[0], shell)
def read(quiet):
    out, last = b"", time.time()
    while time.time() - last < quiet:
        if select.select([fd], [], [], 0.1)[0]:
            try: got = os.read(fd, 65536)
            except OSError: break
            out, last = out + got, time.time()
    return out
read(1)
os.write(fd, b"source <(runbook completion bash); echo rea''dy\n")
seen, end = b"", time.time() + 20
while b"ready" not in seen and time.time() < end: seen += read(0.3)
out = b""
for key in keys.encode().decode("unicode_escape"):
    os.write(fd, key.encode())
    if key == "\t": out += read(1.5)
out += read(0.5)
os.write(fd, b"\x03\x04")
os.kill(pid, 9)
os.waitpid(pid, 0)
sys.stdout.write(re.sub(rb"\x1b\[[^a-zA-Z]*[a-zA-Z]|[\r\x07]", b"", out).decode("utf-8", "replace"))
PY
typed() { "$python" keys.py "bash --norc --noprofile -i" "$1"; }
has "bash, typed: one candidate is written" "$(typed 'runbook run mend\t')" "runbook run mend_it "
has "bash, typed: no space after =" "$(typed 'runbook run mend_it ho\ts\t')" "mend_it how=slow"
has "bash, typed: a list says what they are" "$(typed 'runbook run mend_it --case \t\t')" "first  (The first)"

# -- zsh --------------------------------------------------------------------------------------
cat > z.zsh <<'ZSH'
# z.zsh KEYS: what a terminal shows after they were typed
zmodload zsh/zpty
export TERM=dumb PS1='> '
zpty -b z "exec zsh -f -i"
zpty -w z $'PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d $TMPD/dump; source <(runbook completion zsh); LISTMAX=0; stty -echo; print rea""dy'
local seen= got
repeat 200 { zpty -r -t z got && seen+=$got; [[ $seen == *ready* ]] && break; sleep 0.05 }
zpty -n -w z "$1"
sleep 1.5
seen=
repeat 20 { while zpty -r -t z got; do seen+=$got; done; sleep 0.05 }
print -r -- "$seen"
zpty -d z
ZSH
if command -v zsh >/dev/null; then
  inzsh() { TMPD=$tmp zsh -f z.zsh "$1" | sed -E $'s/\e\\[[^a-zA-Z]*[a-zA-Z]//g; s/[\r\a]//g'; }
  has "zsh: one candidate is written" "$(inzsh $'runbook run mend\t')" "mend_it"
  out=$(inzsh $'runbook run mend_it --case \t')
  has "zsh: cases and what they are" "$out" "The second"
  out=$(inzsh $'runbook repo\t')
  has "zsh: a command" "$out" "report"
  has "zsh: choices" "$(inzsh $'runbook run mend_it how=\t')" "slow"
else skip "zsh" "not here"; fi

# -- fish ---------------------------------------------------------------------------------------
if command -v fish >/dev/null; then
  infish() { HOME=$tmp XDG_CONFIG_HOME=$tmp/fish fish --no-config -c 'runbook completion fish | source
    complete -C $argv[1]' -- "$1"; }
  is "fish: commands" "$(infish 'runbook repo' | cut -f1 | xargs)" "report"
  has "fish: runbooks with their titles" "$(infish 'runbook run mend')" $'mend_it\tMend: the '
  is "fish: cases" "$(infish 'runbook run mend_it --case ' | cut -f1 | xargs)" "first second"
  is "fish: choices" "$(infish 'runbook run mend_it how=' | cut -f1 | xargs)" "how=fast how=slow"
  has "fish: files" "$(infish 'runbook run mend_it --answers ans')" "answers.json"
  is "fish: targets" "$(infish 'runbook run mend_it -t ' | cut -f1 | xargs)" "here there"
  ok "fish: runs and what they were" grep -q "mend_it on here" <<<"$(infish 'runbook report ')"
else skip "fish" "not here"; fi
