#!/usr/bin/env bash
# The kernel layer: every way we know of changing something outside, tried by a
# probe's program. Each is tried without the fence first: what cannot be done
# there either proves nothing, and is skipped.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
attack=$tmp/attack
${CC:-cc} -O1 -o "$attack" "$top/tests/fence/attack.c" -lrt 2>"$tmp/cc.log" \
  || { cat "$tmp/cc.log"; fail "attack.c compiles"; exit 1; }
cat > runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { programs = { "$attack", "sh", "node", "git", "sleep" }, delegates = { "$attack", "sh" } }, systems = { app = {} } } } }
END
chmod 600 runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua

printf 'return runbook { title = "t", step "s" { probe = function () end } }\n' > f.lua
rb run f.lua --json --dry-run
if [ "$(jq .enforced.kernel <<<"$out")" != true ]; then
  skip "the kernel layer" "this kernel has none, and the banner says so"
  exit 0
fi

# what is attacked: a file, a process, a TCP port, a Unix socket
cat > target.c <<'END'
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main (int argc, char **argv) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  socklen_t n = sizeof in;
  int t = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_UNIX, SOCK_STREAM, 0), on = 3;
  if (argc != 2) return 2;
  setsockopt(t, 6, 23, &on, sizeof on);  /* TCP_FASTOPEN */
  strncpy(un.sun_path, argv[1], sizeof un.sun_path - 1);
  if (bind(t, (void *)&in, n) || listen(t, 9) || bind(u, (void *)&un, sizeof un) || listen(u, 9))
    return 1;
  getsockname(t, (void *)&in, &n);
  printf("%d\n", ntohs(in.sin_port));
  fflush(stdout);
  for (;;) {
    struct pollfd p[2] = {{t, POLLIN, 0}, {u, POLLIN, 0}};
    poll(p, 2, -1);
    for (int i = 0; i < 2; i++) if (p[i].revents) close(accept(p[i].fd, NULL, NULL));
  }
}
END
${CC:-cc} -o target target.c
folder=$tmp/victim socket=$(mktemp -u /tmp/rbsock.XXXXXX)
./target "$socket" > port & target=$!
sleep 1000 & victim=$!
trap 'kill $target $victim 2>/dev/null; rm -f "$socket"; finish' EXIT
for _ in {1..100}; do [ -s port ] && break; sleep 0.05; done
port=$(cat port)
fresh() { rm -rf "$folder"; mkdir -m 755 "$folder"; echo hello > "$folder/file"; chmod 644 "$folder/file"
          ln "$socket" "$folder/socket" 2>/dev/null || ln -s "$socket" "$folder/socket"; }
# ctime shows chmod, chown, utimes and attributes, too
state() { (cd "$folder" && find . -printf '%p %y %s %m %U %G %C@ %n\n' | sort; cat file) 2>&1; }
revive() { kill -0 $victim 2>/dev/null || { sleep 1000 & victim=$!; }; }

cat > f.lua <<'END'
return runbook { title = "t", params = { folder = { "string" }, pid = { "integer" }, port = { "integer" },
                                         attack = { "string" }, name = { "string" } },
  step "s" { probe = function (run)
    local r = exec.probe{ run.attack, run.name, run.folder, run.pid, run.port }
    run:finding("code", r.code) run:finding("out", r.stdout)
  end } }
END
sed -i "s|local r = exec.probe{ run.attack|local r = exec.probe{ \"$attack\"|" f.lua
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
for name in $("$attack" list); do
  fresh; revive
  said=$(timeout 10 "$attack" "$name" "$folder" $victim "$port" 2>&1); control=$?
  if [ $control != 0 ]; then skip "$name" "without the fence it fails, too: $said"; continue; fi
  fresh; revive; before=$(state)
  rb run f.lua --json --dry-run folder="$folder" pid=$victim port="$port" attack=x name="$name"
  code=$(finding code)
  case $name:$code in
    int80:159|x32:159) pass "$name is killed by the kernel" ;;
    *:1) pass "$name is refused" ;;
    *) fail "$name is refused" "exit code $code" "$(finding out)" "$err" ;;
  esac
  [ "$(state)" = "$before" ] || fail "$name leaves the folder as it was" "$before" "$(state)"
  kill -0 $victim 2>/dev/null || fail "$name leaves the process alone"
