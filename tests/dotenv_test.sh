#!/usr/bin/env bash
# dotenv: one name at a time, everything else as it was, to the byte.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir app
env=$tmp/app/.env
cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$tmp/app" } },
  systems = { app = { dotenv = "$env" }, bad = { dotenv = "$tmp/nothing/.env" }, proc = { dotenv = "/proc/self/environ" } } } } }
END
chmod 600 runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
book() { printf 'local env = system("%s").dotenv\nreturn runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "${3:-app}" "$1" "$2" > f.lua; }
probe() { book probe "$1"; rb run f.lua --json; }
remedy() { book remedy "$1"; shift; rb run f.lua --json "$@"; }
dry() { remedy "$1" --dry-run; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '.error.message' <<<"$out"; }
effect() { jq -r ".steps[0].effects[0].$1" <<<"$out"; }
file() { printf "$1" > "$env"; chmod 640 "$env"; }
text() { cat -A "$env"; }
undone() {
  rb undo --yes --json
  case $out$err in *"no command"*|*"unknown command"*) skip "$1" "there is no undo yet"; return ;; esac
  is "$1" "$rc/$(text)" "0/$2"
}

sample='# settings of the server\nNODE_ENV=production\n\nexport SESSION_HOURS = 12   # hours\nNAME='"'it is'"'\nTEXT="two\\nlines"\nMULTI="a\n# no comment\nb"   # a comment\nEMPTY=\nHASH=a#b\nLIST=a, b,c\nREF="a\\"b"\n  INDENTED=yes\nNOT AN ASSIGNMENT\nDUP=1\nDUP=2'
# -- reading ---------------------------------------------------------------------
file "$sample"
probe 'for _, n in ipairs{ "NODE_ENV", "SESSION_HOURS", "NAME", "TEXT", "MULTI", "EMPTY", "HASH", "LIST", "REF", "INDENTED", "DUP" } do run:finding(n, env:get(n)) end
  run:finding("none", env:get("NOTHING") == nil) run:finding("a", env:has("LIST", "b")) run:finding("b", env:has("LIST", "ab"))
  run:finding("c", env:has("EMPTY")) run:finding("d", env:has("NOTHING", "x"))
  local n = 0 for k in pairs(env:all()) do n = n + 1 end run:finding("n", n)'
is "exit 0" "$rc" 0
is "plain" "$(finding NODE_ENV)" production
is "export, spaces and a comment" "$(finding SESSION_HOURS)" 12
is "single quotes" "$(finding NAME)" "it is"
is "double quotes and escapes" "$(finding TEXT)" "$(printf 'two\nlines')"
is "over several lines" "$(finding MULTI)" "$(printf 'a\n# no comment\nb')"
is "empty" "$(finding EMPTY)" ""
is "a # in a word is no comment" "$(finding HASH)" "a#b"
is "an escaped quote" "$(finding REF)" 'a"b'
is "indented" "$(finding INDENTED)" yes
is "of two the last" "$(finding DUP)" 2
is "what is not there is nil" "$(finding none)" true
is "has: an item, no part of one, an empty value, nothing" "$(finding a)$(finding b)$(finding c)$(finding d)" truefalsetruefalse
is "all" "$(finding n)" 11

