#!/bin/bash
# tls_test.sh - HTTP, Redis and PostgreSQL behind certificates, good and bad
set -u
. "$(dirname "$0")/lib.sh"

server=''
away() { local status=$?; exec 2>/dev/null; [ -z "$server" ] || kill $server; wait; return $status; }
trap 'away; finish' EXIT

# -- an authority, and what it signs ----------------------------------------------------

cd "$tmp" || exit 1
quiet() { "$@" >>"$tmp/openssl.log" 2>&1 || { cat "$tmp/openssl.log"; exit 1; }; }
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 60 -subj "/CN=Test Authority"

sign() {                        # NAME DAYS SAN [openssl OPTIONS]: NAME.pem and NAME.key
  local name=$1 days=$2 san=$3
  quiet openssl req -new -newkey rsa:2048 -nodes -keyout "$name.key" -out "$name.csr" -subj "/CN=$name"
  quiet openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -out "$name.pem" \
    -days "$days" -extfile <(echo "subjectAltName=$san")
}
sign good 40 DNS:localhost,IP:127.0.0.1
sign soon 5 DNS:localhost
sign expired -1 DNS:localhost
sign other 40 DNS:db.example.org,IP:192.0.2.7
sign client 40 DNS:client
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 40 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost
quiet openssl rsa -aes256 -in client.key -out locked.key -passout pass:open-sesame-9
mkdir hashed && cp ca.pem hashed/"$(openssl x509 -hash -noout -in ca.pem)".0

# -- servers -------------------------------------------------------------------------------

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

web() {                         # NAME CERT [CA]: its port in $port
  local name=$1 cert=$2
  python3 "$top/tests/badserver.py" --tls "$cert.pem" "$cert.key" ${3:+"$3"} >"$name.port" 2>/dev/null &
  server="$server $!"
  for _ in $(seq 100); do port=$(cat "$name.port" 2>/dev/null); [ -z "$port" ] || return 0; sleep 0.05; done
  fail "the web server starts"; exit 1
}
for kind in good soon expired other self; do web $kind $kind; declare "web_$kind=$port"; done
web both good ca.pem; web_both=$port

redis() {                       # NAME CERT CLIENTS: its ports in $port (TLS) and $clear
  port=$(free) clear=$(free)
  redis-server --port "$clear" --tls-port "$port" --bind 127.0.0.1 --save '' --tls-cert-file "$2.pem" \
    --tls-key-file "$2.key" --tls-ca-cert-file ca.pem --tls-auth-clients "$3" \
    --unixsocket "$tmp/$1.sock" --requirepass 'p@ss/w:rd9' >"$1.log" 2>&1 &
  server="$server $!"
  for _ in $(seq 100); do [ ! -S "$tmp/$1.sock" ] || return 0; sleep 0.05; done
  cat "$1.log"; fail "redis starts"; exit 1
}
for kind in good expired other self; do redis r$kind $kind no; declare "redis_$kind=$port"; done
redis rboth good yes; redis_both=$port

password='p%40ss%2Fw%3Ard9'
system() { echo "$1 = { http = { url = \"https://localhost:$2\", ${4:-ca = \"ca.pem\"}, health = \"/ok\" },
  redis = { url = \"rediss://:$password@localhost:$3/0\", ${4:-ca = \"ca.pem\"} } },"; }
export PASSPHRASE=open-sesame-9
cat >tls.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {
  $(system good "$web_good" "$redis_good")
  $(system folder "$web_good" "$redis_good" 'ca = "hashed"')
  $(system distrust "$web_good" "$redis_good" 'ca = "self.pem"')
  $(system missing "$web_good" "$redis_good" 'ca = "nowhere.pem"')
  $(system expired "$web_expired" "$redis_expired")
  $(system other "$web_other" "$redis_other")
  $(system self "$web_self" "$redis_self")
  $(system trusted "$web_self" "$redis_self" 'ca = "self.pem"')
  $(system nobody "$web_both" "$redis_both")
  $(system me "$web_both" "$redis_both" 'ca = "ca.pem", cert = "client.pem", key = "client.key"')
  $(system locked "$web_both" "$redis_both" 'ca = "ca.pem", cert = "client.pem", key = "locked.key", key_password = secret "PASSPHRASE"')
  $(system nokey "$web_both" "$redis_both" 'ca = "ca.pem", cert = "client.pem", key = "locked.key"')
  $(system wrongkey "$web_both" "$redis_both" 'ca = "ca.pem", cert = "client.pem", key = "good.key"')
  soon = { http = { url = "https://localhost:$web_soon", ca = "ca.pem", health = "/ok" } },
  byaddress = { redis = { url = "rediss://:$password@127.0.0.1:$redis_good", ca = "ca.pem" } },
  plain = { redis = "redis://:$password@localhost:$redis_good" },
  nottls = { redis = { url = "rediss://localhost:$clear" } },
  socket = { redis = "unix://:$password@$tmp/rgood.sock?db=1" },
} } } }
END
export RUNBOOK_CONFIG=$tmp/tls.config.lua

