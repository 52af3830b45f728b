#!/usr/bin/env bash
# host_test.sh - disk, memory, load and processes, against what df, free and ps say
set -u
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
cat >runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", allow = { programs = { "touch" } }, systems = {} } } }
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
probe() { printf 'return runbook { title = "t", step "s" { probe = function (run) %s end } }\n' "$1" >book.lua; rb run book.lua --json; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r .error.message <<<"$out"; }

# -- disk ------------------------------------------------------------------------------------
probe "local d = host.disk('$tmp') for k, v in pairs(d) do run:finding(k, v) end run:finding('whole', math.type(d.free))"
is "its size, as df has it" "$rc/$(finding total)" "0/$(df --output=size -B1 "$tmp" | tail -1 | xargs)"
is "its inodes" "$(finding files_total)" "$(df --output=itotal "$tmp" | tail -1 | xargs)"
near=$(($(df --output=avail -B1 "$tmp" | tail -1) - $(finding free)))
ok "what is free, but for what others write meanwhile ($near)" test "${near#-}" -lt 1000000000
near=$(($(df --output=pcent "$tmp" | tail -1 | tr -d ' %') - $(finding percent)))
ok "how full it is" test "${near#-}" -le 1
is "all of it in whole bytes" "$(finding whole)" integer
probe "host.disk('$tmp/none')"
is "a path that is not there" "$rc/$(message)" "1/host.disk: $tmp/none: No such file or directory"
for path in '""' '"relative"' '"/a\0b"' nil '("/x"):rep(4000)'; do probe "host.disk($path)"; is "no path: $path: exit" "$rc" 2; done

# a file system that does not answer: statvfs blocks, the others go on
cat >stuck.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
int statvfs (const char *path, struct statvfs *out) {
  if (strcmp(path, "/stuck") == 0) sleep(3);
  return ((int (*) (const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs"))(path, out);
}
END
if ${CC:-cc} -shared -fPIC -o stuck.so stuck.c -ldl 2>/dev/null && ! nm "$runbook" 2>/dev/null | grep -q __asan; then
  printf 'return runbook { title = "t", step "s" { timeout = "1s", probe = function (run) host.disk("/stuck") end } }\n' >book.lua
  LD_PRELOAD=$tmp/stuck.so rb run book.lua --json
  is "one that does not answer is out of time" "$rc/$(message)" "1/host.disk: the file system of /stuck does not answer"
  printf 'return runbook { title = "t", step "s" { probe = function (run)
    local n, over = 0, false
    run:each({ 1, 2 }, function (i)
      if i == 1 then run:try(function () host.disk("/stuck") end) over = true
      else for _ = 1, 50 do host.disk("/") if not over then n = n + 1 end end end
    end) run:finding("n", n) end } }\n' >book.lua
  LD_PRELOAD=$tmp/stuck.so rb run book.lua --json
  is "meanwhile the others go on" "$rc/$(finding n)" "0/50"
else skip "a file system that does not answer" "nothing can be preloaded into this build"; fi

# -- memory, load ------------------------------------------------------------------------------
probe 'local m = host.memory() for k, v in pairs(m) do run:finding(k, v) end run:finding("sum", m.used + m.available == m.total)'
is "memory, as free has it" "$rc/$(finding total)" "0/$(free -b | awk '/^Mem/ { print $2 }')"
is "and swap" "$(finding swap_total)" "$(free -b | awk '/^Swap/ { print $2 }')"
is "used and available are all of it" "$(finding sum)" true
near=$(($(free -b | awk '/^Mem/ { print $7 }') - $(finding available)))
ok "what is available, but for what others take meanwhile" test "${near#-}" -lt 4000000000
probe 'local l = host.load() run:finding("cpus", l.cpus) run:finding("load", l.one .. " " .. l.five .. " " .. l.fifteen)'
is "processors" "$rc/$(finding cpus)" "0/$(nproc --all)"
ok "three averages ($(finding load))" grep -qE '^[0-9.]+ [0-9.]+ [0-9.]+$' <<<"$(finding load)"

# -- processes ---------------------------------------------------------------------------------
sleep 4711.0815 & child=$!
probe 'local all = host.processes { match = "sleep 4711.0815" }
  run:finding("n", #all) for k, v in pairs(all[1]) do run:finding(k, v) end run:finding("age", time.since(all[1].started))'
is "one by its command" "$rc/$(finding n)/$(finding pid)/$(finding command)" "0/1/$child/sleep 4711.0815"
is "whose it is, and from whom" "$(finding user)/$(finding parent)/$(finding program)" "$(id -un)/$$/sleep"
is "what it does" "$(finding state)" sleeping
is "what it holds" "$(($(finding memory) / 1024))" "$(ps -o rss= -p "$child" | xargs)"
ok "how old it is ($(finding age) s)" awk -v a="$(finding age)" 'BEGIN { exit !(a > -2 && a < 120) }'
probe 'run:finding("n", #host.processes { match = "sleep 4711.0815", user = "nobody" })'
is "of another user" "$rc/$(finding n)" 0/0
probe 'run:finding("n", #host.processes { match = "no such thing as this" })'
is "this one is not among them" "$rc/$(finding n)" 0/0
kill -STOP "$child"
probe 'run:finding("s", host.processes { match = "sleep 4711.0815" }[1].state)'; is "one that is stopped" "$(finding s)" stopped
kill -KILL "$child"; wait "$child" 2>/dev/null
probe 'run:finding("n", #host.processes { match = "sleep 4711.0815" })'; is "one that is gone" "$(finding n)" 0
probe 'run:finding("sorted", (function () local last = 0 for _, p in ipairs(host.processes()) do if p.pid <= last then return false end last = p.pid end return last > 0 end)())'
is "all of them, by pid" "$rc/$(finding sorted)" 0/true
for bad in '"x"' '{ matches = "x" }' '{ match = "" }' '{ match = 7 }' '{ "x" }'; do
  probe "host.processes($bad)"; is "wrong: $bad: exit" "$rc" 2
done
has "and what would be right" "$(message)" "it takes match and user"

# -- after a planned change it is as of now ---------------------------------------------------
printf 'return runbook { title = "t",
  step "Change" { remedy = function () exec.run { "touch", "%s/x" } end },
  step "Look" { probe = function () host.disk("/") net.listening(9) end },
  step "Sure" { remedy = function () exec.run { "touch", "%s/y" } end, verify = function () return host.disk("/").free > 0 end } }\n' "$tmp" "$tmp" >book.lua
rb run book.lua -n --json
is "a look after a planned command assumes something" "$rc/$(jq -c '[.steps[1].effects[] | .assumes | length > 0]' <<<"$out")" "0/[true,true]"
is "and a verify that rests on it is put off" "$(jq -r .steps[2].verify <<<"$out")" deferred
