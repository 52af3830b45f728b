#!/usr/bin/env bash
# exec: what runs, with what, for how long, and what is left of it.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir -p d bin
export TMPDIR=$tmp/scratches; mkdir -p "$TMPDIR"
config() {  # PROGRAM...
  local p list=
  for p in "$@"; do list="$list \"$p\","; done
  cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { programs = { $list } }, systems = { app = {} } } } }
END
  chmod 600 runbook.config.lua
}
config sh cat yes sleep env head false touch mount pwd "$tmp/bin/tool" "$tmp/bin/nothere" "$tmp/bin/plain" "$tmp/bin/orphan"
export RUNBOOK_CONFIG=$tmp/runbook.config.lua

book() {  # FIELD, BODY: a runbook of one step
  printf 'return runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "$1" "$2" > f.lua
}
probe() { book probe "$1"; shift; rb run f.lua --json "$@"; }
remedy() { book remedy "$1"; shift; rb run f.lua --json "$@"; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '.error.message' <<<"$out"; }
effect() { jq -r ".steps[0].effects[0].$1" <<<"$out"; }

# -- a probe's answer ------------------------------------------------------------
probe 'local r = exec.probe{ "sh", "-c", "echo out; echo err >&2; exit 3" }
  run:finding("out", r.stdout) run:finding("err", r.stderr) run:finding("code", r.code)
  run:finding("signal", r.signal == nil)'
is "a probe: exit 0 whatever the program's exit code" "$rc" 0
is "stdout" "$(finding out)" "out"
is "stderr" "$(finding err)" "err"
is "the exit code is data" "$(finding code)" 3
is "no signal" "$(finding signal)" true
probe 'local r = exec.probe{ "sh", "-c", "kill -9 $$" } run:finding("code", r.code) run:finding("signal", r.signal)'
is "ended by a signal: as a shell says it" "$(finding code)/$(finding signal)" "137/9"
probe 'run:finding("x", exec.probe{ "cat", stdin = "hällo\n" }.stdout)'
is "standard input" "$(finding x)" "hällo"
probe 'run:finding("x", exec.probe{ "cat" }.stdout)'
is "without one it is empty, not ours" "$(finding x)" ""
probe 'local s = ("x"):rep(3000000) run:finding("x", #exec.probe{ "cat", stdin = s }.stdout)'
is "3 MB through a pipe and back" "$(finding x)" 3000000
probe 'local s = ("x"):rep(3000000) run:finding("x", exec.probe{ "head", "-c", "1", stdin = s }.stdout)'
is "a program that does not read all of it" "$(finding x)" x
probe 'run:finding("x", exec.probe{ "sh", "-c", "printf %s \"$1\"", "sh", "a b; touch '"$tmp"'/evil" }.stdout)'
is "words are words, no shell line" "$(finding x)" "a b; touch $tmp/evil"
is "and nothing came of them" "$(ls evil 2>/dev/null)" ""
probe 'run:finding("x", exec.probe{ "env", env = { FOO = "bar" } }.stdout)'
got=$(finding x | grep . | sort | sed "s|=$TMPDIR/runbook-.*|=SCRATCH|; s|^PATH=.*|PATH|")
is "the environment is minimal" "$got" "$(printf 'FOO=bar\nHOME=SCRATCH\nLANG=C.UTF-8\nPATH\nTMPDIR=SCRATCH')"
probe 'run:finding("x", exec.probe{ "sh", "-c", "echo /proc/self/fd/*; cat /proc/self/status" }.stdout)'
is "three descriptors (and the one that lists them), none of ours" "$(finding x | head -1 | tr ' ' '\n' | grep -vc '/[0-3]$')" 0
# 32 and 33 are the C library's own
for mask in $(finding x | sed -n 's/^Sig\(Ign\|Blk\):[^0-9a-f]*//p'); do
  is "no signal is ignored or blocked" $((0x${mask: -8} & 0x7fffffff)) 0