look() {                        # SYSTEM CODE: $out $rc $words $kind
  cat >book.lua <<END
local s = system "$1"
return runbook { title = "Look", system = "$1", use_when = "tests", impact = "none",
  step "Look" { probe = function (run) $2 end } }
END
  rb run book.lua --json
  words=$(jq -r '.error.message // empty' <<<"$out") kind=$(jq -r '.error.kind // empty' <<<"$out")
}
finds() { look "$2" "run:finding('x', $3)"           # WHAT SYSTEM EXPRESSION JSON
  is "$1" "$(jq -c '.findings[]? | select(.name == "x") | .value' <<<"$out")$words" "$4"; }
fails() { look "$2" "$3"; is "$1: exit" "$rc" 1; is "$1: kind" "$kind" "$4"; has "$1" "$words" "$5"; }

# -- http ------------------------------------------------------------------------------------

get='s.http:get("/ok")'
for s in good folder trusted me locked; do finds "http: $s" $s "$get.status" 200; done
fails "http: an authority that is not trusted" distrust "$get" auth "name its authority's certificate as 'ca'"
fails "http: no such file of certificates" missing "$get" auth "nowhere.pem"
fails "http: expired" expired "$get" auth "renew the server's certificate"
fails "http: another name" other "$get" auth "use a name in 'url' that the certificate has"
fails "http: self-signed" self "$get" auth "name its file as 'ca'"
fails "http: a client without a certificate" nobody "$get" auth "wants a client certificate"
fails "http: a key without its passphrase" nokey "$get" auth "key_password"
fails "http: the key of another certificate" wrongkey "$get" auth "'cert', 'key'"

# -- redis ------------------------------------------------------------------------------------

get='s.redis:get("no:such:key")'
for s in good folder trusted me locked byaddress; do finds "redis: $s" $s "$get == nil" true; done
redis-cli -s rgood.sock -a 'p@ss/w:rd9' --no-auth-warning eval \
  'redis.call("SELECT", 0) redis.call("SET", "long", string.rep("0123456789", 500000)) return 1' 0 >/dev/null
finds "redis: five megabytes through TLS" good '#s.redis:get("long")' 5000000
finds "redis: many at once" good '#run:each({1,2,3,4,5,6,7,8,9}, { limit = 9 }, function (i) return #s.redis:get("long") end)' 9
finds "redis: a Unix socket and its database" socket "s.redis:get('long') == nil" true
fails "redis: an authority that is not trusted" distrust "$get" auth "the issuer of its certificate (CN=Test Authority)"
fails "redis: no such file of certificates" missing "$get" io "see ca in the configuration"
fails "redis: expired" expired "$get" auth "its certificate expired on "
fails "redis: another name" other "$get" auth "is for db.example.org, 192.0.2.7, not for localhost"
fails "redis: self-signed" self "$get" auth "name its file as 'ca'"
fails "redis: a client without a certificate" nobody "$get" auth "wants a client certificate"
fails "redis: a key without its passphrase" nokey "$get" io "key (or key_password)"
fails "redis: the key of another certificate" wrongkey "$get" io "see key"
fails "redis: TLS where there is none" nottls "$get" timeout "is the port another service's?"
fails "redis: none where there is TLS" plain "$get" io "cannot connect"
look good 'error(s.redis:get("long") and "x")'
book_secret=$(grep -c 'p@ss' <<<"$out$err"); is "redis: no password is shown" "$book_secret" 0

