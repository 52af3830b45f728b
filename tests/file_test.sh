#!/usr/bin/env bash
# file: what may be read and changed, by which names, and that nothing is lost on the way.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir -p d/sub out
cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { files = { "$tmp/d" }, programs = { "sh" } }, systems = { app = {} } } } }
END
chmod 600 runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
book() { printf 'local d = "%s/d"\nreturn runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "$tmp" "$1" "$2" > f.lua; }
probe() { book probe "$1"; shift; rb run f.lua --json "$@"; }
remedy() { book remedy "$1"; shift; rb run f.lua --json "$@"; }
dry() { remedy "$1" --dry-run; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '.error.message' <<<"$out"; }
effect() { jq -r ".steps[0].effects[0].$1" <<<"$out"; }
# undone WHAT COMMAND EXPECTED: `runbook undo`, then what COMMAND prints
undone() {
  rb undo --yes --json
  case $out$err in *"no command"*|*"unknown command"*) skip "$1" "there is no undo yet"; return ;; esac
  is "$1" "$rc/$(eval "$2" 2>/dev/null)" "0/$3"
}
state() { (cd "$tmp" && find d out -printf '%p %y %s %m %U %G %T@ %n %l\n' | sort; find d out -type f -exec sha256sum {} + | sort); }
fresh() { chmod -R u+rwX d 2>/dev/null; rm -rf d out; mkdir -p d/sub out; printf 'one\ntwo\nthree\n' > d/a; chmod 640 d/a; printf 'secret\n' > out/o; }
fresh

# -- probes ---------------------------------------------------------------------------
probe 'run:finding("x", file.read(d .. "/a")) run:finding("n", #file.lines(d .. "/a")) run:finding("l", file.lines(d .. "/a")[3])'
is "read" "$(finding x)" "$(cat d/a)"
is "lines" "$(finding n)/$(finding l)" "3/three"
probe 'run:finding("x", file.hash(d .. "/a"))'
is "hash, as sha256sum prints it" "$(finding x)" "$(sha256sum < d/a | cut -d' ' -f1)"
probe 'local s = file.stat(d .. "/a") run:finding("x", table.concat({ s.type, s.size, s.mode, s.owner, s.links }, " ")) run:finding("t", s.modified)
  run:finding("none", file.stat(d .. "/nothing") == nil) run:finding("dir", file.stat(d .. "/sub").type)'
is "stat" "$(finding x)" "file 14 0640 $(id -un) 1"
is "stat: when" "$(finding t)" "$(TZ=UTC date -r d/a +%FT%TZ)"
is "stat of nothing is nil" "$(finding none)" true
is "stat of a folder" "$(finding dir)" folder
touch d/b "d/sub/c d"
probe 'run:finding("x", table.concat(file.list(d), ","))'
is "list, sorted" "$(finding x)" "a,b,sub"
printf 'a\0b\xff' > d/bytes
probe 'local s = file.read(d .. "/bytes") run:finding("x", #s .. " " .. s:byte(2) .. " " .. s:byte(4))'
is "bytes are bytes" "$(finding x)" "4 0 255"
probe 'file.read()'
has "no path at all" "$(message)" "bad argument #1 to 'read' (string expected, got no value)"
is "and at which line" "$(jq -r .error.line <<<"$out")" "$(grep -n 'file.read()' f.lua | cut -d: -f1)"
truncate -s 17M d/big
probe 'file.read(d .. "/big")'
has "too big to read" "$(message)" "larger than 16 MB"
probe 'run:finding("x", file.hash(d .. "/big"))'
is "not to hash" "$(finding x)" "$(sha256sum < d/big | cut -d' ' -f1)"
probe 'file.read(d .. "/nothing")'
has "what is not there" "$(message)" "there is no file $tmp/d/nothing"
is "kind missing" "$(jq -r .error.kind <<<"$out")" missing
probe 'file.read(d .. "/sub")'
has "a folder is not read" "$(message)" "is a folder, not a file"