done

# -- what is claimed, and when ----------------------------------------------------
book() { printf 'return runbook { title = "t", step "s" { probe = function (run)\n%s\nend } }\n' "$1" > f.lua; }
book 'exec.probe{ "sh", "-c", "true" }'
rb run f.lua --json --dry-run
is "the layer is claimed where it holds" "$(jq .enforced.kernel <<<"$out")" true
book 'exec.probe{ "sh", "-c", "true", delegates = "docker" }'
rb run f.lua --json --dry-run
is "and not where a probe talks to a daemon" "$(jq .enforced.kernel <<<"$out")" false
rb run f.lua --dry-run
has "which is said when it comes" "$out$err" "not held from here on: kernel: a probe command talks to a daemon"
rb run f.lua --dry-run --json --require-layers
is "--require-layers refuses the command" "$rc $(jq -r .steps[0].status <<<"$out")" "1 failed"
has "and says why" "$(jq -r .steps[0].reason <<<"$out")" "kernel does not hold here: a probe command talks to a daemon"
book 'exec.probe{ "git", "status", delegates = "docker" }'
rb run f.lua --json --dry-run
has "which program may is in the configuration" "$(jq -r .error.message <<<"$out")" 'add "git" to the target'"'"'s allow.delegates'
book 'local r = exec.probe{ "'"$attack"'", "unix", "'"$folder"'", "1", "1", delegates = "it" } run:finding("code", r.code)
  local r = exec.probe{ "'"$attack"'", "connect", "'"$folder"'", "1", "'"$port"'", delegates = "it" } run:finding("tcp", r.code)
  local r = exec.probe{ "'"$attack"'", "write", "'"$folder"'", "1", "1", delegates = "it" } run:finding("write", r.code)
  local r = exec.probe{ "'"$attack"'", "kill", "'"$folder"'", "'$victim'", "1", delegates = "it" } run:finding("kill", r.code)
  local r = exec.probe{ "'"$attack"'", "chmod", "'"$folder"'", "1", "1", delegates = "it" } run:finding("chmod", r.code)'
fresh; rb run f.lua --json --dry-run
is "one that does may: a Unix socket" "$(finding code)" 0
is "and TCP" "$(finding tcp)" 0
is "but files stay fenced" "$(finding write)" 1
is "and processes" "$(finding kill)" 1
is "and modes" "$(finding chmod)" 1

# -- a declared host: its port, and nothing else -------------------------------------
try() { printf 'local r = exec.probe{ "%s", "%s", "%s", "1", "%s" } run:finding("%s", r.code)\n' "$attack" "$1" "$folder" "$2" "$3"; }
book "$(try connect "$port" tcp; try fastopen "$port" fastopen; try connect 1 other; try udp "$port" udp
  try mptcp "$port" mptcp; try bind 0 bind; try unix 1 unix)"
sed "s|systems = |hosts = { \"127.0.0.1:$port\", \"127.0.0.2\" } }, systems = |; s|} }, hosts|}, hosts|" runbook.config.lua > hosts.lua
chmod 600 hosts.lua
rb run f.lua --json --dry-run
is "no host is declared: no connection" "$(finding tcp)" 1
rb run f.lua --json --dry-run --config hosts.lua
is "one is: its port" "$(finding tcp)" 0
is "but no other, no UDP, no other protocol, no socket that listens, no Unix socket" \
  "$(finding other)$(finding udp)$(finding mptcp)$(finding bind)$(finding unix)" 11111
is "and no connection that does not call connect()" "$(finding fastopen)" 1
is "the layer is claimed" "$(jq .enforced.kernel <<<"$out")" true