look_remedy() {
  cat >book.lua <<END
local s = system "$1"
return runbook { title = "Change", system = "$1", use_when = "tests", impact = "none",
  step "Set it" { remedy = function () s.redis:set("colour", "blue") end,
    verify = function () return s.redis:get("colour") == "blue" end } }
END
  rb run book.lua --yes --json
}
look_remedy me
is "redis: a remedy over TLS" "$rc" 0
is "... which the server has" "$(redis-cli -s rboth.sock -a 'p@ss/w:rd9' --no-auth-warning get colour)" blue

# -- doctor -----------------------------------------------------------------------------------

rb doctor
has "doctor: a certificate that ends soon" "$(grep -A1 '^ *soon\|soon.http' <<<"$out")" "expires in"
has "doctor: renew it" "$out" "renew it"
has "doctor: expired" "$out" "its certificate expired on"
hasnot "doctor: nobody's password" "$out$err" 'p@ss'
hasnot "doctor: nobody's passphrase" "$out$err" 'open-sesame'

# -- PostgreSQL: libpq verifies, where the URL asks for it --------------------------------------

sandbox_up
admin() { psql -X -q -At -v ON_ERROR_STOP=1 "$SANDBOX_PG_ADMIN_URL" "$@"; }
data=$(admin -c 'SHOW data_directory')
serve() {                       # CERT: the server shows that one from now on
  cp "$1.pem" "$data/tls.pem" && cp "$1.key" "$data/tls.key" && chmod 600 "$data/tls.key"
  chown --reference="$data/PG_VERSION" "$data/tls.pem" "$data/tls.key"
  admin -c "ALTER SYSTEM SET ssl_cert_file = 'tls.pem'" -c "ALTER SYSTEM SET ssl_key_file = 'tls.key'" \
    -c "ALTER SYSTEM SET ssl = on" -c "SELECT pg_reload_conf()" >/dev/null
  for _ in $(seq 100); do
    PGSSLMODE=require psql -X -q -At "$SANDBOX_PG_ADMIN_URL" -c 'SELECT 1' >/dev/null 2>&1 &&
      openssl s_client -starttls postgres -connect "$pghost:$pgport" </dev/null 2>/dev/null |
        openssl x509 -noout -serial 2>/dev/null | grep -qxF "$(openssl x509 -noout -serial -in "$1.pem")" && return
    sleep 0.1
  done
  fail "PostgreSQL shows $1.pem"
}
tcp() { sed -E "s#@[^:/?]*(:[0-9]+)?/#@localhost:$pgport/#; s#[?].*##" <<<"$1"; }
pghost=127.0.0.1 pgport=$(admin -c 'SHOW port')
pgurl="$(tcp "$SANDBOX_PG_URL")?sslmode=verify-full&sslrootcert"
cat >pg.config.lua <<END
return { target = "local", targets = { ["local"] = { kind = "sandbox", systems = {
  full = { pg = "$pgurl=$tmp/ca.pem" }, distrust = { pg = "$pgurl=$tmp/self.pem" },
} } } }
END
export RUNBOOK_CONFIG=$tmp/pg.config.lua
get='s.pg:value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")'
serve good
finds "pg: verify-full" full "$get" true
fails "pg: an authority that is not trusted" distrust "$get" io "certificate verify failed"
serve other
fails "pg: another name" full "$get" io 'server certificate for "db.example.org"'
serve expired
fails "pg: expired" full "$get" io "certificate verify failed"
export RUNBOOK_CONFIG=$tmp/tls.config.lua

# -- the configuration ------------------------------------------------------------------------

sed -i 's/cert = "client.pem", key = "good.key"/cret = "client.pem"/' tls.config.lua
rb doctor
has "a setting misspelt: the nearest is named" "$out$err" "'cert'"