# -- ways out of the allow-list ---------------------------------------------------------
ln -s "$tmp/out/o" d/link; ln -s ../out d/folder; ln -s a d/inside; ln -s "$tmp/d/sub" d/absolute
ln -s /proc/self/root/"$tmp"/out/o d/magic
touch d/sub/x
out_of() { probe "run:finding('x', $1)"; has "$2" "$(message)" "$3"; hasnot "$2: nothing is told" "$out" "secret"; }
out_of 'file.read(d .. "/../out/o")' "dot dot" "not in a folder that this target"
out_of 'file.read(d .. "/link")' "a link out" "leads to $tmp/out/o"
out_of 'file.read(d .. "/folder/o")' "a link of a folder out" "leads to $tmp/out/o"
out_of 'file.read(d .. "/magic")' "a link into /proc" "not in a folder that this target"
out_of 'file.read("/proc/self/root'"$tmp"'/d/a")' "through /proc" "is not a place for files"
out_of 'file.read("/proc/self/environ")' "/proc" "is not a place for files"
out_of 'file.read("/sys/kernel/notes")' "/sys" "is not a place for files"
out_of 'file.read("/dev/zero")' "/dev/zero" "is not a place for files"
out_of 'file.read("out/o")' "a relative path" "leads to $tmp/out/o"
out_of 'file.read(d .. "x/a")' "a folder with a longer name" "in a folder that is not there"
out_of 'file.list("'"$tmp"'/out")' "list outside" "not in a folder that this target"
out_of 'file.stat("'"$tmp"'/out/o")' "stat outside" "not in a folder that this target"
out_of 'file.read("")' "an empty path" "an empty path"
out_of 'file.read(d .. "/a\0/b")' "a NUL byte" "NUL"
probe 'run:finding("x", file.read(d .. "/inside")) run:finding("y", file.list(d .. "/absolute")[1]) run:finding("z", file.read("d/a"))'
is "links inside are followed" "$(finding x)/$(finding y)" "$(cat d/a)/c d"
is "a relative path inside is found" "$(finding z)" "$(cat d/a)"
mkfifo d/fifo
book probe 'file.read(d .. "/fifo")'
out=$(timeout 10 "$runbook" run f.lua --json 2>/dev/null); rc=$?
has "a FIFO is not opened" "$(message)" "is a fifo, not a file"
if mknod d/zero c 1 5 2>/dev/null; then
  probe 'file.read(d .. "/zero")'
  has "a device with another name is not opened" "$(message)" "is a device, not a file"
else skip "a device with another name is not opened" "no right to make one"; fi
cat > f.lua <<END
return runbook { title = "t", params = { p = { "path", required = true } },
  step "s" { probe = function (run) run:finding("x", file.read(run.p)) end },
  step "w" { remedy = function (run) file.write(run.p, "overwritten") end } }
END
rb run f.lua --json p="$tmp/out/o"
is "a path parameter grants reading" "$(finding x)" "secret"
is "and reading only" "$(cat out/o)" "secret"
fresh

# -- write ------------------------------------------------------------------------------------
before=$(state)
dry 'file.write(d .. "/a", "one\nzwei\nthree\n")'
is "a dry run: exit 0" "$rc" 0
is "changes nothing" "$(state)" "$before"
is "the preview is a diff" "$(effect after.diff | tail -n +3)" "$(printf '@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three')"
is "guarded" "$(effect guarded)" true
remedy 'file.write(d .. "/a", "one\nzwei\nthree\n")'
is "written" "$rc/$(cat d/a | tr '\n' ,)" "0/one,zwei,three,"
is "mode kept" "$(stat -c %a d/a)" 640
is "nothing else is there" "$(ls -A d)" "$(printf 'a\nsub')"
undone "undo brings it back" "tr '\n' , < d/a; stat -c %a d/a" "one,two,three,640"
fresh
before=$(state)
dry 'file.write(d .. "/a", "one\ntwo\nthree\n")'
is "the same content: nothing to do" "$(effect verdict)" "nothing to do"
remedy 'file.write(d .. "/a", "one\ntwo\nthree\n")'
is "and nothing is done, not even a new time" "$rc/$(state)" "0/$before"
remedy 'file.write(d .. "/a", "one\ntwo\nthree\n", { mode = "0600" })'
is "the same content, another mode" "$(stat -c %a d/a)" 600
dry 'file.write(d .. "/new", "x")'
is "a new file: from nothing" "$(effect after.diff | head -1)/$(effect before)" "--- /dev/null/null"
is "is not made by a dry run" "$(ls d)" "$(printf 'a\nsub')"
remedy 'file.write(d .. "/new", "x")'
is "is made" "$rc/$(cat d/new)/$(stat -c %a d/new)" "0/x/644"
undone "undo takes it away" "ls d | tr '\n' ' '" "a sub "
dry 'file.write(d .. "/no/where", "x")'
is "in no folder: would refuse" "$(effect verdict)/$rc" "would refuse/1"
dry 'file.write("'"$tmp"'/out/o", "x")'
has "outside: would refuse" "$(effect reason)" "not in a folder that this target"
dry 'file.write(d .. "/sub", "x")'
has "onto a folder" "$(effect reason)" "is a folder, not a file"
remedy 'file.write(d .. "/a", "x", { mode = 600 })'
has "a number is no mode" "$(message)" 'octal digits, such as "0640"'
remedy 'file.write(d .. "/a", "x", { mod = "0600" })'
has "an unknown option" "$(message)" "the only option is mode"
fresh; ln -s a d/l
remedy 'file.write(d .. "/l", "through\n")'
is "a link is written through, and stays" "$(cat d/a)/$(readlink d/l)" "through/a"
fresh; ln d/a d/second
dry 'file.write(d .. "/a", "x")'
has "hard links are noticed" "$(effect reason)" "2 names (hard links)"
remedy 'file.write(d .. "/a", "x")'
is "the other name keeps the old content" "$(cat d/a)/$(head -1 d/second)" "x/one"
fresh
if setfattr -n user.note -v kept d/a 2>/dev/null; then
  remedy 'file.write(d .. "/a", "x")'
  is "attributes are kept" "$(getfattr --only-values -n user.note d/a 2>/dev/null)" kept
