#!/usr/bin/env bash
# net_test.sh - names, connections, certificates and ports, on loopback
set -u
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 1
cat >runbook.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  allow = { hosts = { "127.0.0.1", "localhost", "127.0.0.2:5432", "twice.test" },
            files = { "$tmp" } },
  systems = { erp = { http = "http://127.0.0.3:8080/x", pg = "postgres://u:p%40ss@127.0.0.4,[::1]:5433/db",
                      redis = { url = "redis://:pw@127.0.0.5:1/0" } } } } } }
END
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
probe() { printf 'return runbook { title = "t", step "s" { %s probe = function (run) %s end } }\n' "${2:-}" "$1" >book.lua; rb run book.lua --json; }
finding() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
message() { jq -r .error.message <<<"$out"; }
summary() { jq -r '.steps[0].effects[-1].summary' <<<"$out"; }

# -- certificates of our own -----------------------------------------------------------------
make_ca() {  # NAME
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout "$1.key" -out "$1.pem" \
    -subj "/O=Example School/CN=$1" -addext basicConstraints=critical,CA:TRUE 2>/dev/null
}
make_cert() {  # NAME NAMES FROM TO, both as YYYYMMDDHHMMSSZ; signed by `ca`
  : >index.txt; echo 01 >serial
  printf '%s\n' "[ca]" "default_ca = d" "[d]" "database = index.txt" "serial = serial" "new_certs_dir = ." \
    "default_md = sha256" "policy = p" "x509_extensions = x" "unique_subject = no" "[p]" "commonName = supplied" \
    "[x]" "subjectAltName = $2" >ca.cnf
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null &&
    openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" -notext \
      -startdate "$3" -enddate "$4" >/dev/null 2>ca.log
}
stamp() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
make_ca ca && make_ca self &&
  make_cert good IP:127.0.0.1,DNS:localhost,DNS:*.example.org "$(stamp -1day)" "$(stamp '10 days 1 hour')" &&
  make_cert old IP:127.0.0.1 20200101000000Z 20210101000000Z &&
  make_cert wrong DNS:other.example.org "$(stamp -1day)" "$(stamp 90days)" &&
  make_cert bad DNS:other.example.org 20200101000000Z 20210101000000Z || { fail "certificates"; cat ca.log; exit 1; }
mkfifo stop
"$python" "$top/tests/nettest.py" "$tmp" tls:good tls:self tls:old tls:wrong tls:bad text mute hangup six both stuck \
  <stop >ports 2>server.log &
server=$!
exec 9>stop
trap 'code=$?; exec 9>&-; wait "$server" 2>/dev/null; (exit $code); finish' EXIT
for ((i = 0; i < 250; i++)); do [ -s ports ] && break; sleep 0.02; done
read -r good self old wrong bad text mute hangup six both stuck <ports || { fail "server"; cat server.log; exit 1; }

free=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# -- resolve -----------------------------------------------------------------------------------
probe 'run:finding("a", table.concat(net.resolve("127.0.0.1"), " ")) run:finding("b", net.resolve("localhost")[1])'
is "an address is its own answer" "$rc/$(finding a)" "0/127.0.0.1"
ok "localhost is one ($(finding b))" grep -qE '^(127\.0\.0\.1|::1)$' <<<"$(finding b)"
for bad_host in '""' '"a b"' '"http://x/"' '"a@b"' '("x"):rep(300)' '"a\0b"' nil; do
  probe "net.resolve($bad_host)"; is "no host: $bad_host: exit" "$rc" 2
done

