#!/usr/bin/env bash
# service: docker and compose. No engine runs here: the real docker client, where it is
# installed, speaks with tests/engine.py, a small server of the Engine API; where it is not
# (and always once more), a stand-in prints what docker 28.2.2 printed. Docker's compose
# plugin is a script that does what compose does with the containers of a service.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
real=$(command -v docker)
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS_VERIFY DOCKER_CERT_PATH
export HOME=$tmp/home RUNBOOK_CONFIG=$tmp/config.lua
plugin=$HOME/.docker/cli-plugins/docker-compose
mkdir -p "${plugin%/*}" bin
has_pid() { jq -r --arg n "$1" '.containers[$n].Pid' engine.json; }
status() { jq -r --arg n "$1" '.containers[$n].Status' engine.json; }
book() { printf 'local s = system("%s").service\nreturn runbook { title = "t", step "s" { %s = function (run)\n%s\nend } }\n' "$1" "$2" "$3" > f.lua; }
probe() { book "$1" probe "$2"; rb run f.lua --json; }
remedy() { book "$1" remedy "$2"; shift 2; rb run f.lua --json "$@"; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r '.error.message' <<<"$out"; }
effect() { jq -r ".steps[0].effects[0].$1" <<<"$out"; }

containers() {
  rm -f engine.json.lock
  jq -n '
    def one($id; $pid; more): { Id: ($id * 64), Status: "running", Pid: $pid,
      StartedAt: "2026-02-18T06:00:00.123456789Z" } + more;
    def of($service; more): { Labels: ({ "com.docker.compose.project": "shop",
      "com.docker.compose.service": $service, "com.docker.compose.oneoff": "False" } + more) };
    { pid: 40000, containers: {
      web: one("a"; 4711; { RestartCount: 3, Health: "healthy", out: ["one", "two", "three"], err: ["oops"] }),
      once: one("b"; 4712; { AutoRemove: true }),
      "stuck-one": one("c"; 4713; {}),
      "broken-one": one("d"; 0; { Status: "exited" }),
      asleep: one("e"; 4714; { Status: "paused" }),
      "shop-api-1": one("f"; 4715; of("api"; {})),
      "shop-api-2": one("1"; 4716; of("api"; {})),
      "shop-api-run-9": one("2"; 4717; of("api"; { "com.docker.compose.oneoff": "True" })),
      "shop-db-1": one("3"; 4718; of("db"; {})),
      "other-api-1": one("4"; 4719; { Labels: { "com.docker.compose.project": "other",
        "com.docker.compose.service": "api", "com.docker.compose.oneoff": "False" } }) } }' > engine.json
}

# what the plugin does: the same to each container of the service
cat > "$plugin" <<END
#!/bin/bash
if [ "\$1" = docker-cli-plugin-metadata ]; then
  echo '{ "SchemaVersion": "0.1.0", "Vendor": "test", "Version": "v2.36.2" }'
  exit
fi
printf '%s\n' "\$*" >> "$tmp/compose.log"
[ "\$1" != compose ] || shift
for word; do
  case \$word in --project-name=*) project=\${word#*=} ;; --*) ;; *) words+=("\$word") ;; esac
done
docker=\$(cat "$tmp/client")
ids=\$("\$docker" ps --all --no-trunc --format={{.ID}} --filter=label=com.docker.compose.project=\$project \
  --filter=label=com.docker.compose.service=\${words[1]} --filter=label=com.docker.compose.oneoff=False)
case \${words[0]} in
  logs) for id in \$ids; do "\$docker" logs --tail=5 -- "\$id"; done ;;
  *) exec "\$docker" "\${words[0]}" -- \$ids ;;