else skip "attributes are kept" "no setfattr, or none on this file system"; fi
if [ "$(id -u)" = 0 ]; then
  fresh; chown 12345:23456 d/a
  remedy 'file.write(d .. "/a", "x")'
  is "owner and group are kept" "$(stat -c %u:%g d/a)" 12345:23456
  fresh; chmod 000 d/a
else
  skip "owner and group are kept" "not root"
  fresh; chmod 555 d
  dry 'file.write(d .. "/new", "x")'
  is "no right: would refuse" "$(effect verdict)" "would refuse"
fi
fresh

# -- the world moves between preview and deed ---------------------------------------------------
# `retry` is of no use here: a second writer that never rests
cat > race.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main (int argc, char **argv) {  /* renames a new file over argv[1], for ever */
  char tmp[4096];
  if (argc != 2) return 2;
  snprintf(tmp, sizeof tmp, "%s.other", argv[1]);
  for (unsigned long i = 0; ; i++) {
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    dprintf(fd, "other %lu\n", i);
    close(fd);
    if (rename(tmp, argv[1]) != 0) return 1;
  }
}
END
${CC:-cc} -o race race.c
./race "$tmp/d/a" & racer=$!
drift=0 lost=0 won=0
for i in 1 2 3 4 5 6 7 8; do
  remedy 'file.write(d .. "/a", "ours\n")'
  case $rc in
    4) drift=$((drift + 1)) ;;
    0) won=$((won + 1)) ;;
    *) lost=$((lost + 1)); message ;;
  esac
done
kill $racer; wait $racer 2>/dev/null
is "a file that is always written by another: drift, or done; never anything else" "$lost" 0
ok "drift is seen ($drift of 8, $won done)" test $drift -gt 0
is "no temporary file is left" "$(ls -A d | grep '^\.rb-')" ""
has "and the other's content is there" "$(cat d/a)" "o"
fresh