# names that the machine does not have, and no name server is asked for
cat >slow.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
typedef int Ask (const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo (const char *h, const char *s, const struct addrinfo *hints, struct addrinfo **out) {
  Ask *ask = (Ask *)dlsym(RTLD_NEXT, "getaddrinfo");
  if (h != NULL && strcmp(h, "none.test") == 0) return EAI_NONAME;
  if (h != NULL && strcmp(h, "slow.test") == 0) { sleep(3); return EAI_AGAIN; }
  if (h != NULL && strcmp(h, "twice.test") == 0) {
    int rc = ask("127.0.0.1", s, hints, out);
    if (rc == 0) rc = ask("::1", s, hints, &(*out)->ai_next);
    return rc;
  }
  return ask(h, s, hints, out);
}
END
if ${CC:-cc} -shared -fPIC -o slow.so slow.c -ldl 2>/dev/null && ! nm "$runbook" 2>/dev/null | grep -q __asan; then
  export LD_PRELOAD=$tmp/slow.so
  probe 'net.resolve("none.test")'
  has "a name that does not exist is named" "$rc/$(message)" "1/the name none.test does not resolve"
  probe 'local n, slow = 0, nil
    run:each({ 1, 2 }, function (i)
      if i == 1 then local v, e = run:try(function () return net.resolve("slow.test", { timeout = "1500ms" }) end) slow = e
      else for _ = 1, 20 do net.connect("127.0.0.1", '"$both"') if not slow then n = n + 1 end end end
    end)
    run:finding("n", n) run:finding("e", slow.kind .. ": " .. slow.message)'
  is "while a name is looked up the others go on" "$rc/$(finding n)" 0/20
  is "one that takes too long is out of time" "$(finding e)" "timeout: the name slow.test was not resolved in time"
  probe 'run:finding("f", net.connect("twice.test", '"$both"').family)'; is "IPv6 goes first" "$(finding f)" ipv6
  probe 'run:finding("f", net.connect("twice.test", '"$good"').family)'; is "IPv4 where IPv6 refuses" "$rc/$(finding f)" 0/ipv4
  probe 'run:finding("f", net.connect("twice.test", '"$stuck"').family)'; is "IPv4 where IPv6 does not answer" "$rc/$(finding f)" 0/ipv4
  probe 'net.connect("twice.test", '"$free"')'
  is "every address is told" "$(message)" "cannot connect to twice.test, port $free: ::1: Connection refused; 127.0.0.1: Connection refused"
  unset LD_PRELOAD
else skip "a slow resolver" "nothing can be preloaded into this build"; fi

# -- connect -------------------------------------------------------------------------------------
probe 'local c = net.connect("127.0.0.1", '"$good"') run:finding("c", c.address .. " " .. c.port .. " " .. c.family .. " " .. math.type(c.ms))'
is "what it has reached" "$rc/$(finding c)" "0/127.0.0.1 $good ipv4 float"
has "and how long it took" "$(summary)" "connect to 127.0.0.1:$good -> 127.0.0.1 in"
probe 'run:finding("c", net.connect("[::1]", '"$six"').family)'; is "IPv6, with brackets" "$rc/$(finding c)" 0/ipv6
probe "net.connect('127.0.0.1', $free)"
is "nobody there" "$rc/$(message)" "1/cannot connect to 127.0.0.1, port $free: 127.0.0.1: Connection refused"
probe "net.connect('elsewhere.example.org', 22)"
is "hosts of others are refused" "$rc/$(message)" "1/elsewhere.example.org is no host of this target's systems: add \"elsewhere.example.org\" to its allow.hosts in the configuration"
for pair in '127.0.0.2 5432' '127.0.0.3 1' '127.0.0.4 5432' '::1 9' '127.0.0.5 1' 'LocalHost 9'; do
  probe "net.connect('${pair% *}', ${pair#* })"
  hasnot "allowed: $pair" "$(message)" "allow.hosts"
done
for pair in '127.0.0.2 5433' '127.0.0 1' '27.0.0.3 1' 'ss 1' 'pw 1' '5433 1' 'localhos 1'; do
  probe "net.connect('${pair% *}', ${pair#* })"
  has "not allowed: $pair" "$(message)" "allow.hosts"
done
for port in 0 65536 '"x"' 1.5 nil; do probe "net.connect('127.0.0.1', $port)"; is "no port: $port: exit" "$rc" 2; done
probe "net.connect('127.0.0.1', $good, { timout = '1s' })"; has "an unknown option" "$rc/$(message)" 'no option "timout"; there is timeout'
probe "net.connect('127.0.0.1', $good, { timeout = 5 })"; has "a timeout without unit" "$rc/$(message)" 'timeout: a string expected'

# -- certificate -----------------------------------------------------------------------------------
# look PORT OPTIONS: findings of the certificate there
look() { probe "local c = net.certificate('${3:-127.0.0.1}', $1, { $2 })
  for _, k in ipairs { 'subject', 'issuer', 'serial', 'protocol', 'address' } do run:finding(k, c[k]) end
  run:finding('verified', c.verified) run:finding('reason', tostring(c.reason)) run:finding('problems', table.concat(c.problems, ','))
  run:finding('days', c.days) run:finding('names', table.concat(c.names, ' ')) run:finding('expires', time.format(c.expires))"; }
look "$good" "ca = '$tmp/ca.pem'"
is "one that is fine" "$rc/$(finding verified)/$(finding reason)/$(finding problems)" "0/true/nil/"
is "whose it is" "$(finding subject)/$(finding issuer)" "CN=good/CN=ca,O=Example School"
is "for whom" "$(finding names)" "127.0.0.1 localhost *.example.org"
is "days that are left" "$(finding days)" 10
is "when it ends" "$(finding expires)" "$(date -u -d "$(openssl x509 -in good.pem -noout -enddate | cut -d= -f2)" +%Y-%m-%dT%H:%M:%SZ)"
is "its number" "$(finding serial)" "$(openssl x509 -in good.pem -noout -serial | cut -d= -f2)"
is "where it was seen" "$(finding address)/$(finding protocol)" "127.0.0.1/TLSv1.3"
look "$good" "ca = '$tmp/ca.pem', name = 'pay.example.org'"; is "a wildcard" "$rc/$(finding verified)" 0/true
look "$good" ""; is "an issuer whom nobody knows is an answer" "$rc/$(finding verified)/$(finding problems)" "0/false/unknown issuer"
look "$self" ""; is "so is one that is self-signed" "$rc/$(finding verified)/$(finding problems)" "0/false/self-signed,wrong name"
has "in words" "$(finding reason)" "it is signed by nobody but itself; it is not for 127.0.0.1"
look "$old" "ca = '$tmp/ca.pem'"; is "one that has expired" "$rc/$(finding verified)/$(finding problems)" "0/false/expired"
is "since when" "$(finding reason)" "it expired on 2021-01-01T00:00:00Z"
ok "its days are below zero" test "$(finding days)" -lt -1000
look "$wrong" "ca = '$tmp/ca.pem'"; is "one for another name" "$rc/$(finding problems)/$(finding reason)" "0/wrong name/it is not for 127.0.0.1"
look "$wrong" "ca = '$tmp/ca.pem', name = 'other.example.org'"; is "which is right under that name" "$(finding verified)" true
look "$bad" ""; is "all that is wrong is told" "$(finding problems | tr , '\n' | sort | xargs)" "expired unknown issuer wrong name"
probe "net.certificate('127.0.0.1', $text)"; has "a server without TLS" "$rc/$(message)" "1/127.0.0.1, port $text (127.0.0.1) shows no certificate: it does not speak TLS"
probe "net.certificate('127.0.0.1', $hangup)"; has "one that hangs up" "$(message)" "shows no certificate"
probe "net.certificate('127.0.0.1', $mute, { timeout = '300ms' })"; has "one that says nothing" "$(message)" "it does not answer a TLS greeting"
probe "net.certificate('127.0.0.1', $free)"; has "nobody there" "$(message)" "Connection refused"
probe "net.certificate('127.0.0.1', $good, { ca = '/etc/hostname' })"; has "a CA file outside of what is allowed" "$(message)" "allow.files"
probe "net.certificate('127.0.0.1', $good, { ca = '$tmp/index.txt' })"; has "a CA file that is none" "$(message)" "index.txt"
probe "net.certificate('127.0.0.1', $good, { ca = '$tmp/none.pem' })"; has "a CA file that is not there" "$(message)" "No such file"
probe "local n = 0
  run:each({ 1, 2 }, function (i)
    if i == 1 then run:try(function () net.certificate('127.0.0.1', $mute, { timeout = '700ms' }) end) n = n + 100
    else for _ = 1, 5 do net.connect('127.0.0.1', $both) n = n + 1 end run:finding('n', n) end
  end)"
is "a greeting without answer stops nobody" "$rc/$(finding n)" 0/5
probe "net.connect('127.0.0.1', $good)"
is "a connection loads no TLS" "$(LD_DEBUG=files "$runbook" run book.lua 2>&1 >/dev/null | grep -c 'file=libssl')" 0

# -- listening --------------------------------------------------------------------------------------
probe "local l = net.listening($both) run:finding('l', l.pid .. ' ' .. l.program .. ' ' .. table.concat(l.addresses, ' '))
       run:finding('u', l.user) run:finding('c', l.command) run:finding('n', #l.pids)"
is "who holds a port" "$rc/$(finding l)" "0/$server $(cat /proc/$server/comm) 127.0.0.1 ::1"
is "whose it is" "$(finding u)/$(finding n)" "$(id -un)/1"
has "and what it was started as" "$(finding c)" "nettest.py $tmp tls:good"
probe "run:finding('l', net.listening($free) == nil)"; is "nobody" "$rc/$(finding l)" "0/true"
for port in 0 70000 '"ssh"'; do probe "net.listening($port)"; is "no port: $port: exit" "$rc" 2; done
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  mkdir other && chmod 777 other && cp -r "$runbook" "$BUILD/lib" other/ && chmod -R go-w other/lib && cp book.lua other/
  printf 'return runbook { title = "t", step "s" { probe = function (run) local l = net.listening(%s) run:finding("l", tostring(l.pid) .. ": " .. l.reason) end } }\n' "$both" >other/book.lua
  out=$(cd other && unset RUNBOOK_CONFIG && XDG_STATE_HOME=$tmp/other/state setpriv --reuid=65534 --regid=65534 --clear-groups ./runbook run book.lua --json 2>&1)
  is "what others may not see is said" "$(finding l)" "nil: a process of root holds it; only root can see which"
else skip "what others may not see" "this needs root, to become another user"; fi

# -- a dry run looks, too --------------------------------------------------------------------------
probe "run:finding('v', net.connect('127.0.0.1', $good).family)"
rb run book.lua -n --json; is "a dry run connects for real" "$rc/$(finding v)/$(jq -r .steps[0].status <<<"$out")" "0/ipv4/done"