esac
END
chmod 755 "$plugin"
printf '#!/bin/bash\nexec %q %q docker %q "$@"\n' "$python" "$top/tests/engine.py" "$tmp/engine.json" > bin/docker
cp "$plugin" bin/docker-compose
chmod 755 bin/*

config() {  # PROGRAM [HOST]
  local who="program = \"$1\", host = \"${2:-unix://$tmp/s}\"" name
  {
    echo 'return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {'
    for name in web nope once stuck-one broken-one asleep; do
      echo "  [\"$name\"] = { service = { url = \"docker:$name\", $who } },"
    done
    for name in shop/api shop/nope shop a/b/c; do
      echo "  [\"$name\"] = { service = { url = \"compose:$name\", $who } },"
    done
    echo "  filed = { service = { url = \"compose:shop/db\", file = \"$tmp/compose.yaml\", $who } },"
    echo "  flag = { service = { url = \"docker:--all\", $who } } } } } }"
  } > config.lua
  chmod 600 config.lua
  echo "$1" > client
}

promises() {  # WHAT PROGRAM
  local what=$1 pid
  containers
  config "$2"
  probe web 'local t = s:status() for k, v in pairs(t) do run:finding(k, v) end'
  is "$what: status" "$rc $(finding state) $(finding health) $(finding pid) $(finding restarts) $(finding since)" \
    "0 online healthy 4711 3 2026-02-18T06:00:00Z"
  is "$what: it talks to a daemon: no kernel layer is claimed" "$(jq .enforced.kernel <<<"$out")" false
  probe web 'run:finding("x", table.concat(s:logs(2), ","))'
  is "$what: logs: its output, then its errors" "$(finding x)" "two,three,oops"
  cp engine.json before
  remedy web 's:restart()' -n
  is "$what: a restart in a dry run" "$rc $(effect verdict) $(effect before.value)" "0 would do online (healthy), pid 4711"
  is "$what: by which command" "$(effect reason)" "$2 restart web"
  remedy web 's:stop()' -n
  is "$what: a stop in a dry run" "$(effect verdict) $(effect after.value) $(effect undo)" "would do stopped automatic"
  ok "$what: changes nothing" cmp engine.json before
  remedy web 's:start()'
  is "$what: start when it is online: unchanged" "$rc $(jq -r '.steps[0].status' <<<"$out") $(has_pid web)" "0 unchanged 4711"
  remedy web 'local t = s:restart() run:finding("state", t.state) run:finding("pid", t.pid)'
  is "$what: restart" "$rc $(finding state) $(finding pid)" "0 online $(has_pid web)"
  refuses "$what: another process" test "$(has_pid web)" = 4711
  remedy web 's:stop()'
  is "$what: stop" "$rc $(status web)" "0 exited"
  remedy web 's:stop()'
  is "$what: stop again: unchanged" "$rc $(jq -r '.steps[0].status' <<<"$out")" "0 unchanged"
  remedy web 's:start()'
  is "$what: start" "$rc $(status web)" "0 running"

  # what is wrong, and what would be right
  probe nope 's:status()'
  has "$what: no such container: those that there are" "$(message)" 'docker has no container "nope"; it has: '
  has "$what: by name" "$(message)" "broken-one"
  remedy nope 's:restart()' -n
  is "$what: and a remedy would refuse" "$rc $(effect verdict)" "1 would refuse"
  probe flag 's:status()'
  has "$what: an option is no name" "$(message)" '"--all" is no name of a container'
  remedy once 's:stop()' -n
  has "$what: --rm: a stop would remove it" "$(effect verdict): $(effect reason)" "would refuse: once: it was run with --rm"
  probe asleep 'run:finding("state", s:status().state)'
  is "$what: paused" "$(finding state)" paused
  remedy broken-one 's:start()'
  has "$what: it does not start: the engine's words" "$(message)" "port is already allocated"
  is "$what: and nothing has changed" "$rc $(jq -r .error.certainty <<<"$out") $(status broken-one)" "1 not done exited"
  jq '.containers["broken-one"] |= (.Status = "running" | .Pid = 4720)' engine.json > new && mv new engine.json
  remedy broken-one 's:restart()'
  is "$what: half a restart is in doubt" "$rc $(jq -r .error.certainty <<<"$out")" "6 unknown"
  has "$what: and says how it is" "$(message)" "it is stopped now"
  remedy stuck-one 's:stop()' --timeout 1s
  is "$what: one that does not obey is in doubt" "$rc $(jq -r .error.certainty <<<"$out")" "6 unknown"

  # compose
  : > compose.log
  probe shop/api 'local t = s:status() for k, v in pairs(t) do run:finding(k, v) end'
  is "$what: compose: status" "$rc $(finding state) $(finding instances)" "0 online 2"
  remedy shop/api 's:restart()' -n
  has "$what: compose: by which command" "$(effect reason)" "--project-name=shop restart api"
  is "$what: compose: a dry run does not ask it" "$(cat compose.log)" ""
  remedy shop/api 's:restart()'
  is "$what: compose: restart" "$rc $(has_pid other-api-1) $(has_pid shop-api-run-9) $(has_pid shop-db-1)" "0 4719 4717 4718"
  refuses "$what: compose: both are others now" grep -qE '"Pid": ?(4715|4716)' engine.json
  remedy shop/api 's:stop()'
  is "$what: compose: stop" "$rc $(status shop-api-1) $(status shop-api-2) $(status other-api-1)" "0 exited exited running"
  jq '.containers["shop-api-2"] |= (.Status = "running" | .Pid = 4721)' engine.json > new && mv new engine.json
  probe shop/api 'run:finding("state", s:status().state)'
  is "$what: compose: of two the one in trouble" "$(finding state)" stopped
  remedy shop/api 's:start()'
  is "$what: compose: start" "$rc $(status shop-api-1)" "0 running"
  echo 'services: {}' > compose.yaml
  remedy filed 's:restart()'
  has "$what: compose: with its file" "$rc $(tail -1 compose.log)" "--project-name=shop --file=$tmp/compose.yaml restart db"
  rm compose.yaml
  remedy filed 's:restart()' -n
  has "$what: compose: a file that is not there" "$(effect verdict): $(effect reason)" "would refuse: filed.service: the file $tmp/compose.yaml"
  probe shop/nope 's:status()'
  has "$what: compose: no such service: those that there are" "$(message)" 'no container of "shop/nope"; the project'
  has "$what: compose: by name" "$(message)" "api"
  for name in shop a/b/c; do
    probe "$name" 's:status()'
    has "$what: compose:$name is no name" "$(message)" 'is "compose:PROJECT/SERVICE"'
  done
}

promises "stand-in" "$tmp/bin/docker"
mv engine.json away
probe web 's:status()'
has "stand-in: no daemon answers" "$(message)" "no docker daemon answers: Cannot connect"
remedy web 's:restart()' -n
is "stand-in: and a remedy would refuse" "$rc $(effect verdict)" "1 would refuse"
mv away engine.json

# -- a daemon that goes while it is at it --
printf '#!/bin/bash\n%q "$@" || exit\n[ "$1" != restart ] || mv %q %q\n' "$tmp/bin/docker" "$tmp/engine.json" "$tmp/away" > bin/dying
chmod 755 bin/dying
config "$tmp/bin/dying"
remedy web 's:restart()'
is "what cannot be looked at afterwards is in doubt" "$rc $(jq -r .error.certainty <<<"$out")" "6 unknown"
has "and says why" "$(message)" '"restart" was asked for; then: web.service: no docker daemon answers'
mv away engine.json

# -- another version, or none --
printf '#!/bin/bash\necho "CONTAINER  STATUS"\n' > bin/strange; chmod 755 bin/strange
config "$tmp/bin/strange"
probe web 's:status()'
has "what is no answer that we know" "$(message)" "what \`docker inspect\` prints is not what this version knows: CONTAINER"
printf '#!/bin/bash\necho "[{}]"\n' > bin/strange
probe web 's:status()'
has "nor is JSON of another shape" "$(message)" "is not what this version knows"
config "$tmp/bin/none"
remedy web 's:restart()' -n
has "no client" "$(effect verdict): $(effect reason)" "would refuse: web.service: $tmp/bin/none is not an executable file"
config "$tmp/bin/docker" ssh://host
probe web 's:status()'
has "a host that it cannot reach read-only" "$(message)" '`host` is unix:///PATH or tcp://HOST:PORT'

# -- compose as a program of its own --
config "$tmp/bin/docker-compose"; echo "$tmp/bin/docker" > client
: > compose.log
PATH=$tmp/bin:$PATH remedy shop/api 's:restart()'
is "docker-compose does what the plugin does" "$rc $(cat compose.log)" "0 --project-name=shop restart api"
config "$tmp/bin/docker"
if [ -z "$(ls /usr/{local/,}lib{,exec}/docker/cli-plugins/docker-compose 2>/dev/null)" ]; then
  mv "$plugin" away
  remedy shop/api 's:restart()' -n
  has "no compose" "$(effect verdict): $(effect reason)" "would refuse: shop/api.service: docker has no compose plugin"
  mv away "$plugin"
else skip "no compose" "docker has its plugin on this machine"; fi

# -- the real client -------------------------------------------------------------
if [ -z "$real" ]; then
  skip "docker's own client" "not installed"
  exit 0
fi
config "$real"
probe web 's:status()'
has "docker: no daemon answers" "$(message)" "no docker daemon answers: "
"$python" "$top/tests/engine.py" serve "$tmp/s" "$tmp/engine.json" 2>engine.err & engine=$!
for _ in {1..100}; do [ -S s ] && break; sleep 0.05; done
promises docker "$real"
kill $engine
probe web 's:status()'
has "docker: it has gone" "$(message)" "no docker daemon answers: "
is "the engine had no trouble" "$(cat engine.err)" ""