done
is "no new privileges, behind a filter" "$(finding x | sed -n 's/^\(NoNewPrivs\|Seccomp\):[^0-9]*//p' | tr '\n' /)" "1/2/"
is "no capability to change" "$(finding x | sed -n 's/^CapEff:[^0-9a-f]*0*//p' | tr -d 6)" ""
probe 'run:finding("x", exec.probe{ "pwd", cwd = "/usr" }.stdout)'
is "cwd" "$(finding x)" /usr
probe 'run:finding("x", exec.probe{ "sh", "-c", "echo 1 > $HOME/a && mkdir $TMPDIR/b && cat $HOME/a && echo $HOME" }.stdout)'
has "the scratch folder can be written" "$(finding x)" "1"
is "and is gone afterwards" "$(ls -A "$TMPDIR")" ""
probe 'exec.probe{ "sh", "-c", "mkdir -p $HOME/a/b/c; : > $HOME/a/b/c/d; ln -s / $HOME/root; exit 1" }'
is "with all that was in it, links not followed" "$(ls -A "$TMPDIR"; ls -d /usr)" "/usr"
book probe 'local t = run:each({1,2,3,4,5,6,7,8}, {limit = 8}, function (i) return exec.probe{ "sleep", "0.5" }.code end)
  run:finding("n", #t)'
started=$EPOCHREALTIME; rb run f.lua --json; took=$(( (${EPOCHREALTIME/./} - ${started/./}) / 1000 ))
is "eight at a time" "$(finding n)" 8
ok "are not one after the other ($took ms)" test "$took" -lt 3000

# -- limits ------------------------------------------------------------------------
probe 'exec.probe{ "sleep", "60", timeout = "300ms" }'
is "out of time: the step fails" "$rc" 1
has "and says so" "$(message)" "sleep did not end in time"
is "kind" "$(jq -r .error.kind <<<"$out")" timeout
is "nothing was done by it" "$(jq -r .error.certainty <<<"$out")" "not done"
probe 'local ok, e = pcall(exec.probe, { "sh", "-c", "trap \"\" TERM; echo started >&2; while :; do sleep 0.1; done", timeout = "300ms" })
  run:finding("e", e.message)'
has "one that ignores TERM is killed" "$(finding e)" "did not end in time"
has "its last words are told" "$(finding e)" "started"
probe 'exec.probe{ "yes" }'
is "endless output: the step fails" "$rc" 1
has "and says how much was too much" "$(message)" "yes wrote more than 16 MB and was stopped"
is "and that nothing was done by it" "$(jq -r .error.certainty <<<"$out")" "not done"
rb run f.lua; hasnot "to people, too" "$out" "may or may not have happened"
has "in so many words" "$out" "Nothing was changed."
rb run f.lua --dry-run --json; is "so does a dry run" "$(jq -r .error.certainty <<<"$out")" "not done"
ok "nothing of it is left" sh -c '! pgrep -x yes -P '$$' >/dev/null'
probe 'run:finding("n", #exec.probe{ "head", "-c", "16000000", "/dev/zero" }.stdout)'
is "16 MB are not too much" "$(finding n)" 16000000

# -- nothing outlives it --------------------------------------------------------------
cat > bin/orphan.c <<'END'
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
/* tries to leave the group in every way, then stays, holding the pipes */
int main (void) {
  for (int i = 0; i < 3; i++) {
    pid_t pid = fork();
    if (pid > 0) { printf("%d\n", (int)pid); fflush(stdout); continue; }
    if (i == 1) { setsid(); if (fork() > 0) _exit(0); }
    if (i == 2) setpgid(0, 0);
    for (;;) pause();
  }
  usleep(100000);
  return 0;
}
END
${CC:-cc} -o bin/orphan bin/orphan.c
probe 'run:finding("x", exec.probe{ "'"$tmp"'/bin/orphan", timeout = "5s" }.stdout)'
is "a program that leaves children behind ends" "$rc" 0
is "of three children" "$(finding x | grep -c .)" 3
alive() { local p; for p in $(pgrep -f "$@"); do grep -q '^State:.Z' "/proc/$p/status" || echo "$p"; done; }
is "none is left" "$(alive "^$tmp/bin/orphan")" ""
probe 'exec.probe{ "sh", "-c", "sleep 77 & sleep 0.1" }'
is "a background job does not hold us up" "$rc" 0
is "and is gone" "$(alive 'sleep 77$')" ""
book probe 'exec.probe{ "sleep", "78" }'
"$runbook" run f.lua >/dev/null 2>&1 & pid=$!
for _ in {1..100}; do [ -n "$(alive 'sleep 78$')" ] && break; sleep 0.05; done
ok "a probe is running" test -n "$(alive 'sleep 78$')"
kill -KILL $pid; wait $pid 2>/dev/null; sleep 0.2
is "we are killed: so is our probe" "$(alive 'sleep 78$')" ""

# -- which program ----------------------------------------------------------------------
probe 'exec.probe{ "nosuchprogram" }'
has "not in PATH" "$(message)" 'there is no program "nosuchprogram" in PATH'
probe 'exec.probe{ "ls" }'
has "not allowed: says where to allow it" "$(message)" 'add "ls" to its allow.programs'
is "kind refused" "$(jq -r .error.kind <<<"$out")" refused
printf '#!/bin/sh\necho tool $0\n' > bin/tool; chmod 755 bin/tool
probe 'run:finding("x", exec.probe{ "'"$tmp"'/bin/tool" }.stdout)'
is "by its whole path" "$(finding x)" "tool $tmp/bin/tool"
probe 'exec.probe{ "bin/tool" }'
has "a relative path is refused" "$(message)" "by its whole path"
cp bin/tool bin/cat
probe 'exec.probe{ "'"$tmp"'/bin/cat" }'
has "another file of an allowed name is not allowed" "$(message)" "is not allowed"
rm bin/cat
printf 'x' > bin/plain
probe 'exec.probe{ "'"$tmp"'/bin/plain" }'
has "not executable" "$(message)" "is not an executable file"
printf '#!/no/such/interpreter\n' > bin/plain; chmod 755 bin/plain
probe 'exec.probe{ "'"$tmp"'/bin/plain" }'
has "its interpreter is missing" "$(message)" "or the interpreter that its first line names"
if [ -u "$(command -v mount)" ]; then
  probe 'exec.probe{ "mount" }'
  has "a setuid program is refused" "$(message)" "setuid"
else skip "a setuid program is refused" "mount is not setuid here"; fi
probe 'exec.probe{ "pwd", cwd = "/no/such" }'
has "no such folder" "$(message)" "there is no folder /no/such"

# -- misuse -------------------------------------------------------------------------------
probe 'exec.probe{}'
has "no words" "$(message)" "the words of a command expected"
probe 'exec.probe("ls -l")'
has "a shell line" "$(message)" "table expected"
probe 'exec.probe{ "cat", cwdd = "/" }'
has "an unknown field is named, with those there are" "$(message)" 'no field "cwdd"; besides the words it takes cwd, env, stdin, timeout, delegates'
probe 'exec.probe{ "cat", {} }'
has "a word that is none" "$(message)" "word 2: a string or number expected"
probe 'exec.probe{ "cat", "a\0b" }'
has "a NUL byte" "$(message)" "word 2 holds a NUL byte"
probe 'exec.probe{ "cat", timeout = 3 }'
has "a number is no duration" "$(message)" 'such as "10s"'
probe 'exec.probe{ "cat", env = { ["A=B"] = "x" } }'
has "a name with =" "$(message)" 'names are strings without'
probe 'exec.run{ "touch", "'"$tmp"'/d/x" }'
is "run in a probe: refused by the gate" "$rc" 2
is "and nothing was done" "$(ls d)" ""

# -- run ------------------------------------------------------------------------------------
remedy 'exec.run{ "touch", "'"$tmp"'/d/a b" }' --dry-run
is "a dry run: exit 0" "$rc" 0
is "nothing is touched" "$(ls d)" ""
is "the command as one would type it" "$(effect summary)" "run touch '$tmp/d/a b'"
has "the program is named" "$(effect reason)" "$(command -v touch)"
is "verdict" "$(effect verdict)" "would do"
has "no inverse" "$(effect undo)" "no inverse"
remedy 'exec.run{ "touch", "'"$tmp"'/d/a b" }'
is "the run: exit 0" "$rc" 0
is "it is done" "$(ls d)" "a b"
is "outcome" "$(effect outcome)" "done"
remedy 'exec.run{ "nosuchprogram" }' --dry-run
is "a missing program: would refuse" "$(effect verdict)" "would refuse"
is "exit 1" "$rc" 1
remedy 'exec.run{ "false" }'
has "an exit code that is not expected" "$(message)" "false: exit code 1"
is "is a failure: what it did by then stays, and is not in doubt" "$rc/$(jq -r .error.certainty <<<"$out")" "1/partly"
remedy 'local _, e = run:try(function () exec.run{ "false" } end) run:finding("x", e.kind .. "/" .. e.certainty)'
is "which a script may catch" "$rc/$(finding x)" "0/command/partly"
remedy 'exec.run{ "sh", "-c", "exit 200" }'
is "also of a high one" "$rc/$(message)" "1/sh: exit code 200"
remedy 'exec.run{ "sh", "-c", "kill -9 $$" }'
is "one that a signal ended has said nothing: in doubt" "$rc/$(jq -r .error.certainty <<<"$out")" "6/unknown"
has "it says so" "$(message)" "sh: was ended by a signal, exit code 137"
remedy 'local r = exec.run{ "sh", "-c", "echo x >&2; exit 4", expect = { 0, 4 } } run:finding("x", r.code .. r.stderr)'
is "one that is" "$rc/$(finding x)" "0/4x"
remedy 'exec.run{ "sh", "-c", "echo why not >&2; exit 9" }'
has "its last words are told" "$(message)" "why not"
remedy 'exec.run{ "sh", "-c", "echo 1 > '"$tmp"'/d/late; sleep 60", timeout = "500ms" }'
is "a remedy out of time is in doubt" "$rc $(jq -r .error.certainty <<<"$out")" "6 unknown"
remedy 'exec.run{ "sh", "-c", "sleep 79 & exit 0" }'
is "a background job of a remedy is ended" "$rc/$(alive 'sleep 79$')" "0/"
remedy 'exec.run{ "sh", "-c", "setsid sleep 80 & sleep 0.2" }'
is "a daemon that has left the group is not" "$rc/$(alive '^sleep 80$' | wc -l)" "0/1"
for p in $(alive '^sleep 80$'); do kill "$p"; done
remedy 'exec.run{ "touch", "'"$tmp"'/d/1" } exec.run{ "touch", "'"$tmp"'/d/2" }' --limit commands=1
has "the limit of commands" "$(message)" "commands"
is "the second was not run" "$(ls d/1 d/2 2>/dev/null)" "d/1"


# -- we die between fork and exec -------------------------------------------------------------
# the intent is being made durable, the child waits: it must leave without a trace
cat > die.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static int forked;
pid_t fork (void) {
  pid_t pid = ((pid_t (*) (void))dlsym(RTLD_NEXT, "fork"))();
  if (pid > 0) forked = 1;
  return pid;
}
int fdatasync (int fd) {
  if (forked) { fputs("dying\n", stderr); kill(getpid(), SIGKILL); }
  return ((int (*) (int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
END
if ${CC:-cc} -shared -fPIC -o die.so die.c -ldl 2>/dev/null && ! nm "$runbook" 2>/dev/null | grep -q __asan; then
  book remedy 'exec.run{ "touch", "'"$tmp"'/d/never" }'
  died=$(LD_PRELOAD=$tmp/die.so "$runbook" run "$tmp/f.lua" 2>&1 >/dev/null | grep -c dying)
  sleep 0.3
  is "we died while the intent was on its way" "$died" 1
  is "and nothing was started" "$(ls d/never 2>/dev/null)$(alive "^$runbook run $tmp/f.lua")" ""
else skip "we die between fork and exec" "nothing can be preloaded into this build"; fi

# -- secrets --------------------------------------------------------------------------------
cat > f.lua <<'END'
return runbook { title = "t", params = { pw = { "secret", required = true } },
  step "s" { probe = function (run) run:finding("x", exec.probe{ "sh", "-c", "printf %s \"$1\" | wc -c; echo $1", "sh", run.pw }.stdout) end },
  step "r" { remedy = function (run) exec.run{ "sh", "-c", "printf %s \"$1\" > d/pw", "sh", run.pw } end } }
END
rb run f.lua --json pw=hunter2hunter2
is "a secret is a word like others" "$rc/$(cat d/pw)" "0/hunter2hunter2"
hasnot "and shown nowhere" "$out$err" "hunter2"

# -- all options of a remedy ------------------------------------------------------------------
remedy 'local key = token.secret(16)
  local r = exec.run { "sh", "-c", "pwd; printf %s \"$KEY\" | wc -c; cat | wc -c; echo \"$KEY\"", cwd = "/usr", env = { KEY = key }, stdin = key }
  run:finding("x", r.stdout)'
is "cwd, env and stdin, with a secret in both" "$rc/$(finding x | head -3 | xargs)" "0//usr 22 22"
is "which is redacted in its output, too" "$(finding x | sed -n 4p)" "[redacted token s/remedy/1]"
