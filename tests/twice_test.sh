#!/usr/bin/env bash
# Never twice: several at once, a session that is stopped, clocks that are set back
. "$(dirname "$0")/lib.sh"
work=$tmp/work; mkdir -p "$work"
cat > "$tmp/runbook.config.lua" <<LUA
return { target = "local", targets = {
  ["local"] = { kind = "sandbox", allow = { files = { "$work" }, programs = { "sh" } } },
  prod = { allow = { files = { "$work" }, programs = { "sh" } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
t() { cat > "$tmp/t.lua"; }
rb() { out=$(timeout 60 "$runbook" "$@" 2>"$tmp/stderr" </dev/null); rc=$?; err=$(cat "$tmp/stderr"); }  # none may hang
j() { jq -r "$1" <<<"$out"; }
fresh() { rm -rf "$work" "$XDG_STATE_HOME"; mkdir -p "$work"; }
log() { tr '\n' ' ' < "$work/log" 2>/dev/null; }
until_() { for _ in $(seq 300); do "$@" && return; sleep 0.05; done; return 1; }
# waits in the middle of a command until $work/go is there
slow="echo \$1 >> $work/log; touch $work/at; until test -e $work/go; do sleep 0.05; done"

# -- several resumes at once: one goes on, the others are told -------------------------------------
t <<LUA
return runbook { title = "R",
  step "A" { remedy = function () exec.run { "sh", "-c", "echo a >> $work/log" } end },
  step "B" { probe = function (run) if not file.stat("$work/go") then run:fail("not yet") end end },
  step "C" { remedy = function () exec.run { "sh", "-c", "echo c >> $work/log" } exec.run { "sh", "-c", "echo d >> $work/log" } end } }
LUA
for round in 1 2 3; do
  fresh; rb run "$tmp/t.lua"; touch "$work/go"
  pids=()
  for i in 1 2 3 4; do "$runbook" resume >/dev/null 2>"$tmp/err$i" & pids+=($!); done
  codes=; for p in "${pids[@]}"; do wait "$p"; codes="$codes $?"; done
  is "four resumes at once ($round): each change once" "$(log)" "a c d "
  is "one of them does it" "$(grep -o '\b0\b' <<<"$codes" | wc -l)" 1
  is "the others are refused" "$(tr ' ' '\n' <<<"$codes" | grep -cE '^(2|5)$')" 3
done
rb verify; is "the tape fits" "$rc" 0

# -- a session that is stopped (SIGSTOP) is under way --------------------------------------------------
t <<LUA
return runbook { title = "S",
  step "A" { remedy = function () file.write("$work/a", "1") exec.run { "sh", "-c", "$slow", "sh", "a" } end,
    undo = function () exec.run { "sh", "-c", "$slow", "sh", "back" } end } }
LUA
fresh; "$runbook" run "$tmp/t.lua" >/dev/null 2>&1 & pid=$!
until_ test -e "$work/at"; kill -STOP $pid
for c in "5 resume" "5 undo" "5 resume --in-doubt=retry"; do
  # shellcheck disable=SC2086
  rb ${c#* }; is "${c#* } while it is stopped: refused" "$rc $(log)" "${c%% *} a "
done
rb undo; has "undo says who is at it" "$err" "is under way (process $pid)"
touch "$work/go"; kill -CONT $pid; wait $pid
is "it goes on to its end" "$? $(log)" "0 a "

# -- undo while an undo is under way, and resume ---------------------------------------------------------
rm "$work/at" "$work/go"
"$runbook" undo >/dev/null 2>&1 & pid=$!; until_ test -e "$work/at"
rb undo; is "a second undo is refused" "$rc $(log)" "5 a back "
rb undo --force --in-doubt=retry; is "with --force, too" "$rc $(log)" "5 a back "
touch "$work/go"; wait $pid; is "the first one ends" "$? $(log)" "0 a back "
fresh
sed 's/ } end,$/ } exec.run { "sh", "-c", "exit 3" } end,/' "$tmp/t.lua" > "$tmp/f.lua"
touch "$work/go"; rb run "$tmp/f.lua"; is "a run that failed" "$rc" 1; rm "$work/at" "$work/go"
"$runbook" undo >/dev/null 2>&1 & pid=$!; until_ test -e "$work/at"
rb resume; is "is not resumed while it is taken back" "$rc $(log)" "2 a back "
touch "$work/go"; wait $pid
rb resume; is "nor after it" "$rc $(log)" "2 a back "

# -- the clock is set back: the last run is the last one all the same --------------------------------------
cat > "$tmp/clock.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime (clockid_t id, struct timespec *t) {
  int (*real) (clockid_t, struct timespec *) = (int (*) (clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int rc = real(id, t);
  if (id == CLOCK_REALTIME) t->tv_sec += atol(getenv("CLOCK_BY"));
  return rc;
}
C
t <<LUA
return runbook { title = "C", params = { n = { "string", required = true } },
  step "A" { remedy = function (run) file.write("$work/" .. run.n, "1") end },
  step "B" { remedy = function (run) if run.n == "half" then exec.run { "sh", "-c", "exit 1" } end end } }
LUA
if cc -shared -fPIC -o "$tmp/clock.so" "$tmp/clock.c" -ldl 2>"$tmp/cc"; then
  fresh; CLOCK_BY=86400 LD_PRELOAD=$tmp/clock.so "$runbook" run "$tmp/t.lua" n=tomorrow >/dev/null 2>&1
  rb run "$tmp/t.lua" n=today; is "a run of today, after one of tomorrow" "$rc $(ls "$work" | xargs)" "0 today tomorrow"
  rb history --json; is "is the last one" "$(j '.[0].params.n')" today
  rb undo --json; is "which undo takes back" "$rc $(ls "$work" | xargs)" "0 tomorrow"
  rb run "$tmp/t.lua" n=half; rb resume --json
  is "and resume goes on with" "$rc $(j .params.n)" "1 half"
  rb verify; is "the tape fits" "$rc" 0
else skip "a clock that is set back" "no compiler"; fi

# -- production: what takes a run back is confirmed ------------------------------------------------------------
t <<LUA
return runbook { title = "P", step "A" { remedy = function () file.write("$work/a", "1") end } }
LUA
fresh; rb run "$tmp/t.lua" --target prod --yes; is "a run on production" "$rc" 0
rb undo --json; is "is not taken back unasked" "$rc $(j .error.kind) $(ls "$work")" "3 confirmation a"
rb undo --dry-run; is "a dry undo needs no word" "$rc $(ls "$work")" "0 a"
rb undo --yes; is "with --yes it is" "$rc $(ls "$work")" "0 "