# -- writing: what changes, and that nothing else does ---------------------------------
change() {  # WHAT, BEFORE, CALL, AFTER (as printf formats)
  file "$2"
  local was; was=$(text)
  dry "$3"
  is "$1: a dry run changes nothing" "$rc/$(text)" "0/$was"
  remedy "$3"
  is "$1" "$rc/$(text)" "0/$(printf "$4" | cat -A)"
  is "$1: mode" "$(stat -c %a "$env")" 640
  undone "$1: undone" "$was"
}
change "set" 'A=1\nB=2\nC=3\n' 'env:set("B", "x")' 'A=1\nB=x\nC=3\n'
change "set a new one" 'A=1\n' 'env:set("B", "x")' 'A=1\nB=x\n'
change "set into an empty file" '' 'env:set("B", "x")' 'B=x\n'
change "a new one where the last line is not ended" 'A=1' 'env:set("B", "x")' 'A=1\nB=x'
change "quotes stay" 'A="1"\nB='"'2'"'\n' 'env:set("A", "x") ' 'A="x"\nB='"'2'"'\n'
change "single quotes stay" 'B='"'2'"'  # c\n' 'env:set("B", "x y")' 'B='"'x y'"'  # c\n'
change "export, spaces and comment stay" 'export  A = 1   # why\n' 'env:set("A", 22)' 'export  A = 22   # why\n'
change "an empty value with a comment" 'A=   # none\n' 'env:set("A", "x")' 'A=   x# none\n'
change "CRLF stays" 'A=1\r\nB=2\r\n' 'env:set("A", "x") env:set("C", "y")' 'A=x\r\nB=2\r\nC=y\r\n'
change "a value that needs quotes" 'A=1\n' 'env:set("A", "a b#c")' 'A="a b#c"\n'
change "one with a dollar" 'A=1\n' 'env:set("A", "p$w")' 'A='"'p\$w'"'\n'
change "one with both quotes" 'A=1\n' 'env:set("A", [[a"b'"'"'c]])' 'A="a\\"b'"'"'c"\n'
change "true is text" 'A=1\n' 'env:set("A", true)' 'A=true\n'
change "over a value of several lines" 'A="1\n2"\nB=1\n' 'env:set("A", "x")' 'A="x"\nB=1\n'
change "of two the last is set" 'A=1\nA=2\n' 'env:set("A", "3")' 'A=1\nA=3\n'
change "unset" 'A=1\n# c\nB=2 # d\nC=3\n' 'env:unset("B")' 'A=1\n# c\nC=3\n'
change "unset the last, not ended" 'A=1\nB=2' 'env:unset("B")' 'A=1'
change "unset the only one" 'B=2' 'env:unset("B")' ''
change "unset one of several lines" 'A="1\n2"\nB=1\n' 'env:unset("A")' 'B=1\n'
change "add to an empty one" 'D=\n' 'env:add("D", "x")' 'D=x\n'
change "add" 'D=a,b\n' 'env:add("D", "x")' 'D=a,b,x\n'
change "add as the others are" 'D=a, b # c\n' 'env:add("D", "x")' 'D="a, b, x" # c\n'
change "add to what is not there" 'A=1\n' 'env:add("D", "x")' 'A=1\nD=x\n'
change "add in quotes" 'D="a"\n' 'env:add("D", "x")' 'D="a,x"\n'
change "remove from the middle" 'D=a,b,c\n' 'env:remove("D", "b")' 'D=a,c\n'
change "remove the first" 'D=a, b\n' 'env:remove("D", "a")' 'D=b\n'
change "remove the last one" 'D=a\n' 'env:remove("D", "a")' 'D=\n'

nothing() { file "$2"; remedy "$3"; is "$1: unchanged" "$(jq -r '.steps[0].status' <<<"$out")/$(text)" "unchanged/$(printf "$2" | cat -A)"; }
nothing "set what it is" 'A="1"\n' 'env:set("A", 1)'
nothing "unset what is not there" 'A=1\n' 'env:unset("B")'
nothing "add what is there" 'A=a, b\n' 'env:add("A", "b")'
nothing "remove what is not there" 'A=a,bb\n' 'env:remove("A", "b")'

# -- the preview ------------------------------------------------------------------------
file 'A=1\nB=2\nC=3\n'
dry 'env:set("B", "x")'
is "the diff" "$(effect after.diff | tail -n +3)" "$(printf '@@ -1,3 +1,3 @@\n A=1\n-B=2\n+B=x\n C=3')"
is "before" "$(effect before.value)" 2
is "summary, guard, undo" "$(effect summary)/$(effect guarded)/$(effect undo)" "set B/true/automatic"
file 'DISABLED_TENANTS=\n'
dry 'env:add("DISABLED_TENANTS", "a") env:add("DISABLED_TENANTS", "b") run:finding("x", env:get("DISABLED_TENANTS")) run:finding("f", file.read("'"$env"'"))'
is "one rests on the other" "$(jq -r '.steps[0].effects[1].after.diff' <<<"$out" | grep -c '^[-+]DISABLED_TENANTS=a\(,b\)*$')" 2
is "a probe sees what is planned" "$(finding x)" "a,b"
is "file.read, too" "$(finding f | head -1)" "DISABLED_TENANTS=a,b"
is "nothing is written" "$(text)" 'DISABLED_TENANTS=$'

