# lib.sh - what every shell test shares; source it: . "$(dirname "$0")/lib.sh"
#
# ok WHAT COMMAND...      passes when the command succeeds
# refuses WHAT COMMAND... passes when the command fails
# is WHAT GOT EXPECTED    compares two texts
# has WHAT TEXT PART      TEXT contains PART
# The last line is "N passed, N failed", and the exit status agrees.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$top/build}
runbook=$BUILD/runbook
python=python3  # the one that has Debian's packages, where there are several
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
tmp=$(mktemp -d "${TMPDIR:-/tmp}/rbt.XXXXXX")
chmod 755 "$tmp"
passed=0 failed=0 skipped=0
export XDG_STATE_HOME=$tmp/state XDG_CONFIG_HOME=$tmp/config NO_COLOR=1
unset RUNBOOK_CONFIG

pass() { passed=$((passed + 1)); printf 'ok - %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'not ok - %s\n' "$1"; shift
         [ $# = 0 ] || printf '%s\n' "$@" | head -40 | sed 's/^/#   /'; }
skip() { skipped=$((skipped + 1)); printf 'ok - %s # SKIP %s\n' "$1" "$2"; }
ok() { local what=$1 out; shift
  if out=$("$@" 2>&1); then pass "$what"; else fail "$what" "$* -> $?" "$out"; fi; }
refuses() { local what=$1 out; shift
  if out=$("$@" 2>&1); then fail "$what" "succeeded: $*" "$out"; else pass "$what"; fi; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:      $2" "expected: $3"; fi; }
has() { case "$2" in *"$3"*) pass "$1";; *) fail "$1" "no '$3' in:" "$2";; esac; }
hasnot() { case "$2" in *"$3"*) fail "$1" "'$3' in:" "$2";; *) pass "$1";; esac; }

# rb ARGS...: runs runbook; leaves $out (stdout), $err (stderr), $rc
rb() { out=$("$runbook" "$@" 2>"$tmp/stderr" </dev/null); rc=$?; err=$(cat "$tmp/stderr"); }

# typed FILE: a test that types on a terminal (prompt.py); what it tells counts
typed() {
  local line
  "$python" "$top/tests/$1" "$runbook" >"$tmp/typed" 2>&1
  while read -r line; do
    case $line in
      "ok - "*) pass "${line#ok - }";;
      "not ok - "*) fail "${line#not ok - }";;
      "#"*|*passed*) [ "${line#\#}" = "$line" ] || echo "$line";;
      *) fail "$1" "$line";;
    esac
  done <"$tmp/typed"
  has "$1 came to its end" "$(tail -1 "$tmp/typed")" " passed, "
}

# a sandbox of its own in $tmp/sb; its variables are set, its configuration used
sandbox_up() {
  "$top/examples/sandbox/sandbox" up "$tmp/sb" --config "$tmp/runbook.config.lua" \
    >"$tmp/sandbox.log" 2>&1 || { cat "$tmp/sandbox.log"; fail "sandbox up"; exit 1; }
  . "$tmp/sb/env"
  export RUNBOOK_CONFIG=$tmp/runbook.config.lua
}
sandbox_reset() { "$top/examples/sandbox/sandbox" reset "$tmp/sb" >"$tmp/sandbox.log" 2>&1; }

finish() {
  local status=$?
  trap - EXIT
  [ ! -f "$tmp/sb/env" ] || "$top/examples/sandbox/sandbox" down "$tmp/sb" --purge >/dev/null 2>&1
  rm -rf "$tmp"
  printf '%d passed, %d failed' "$passed" "$failed"
  [ "$skipped" = 0 ] || printf ', %d skipped' "$skipped"
  printf '\n'
  [ "$failed" = 0 ] && [ $((passed + skipped)) -gt 0 ] && { [ "$status" = 0 ] || exit "$status"; exit 0; }
  exit 1
}
trap finish EXIT
trap 'exit 130' INT TERM