# -- copy, move, remove, chmod --------------------------------------------------------------------
dry 'file.copy(d .. "/a", d .. "/sub/b")'
is "copy: a dry run changes nothing" "$(ls d/sub)" ""
is "copy: the diff of a new file" "$(effect after.diff | grep -c '^+[a-z]')" 3
remedy 'file.copy(d .. "/a", d .. "/sub/b")'
is "copy" "$(cat d/sub/b)/$(stat -c %a d/sub/b)" "$(cat d/a)/640"
remedy 'file.copy(d .. "/a", d .. "/sub/b")'
is "copy again: unchanged" "$(jq -r '.steps[0].status' <<<"$out")" unchanged
truncate -s 20M d/big; printf end >> d/big
remedy 'file.copy(d .. "/big", d .. "/big2")'
ok "copy of more than a script may hold" cmp d/big d/big2
dry 'file.copy(d .. "/a", d .. "/sub")'
has "onto a folder" "$(effect reason)" "is a folder"
fresh; printf 'other\n' > d/b
remedy 'file.copy(d .. "/a", d .. "/b")'
undone "copy over a file is undone" "cat d/b" "other"
fresh
dry 'file.move(d .. "/a", d .. "/sub/a")'
is "move: a dry run changes nothing" "$(ls d/a)" d/a
remedy 'file.move(d .. "/a", d .. "/sub/a")'
is "move" "$(ls d d/sub | tr '\n' ' ')" "d: sub  d/sub: a "
undone "move is undone" "ls d | tr '\n' ' '" "a sub "
fresh
printf x > d/b
dry 'file.move(d .. "/a", d .. "/b")'
has "never onto another" "$(effect reason)" "is there already"
dry 'file.move(d .. "/a", "'"$tmp"'/out/a")'
is "never out" "$(effect verdict)" "would refuse"
dry 'file.move(d .. "/nothing", d .. "/c")'
has "never nothing" "$(effect reason)" "there is no file"
fresh
dry 'file.remove(d .. "/a")'
is "remove: a dry run changes nothing" "$(ls d/a)" d/a
remedy 'file.remove(d .. "/a")'
is "remove" "$(ls d)" sub
undone "remove is undone" "head -1 d/a; stat -c %a d/a" "$(printf 'one\n640')"
fresh
ln -s "$tmp/out/o" d/link
remedy 'file.remove(d .. "/link")'
is "a link is removed itself" "$rc/$(ls d | tr '\n' ' ')/$(cat out/o)" "0/a sub /secret"
dry 'file.remove(d .. "/sub")'
has "folders are not" "$(effect reason)" "is a folder, not a file"
remedy 'file.remove(d .. "/nothing")'
is "what is not there: unchanged" "$(jq -r '.steps[0].status' <<<"$out")" unchanged
fresh
dry 'file.chmod(d .. "/a", "0600")'
is "chmod: before and after" "$(effect before.value)/$(effect after.value)/$(stat -c %a d/a)" "0640/0600/640"
remedy 'file.chmod(d .. "/a", "0600")'
is "chmod" "$(stat -c %a d/a)" 600
undone "chmod is undone" "stat -c %a d/a" 640
remedy 'file.chmod(d .. "/a")'
has "chmod without a mode" "$(message)" "octal digits"
remedy 'file.remove(d .. "/a") file.write(d .. "/b", "x")' --limit files=1
is "the limit of files" "$(ls d)" sub
fresh

# -- a dry run sees its own plan -----------------------------------------------------------------
cat > f.lua <<END
local d = "$tmp/d"
return runbook { title = "t",
  step "write" { remedy = function () file.write(d .. "/a", "uno\n") file.write(d .. "/new", "n\n") end,
    verify = function () return file.read(d .. "/a") == "uno\n" and file.hash(d .. "/a") ~= nil and #file.lines(d .. "/new") == 1 end },
  step "more" { remedy = function () file.write(d .. "/a", file.read(d .. "/a") .. "due\n") file.remove(d .. "/new") file.move(d .. "/a", d .. "/sub/z") end,
    verify = function (run)
      run:finding("list", table.concat(file.list(d), ","))
      run:finding("sub", table.concat(file.list(d .. "/sub"), ","))
      run:finding("gone", file.stat(d .. "/new") == nil)
      run:finding("size", file.stat(d .. "/sub/z").size)
      return file.read(d .. "/sub/z") == "uno\ndue\n" end } }
END
before=$(state)
rb run f.lua --json --dry-run
is "exit 0" "$rc" 0
is "verifications hold in the plan" "$(jq -r '[.steps[].verify] | join(",")' <<<"$out")" "passed,passed"
is "the second diff rests on the first" "$(jq -r '.steps[1].effects[] | select(.verb == "file.write") | .after.diff' <<<"$out" | tail -n +3)" "$(printf '@@ -1,1 +1,2 @@\n uno\n+due')"
planned="$(finding list)/$(finding sub)/$(finding gone)/$(finding size)"
is "nothing has changed" "$(state)" "$before"
rb run f.lua --json
is "the run finds the same" "$rc/$(finding list)/$(finding sub)/$(finding gone)/$(finding size)" "0/$planned"
is "and is what was planned" "$(ls d d/sub | tr '\n' ' ')" "d: sub  d/sub: z "
undone "all of it is undone, last first" "ls d | tr '\n' ' '; tr '\n' , < d/a" "a sub one,two,three,"

# -- a new secret as content ----------------------------------------------------------------------
fresh
remedy 'file.write(d .. "/key", token.secret(32), { mode = "0600" })'
is "a token goes into a file" "$rc/$(stat -c '%a %s' d/key)" "0/600 43"
hasnot "and nowhere else" "$out$err" "$(cat d/key)"