# -- secrets ------------------------------------------------------------------------------
file 'DB_PASSWORD=hunter2hunter2\nPIN_SECRET=abc\nURL=postgres://me:opensesame@h/db\nA=1\nKEYBOARD=querty\n'
dry 'env:set("A", "2") env:set("DB_PASSWORD", "correcthorse") env:set("URL", "postgres://me:newsesame@h/db") env:set("PIN_SECRET", "xyz")'
hasnot "old passwords are not shown" "$out$err" "hunter2"
hasnot "nor new ones" "$out$err" "correcthorse"
hasnot "nor those in URLs" "$out$err" "opensesame"
hasnot "nor new ones there" "$out$err" "newsesame"
hasnot "nor short ones" "$(jq -c '.steps[0].effects[3]' <<<"$out")" "abc"
hasnot "nor new short ones" "$(jq -c '.steps[0].effects[3]' <<<"$out")" "xyz"
has "what they are is said" "$out" "[redacted DB_PASSWORD"
has "a name that only contains the word is no secret" "$(jq -r '.steps[0].effects[3].after.diff' <<<"$out")" "KEYBOARD=querty"
probe 'run:finding("x", env:get("DB_PASSWORD")) run:finding("n", #env:get("DB_PASSWORD"))'
is "a script may use it, nobody sees it" "$(finding n)/$(finding x)" "14/[redacted DB_PASSWORD]"

# -- misuse and trouble -------------------------------------------------------------------
file 'A=1\nDUP=1\nDUP=2\n'
before=$(text)
wrong() { remedy "$2"; has "$1" "$(message)" "$3"; is "$1: untouched" "$(text)" "$before"; }
wrong "a name with a space" 'env:set("A B", "x")' "letters, digits and _"
wrong "a name with =" 'env:set("A=B", "x")' "letters, digits and _"
wrong "a name that begins with a digit" 'env:set("1A", "x")' "letters, digits and _"
wrong "a newline in a value" 'env:set("A", "x\nEVIL=1")' "a value of one line"
wrong "a NUL" 'env:set("A", "x\0y")' "a value of one line"
wrong "an item with a comma" 'env:add("A", "a,b")' "an item without commas"
wrong "an empty item" 'env:add("A", "")' "an item without commas"
wrong "unset of two" 'env:unset("DUP")' "is set in 2 lines"
wrong "text that says another value" 'env:set("A", "2", { text = "A=3\n" })' "no line that sets this name"
book probe 'env:get("A")' bad; rb run f.lua --json
has "no such file" "$(message)" "in a folder that is not there"
book probe 'env:get("A")' proc; rb run f.lua --json
has "not in /proc" "$(message)" "is not a place for files"
rm "$env"; mkfifo "$env"
out=$(timeout 10 "$runbook" run f.lua --json 2>/dev/null); book probe 'env:get("A")'; rb run f.lua --json
has "a FIFO is not opened" "$(message)" "is not a file"
rm "$env"; printf 'A=1\n' > app/shared; ln -s shared "$env"
remedy 'env:set("A", "2")'
is "a link is followed, and stays" "$rc/$(cat app/shared)/$(readlink "$env")" "0/A=2/shared"
rm "$env"; file 'A=1\n'; ln "$env" app/second
dry 'env:set("A", "2")'
has "hard links are noticed" "$(effect reason)" "hard links"
rm app/second
if [ "$(id -u)" = 0 ] && (mkdir m && mount -t tmpfs none m && umount m) 2>/dev/null; then
  file 'A=1\n'; : > app/bound; mount --bind "$env" app/bound
  sed -i "s|$env|$tmp/app/bound|" runbook.config.lua
  dry 'env:set("A", "2")'
  is "a file that is a mount: not guarded, and says so" "$(effect guarded)" false
  remedy 'env:set("A", "2")'
  is "and written over" "$rc/$(cat "$env")" "0/A=2"
  umount app/bound
  sed -i "s|$tmp/app/bound|$env|" runbook.config.lua
else skip "a file that is a mount" "no right to mount"; fi

# -- another writer ---------------------------------------------------------------------------
cat > race.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main (int argc, char **argv) {
  char tmp[4096];
  if (argc != 2) return 2;
  snprintf(tmp, sizeof tmp, "%s.other", argv[1]);
  for (unsigned long i = 0; ; i++) {
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    dprintf(fd, "A=other\nCOUNT=%lu\n", i);
    close(fd);
    if (rename(tmp, argv[1]) != 0) return 1;
  }
}
END
${CC:-cc} -o race race.c
file 'A=1\nCOUNT=0\n'
./race "$env" & racer=$!
drift=0 strange=0
for i in 1 2 3 4 5 6 7 8; do
  remedy 'env:set("A", "ours")'
  case $rc in 4) drift=$((drift + 1)) ;; 0) ;; *) strange=$((strange + 1)); message ;; esac
done
kill $racer; wait $racer 2>/dev/null
is "a file that another never leaves alone: drift, or done" "$strange" 0
ok "drift is seen ($drift of 8)" test $drift -gt 0
is "no temporary file is left" "$(ls -A app | grep '^\.rb-')" ""