# -- what looks still works ----------------------------------------------------------
book 'run:finding("x", exec.probe{ "sh", "-c", "ls / | sort | head -1 > $HOME/o 2> /dev/null; cat $HOME/o; df / | tail -1; ps -e | head -1; cat < /dev/null; id -u; date +%Y; du -s /bin/sh >/dev/null && echo fine" }.stdout)'
rb run f.lua --json
has "pipes, scratch files, /dev/null, df, ps, date" "$(finding x)" "fine"
if command -v node >/dev/null; then
  book 'run:finding("x", exec.probe{ "node", "-e", "require(\"child_process\").exec(\"echo child\", (e, o) => console.log(o.trim(), e))" }.stdout)'
  rb run f.lua --json
  is "a runtime with threads and children" "$(finding x | grep .)" "child null"
else skip "a runtime with threads and children" "no node here"; fi
git init -q repo && git -C repo -c user.name=x -c user.email=x@y commit -q --allow-empty -m one
book 'run:finding("x", exec.probe{ "git", "log", "--oneline", cwd = "'"$tmp"'/repo" }.stdout)'
rb run f.lua --json
has "git log" "$(finding x)" "one"

# -- a kernel without Landlock ---------------------------------------------------------
${CC:-cc} -O1 -o without "$top/tests/fence/without.c" || fail "without.c compiles"
older() { out=$(./without "$runbook" "$@" 2>"$tmp/stderr" </dev/null); rc=$?; err=$(cat "$tmp/stderr"); }
book 'run:finding("code", exec.probe{ "'"$attack"'", "chmod", "'"$folder"'", "1", "1" }.code)'
fresh; older run f.lua --dry-run --json
is "without Landlock the layer is not claimed" "$(jq .enforced.kernel <<<"$out")" false
is "what seccomp holds still holds" "$(finding code)" 1
older run f.lua --dry-run
has "and the banner says what is missing" "$out$err" "kernel: this kernel has no Landlock"
older run f.lua --dry-run --json --require-layers
is "--require-layers refuses to go on" "$rc $(jq -r .error.kind <<<"$out")" "2 layers"
has "and says why" "$(jq -r .error.message <<<"$out")" "this kernel has no Landlock"

# -- a program that would have its owner's rights ------------------------------------------
cat > setuid.c <<'END'
#include <stdio.h>
#include <unistd.h>
int main (void) { printf("%d\n", (int)geteuid()); return 0; }
END
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && ${CC:-cc} -o setuid setuid.c && chmod 4755 setuid; then
  mkdir -p other && sed "s|\"sh\", \"node\"|\"sh\", \"$tmp/setuid\", \"node\"|" runbook.config.lua > other/runbook.config.lua
  printf 'return runbook { title = "t", step "s" { probe = function (run)\n%s\nend } }\n' \
    "run:finding('uid', exec.probe{ '$tmp/setuid' }.stdout)" > other/f.lua
  chown -R 65534:65534 other && chmod 700 other && chmod 600 other/runbook.config.lua
  nobody() { (cd other && XDG_STATE_HOME=$tmp/other/state RUNBOOK_CONFIG=$tmp/other/runbook.config.lua \
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"); }
  if [ "$(nobody "$tmp/setuid" 2>&1)" != 0 ]; then skip "a setuid program" "without the fence it gains nothing, too"
  elif ! nobody "$runbook" version >/dev/null 2>&1; then skip "a setuid program" "nobody may not run $runbook"
  else
    out=$(nobody "$runbook" run f.lua --dry-run --json 2>"$tmp/stderr" </dev/null)
    has "a setuid program is not started by a probe" "$(jq -r .error.message <<<"$out")" "runs with the rights of another user (setuid)"
    sed -i "s|exec.probe{ '$tmp/setuid' }|exec.probe{ 'sh', '-c', '$tmp/setuid' }|" other/f.lua
    out=$(nobody "$runbook" run f.lua --dry-run --json 2>"$tmp/stderr" </dev/null)
    is "and one that its program starts gains nothing" "$(finding uid)" 65534
  fi
else skip "a setuid program" "only root can make one here"; fi
