#!/usr/bin/env bash
# What `make install` puts where; that all of it works for another user, from another
# folder; that the pages of the manual are well formed; and that uninstall leaves nothing.
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2

make_() { make -s -C "$top" BUILD="$BUILD" "$@"; }
left() { (cd "$1" && find . -mindepth 1 | sort | head -20 | xargs); }

# -- into a folder, as a packager does --------------------------------------------------
mkdir stage
ok "make install DESTDIR" make_ install DESTDIR="$tmp/stage" PREFIX=/usr
for f in bin/runbook lib/runbook/pg.so lib/runbook/json.so share/runbook/run.schema.json \
    share/runbook/runbooks/school_erp/tenant_isolation.lua \
    share/runbook/runbooks/school_erp/schema.lua share/runbook/runbooks/examples/hello.lua \
    share/bash-completion/completions/runbook share/zsh/site-functions/_runbook \
    share/fish/vendor_completions.d/runbook.fish share/man/man1/runbook.1 \
    share/man/man1/runbook-run.1 share/man/man5/runbook.config.lua.5; do
  ok "there is $f" test -s "stage/usr/$f"
done
is "no test is installed, and one runbook whose name is like one's" "$(find stage -name '*_test*')" stage/usr/share/runbook/runbooks/vouchers/dr_test.lua
is "no recipe of the cookbook is" "$(find stage -path '*cookbook*')" ""
is "nothing that others may write" "$(find stage -perm /022 ! -type l)" ""
is "what can be run: the program alone" "$(cd stage && find . -type f -perm /111)" "./usr/bin/runbook"
hasnot "no path of the building machine in a script" \
  "$(cat stage/usr/share/bash-completion/completions/runbook)" "$top"
before=$(cd stage && find . -type f -exec cksum {} + | sort)
ok "again" make_ install DESTDIR="$tmp/stage" PREFIX=/usr
is "again: the same files" "$(cd stage && find . -type f -exec cksum {} + | sort)" "$before"
mkdir -p stage/usr/lib/other && touch stage/usr/share/man/man1/other.1
ok "make uninstall DESTDIR" make_ uninstall DESTDIR="$tmp/stage" PREFIX=/usr
is "uninstall: what is others' stays" "$(left stage)" \
  "./usr ./usr/lib ./usr/lib/other ./usr/share ./usr/share/man ./usr/share/man/man1 ./usr/share/man/man1/other.1"
refuses "uninstall: nothing there" make_ uninstall DESTDIR="$tmp/stage" PREFIX=/usr
refuses "a PREFIX that is not absolute" make_ install DESTDIR="$tmp/stage" PREFIX=usr

# -- into a prefix, and used by somebody else ---------------------------------------------
mkdir prefix work; chmod 755 prefix; chmod 777 work
ok "make install PREFIX" make_ install PREFIX="$tmp/prefix"
as=()
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  as=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
other() { (cd work && env -i HOME="$tmp/work" PATH="$tmp/prefix/bin:/usr/bin:/bin" NO_COLOR=1 \
  ${CONFIG:+RUNBOOK_CONFIG="$CONFIG"} "${as[@]}" runbook "$@" </dev/null); }
[ "${#as[@]}" != 0 ] || skip "as another user" "not root: the same user is used"
is "another user: version" "$(other version | cut -d' ' -f1)" runbook
has "another user: the runbooks that were installed" "$(other list)" "tenant_isolation"
has "another user: hello, without a configuration" "$(other run hello name=Kim -n)" "greeting"
ok "another user: check" other check tenant_isolation
ok "another user: show" other show tenant_isolation
ok "another user: its tape is its own" test -s work/.local/state/runbook/tape.db
has "another user: completion" "$(other __complete run ten)" "tenant_isolation"
cat > work/all.lua <<'LUA'
return runbook { title = "Modules", step "All" { probe = function (run)
  run:finding("json", json.encode { a = 1 })
  run:finding("file", #file.list("."))
  run:finding("exec", exec.probe { "id", "-un" }.stdout)
end } }
LUA
cat > work/c.lua <<LUA
return { target = "t", targets = { t = { kind = "sandbox",
  allow = { files = { "$tmp/work" }, programs = { "id" } },
  systems = { s = { dotenv = "$tmp/work/.env" } } } } }
LUA
out=$(CONFIG=$tmp/work/c.lua other run all.lua --json)
is "another user: modules are loaded" "$(jq -r .status <<<"$out")" done
[ "${#as[@]}" = 0 ] || is "another user: it is another one" \
  "$(jq -r '.findings[] | select(.name == "exec").value' <<<"$out" | xargs)" nobody
has "another user: report" "$(other report)" "Modules"
if [ "${#as[@]}" != 0 ]; then
  chown nobody prefix/lib/runbook/json.so
  has "a module that is another user's is not used" "$("$tmp/prefix/bin/runbook" run work/all.lua \
    --config work/c.lua 2>&1)" "must belong to root or to you"
fi
for m in "$BUILD"/lib/*.so; do
  ok "module $(basename "$m")" test -s "prefix/lib/runbook/$(basename "$m")"
done
if [ -n "$(command -v bash)" ]; then
  is "bash finds the completion" "$(PATH=$tmp/prefix/bin:$PATH bash --norc -c '
    . "$1"; COMP_WORDS=(runbook vers) COMP_CWORD=1 COMP_TYPE=9; _runbook runbook
    echo "${COMPREPLY[@]}"' _ prefix/share/bash-completion/completions/runbook)" "version"
fi

# -- locks that several people share --------------------------------------------------------
if [ "${#as[@]}" != 0 ]; then
  mkdir locks; chgrp nogroup locks; chmod 2770 locks
  sed "s|return {|return { locks = \"$tmp/locks\",|; s|\"id\"|\"id\", \"sleep\"|" work/c.lua > work/l.lua
  cat > work/held.lua <<'LUA'
return runbook { title = "Held", lock = "the thing", params = { s = { "integer", default = 0 } },
  step "Hold it" { remedy = function (run) exec.run { "sleep", tostring(run.s) } end } }
LUA
  "$tmp/prefix/bin/runbook" run work/held.lua s=60 --config work/l.lua >/dev/null 2>&1 & pid=$!
  for _ in $(seq 100); do child=$(pgrep -P "$pid" -x sleep) && break; sleep 0.1; done
  out=$(CONFIG=$tmp/work/l.lua other run held.lua 2>&1); rc=$?
  is "a lock that another user holds: exit" "$rc" 5
  has "a lock that another user holds: who" "$out" " by $(id -un) on "
  out=$(CONFIG=$tmp/work/c.lua other run held.lua -n 2>&1); rc=$?
  is "without a shared folder it is not seen" "$rc" 1   # sleep is not allowed there
  hasnot "without a shared folder it is not seen: no lock" "$out" "held by"
  kill "$pid" "$child"; wait "$pid" 2>/dev/null
  out=$(CONFIG=$tmp/work/l.lua other run held.lua 2>&1); rc=$?
  is "killed, it keeps what it may have half done" "$rc" 5
  "$tmp/prefix/bin/runbook" abandon "$("$tmp/prefix/bin/runbook" history --json \
    | jq -r ".[0].run")" --yes >"$tmp/abandon" 2>&1
  out=$(CONFIG=$tmp/work/l.lua other run held.lua 2>&1); rc=$?
  is "abandoned, it is free for others" "$rc" 0
  sed -i "s|$tmp/locks|/nonexistent|" work/l.lua
  out=$(CONFIG=$tmp/work/l.lua other run held.lua 2>&1); rc=$?
  is "a folder of locks that is not there: exit" "$rc" 2
  has "a folder of locks that is not there: which" "$out" "/nonexistent"
else skip "locks that several people share" "not root"; fi

# -- the manual ------------------------------------------------------------------------------
for c in $("$runbook" __complete '' | cut -f1); do
  page=prefix/share/man/man1/runbook-$c.1
  ok "runbook-$c(1)" test -s "$page"
  # what help says is what the page says
  for o in $("$runbook" help "$c" | sed -nE 's/^  (-., |    )(--[a-z-]+).*/\2/p'); do
    ok "runbook-$c(1) has $o" grep -qF -- "${o//-/\\-}" "$page"
  done
  has "runbook(1) names runbook-$c" "$(cat prefix/share/man/man1/runbook.1)" ".BR runbook\\-$c (1)"
done
if command -v mandoc >/dev/null; then
  is "mandoc has nothing to say" "$(mandoc -T lint -W warning prefix/share/man/man*/* 2>&1)" ""
  out=$(mandoc -T utf8 prefix/share/man/man1/runbook-run.1 | sed 's/.\x08//g')
  has "a page reads well: an option" "$out" "-n, --dry-run"
  has "a page reads well: exit codes" "$out" "130  interrupted"
else skip "mandoc" "not here"; fi
if command -v man >/dev/null && command -v groff >/dev/null; then
  is "man --warnings has nothing to say" "$(for f in prefix/share/man/man*/*; do
    man --warnings -E UTF-8 -l -Tutf8 -Z "$f" 2>&1 >/dev/null; done)" ""
  has "man finds it" "$(MANPATH=$tmp/prefix/share/man man runbook-history 2>/dev/null)" "only the N newest"
else skip "man" "not here"; fi

# the configuration that help shows is one
"$runbook" help config | awk '/^  return \{/, /^  \}/' > example.lua
chmod 600 example.lua
SHOP_URL=postgresql://a@127.0.0.1/x SHOP_PROBE_URL=postgresql://b@127.0.0.1/x \
  rb list --config example.lua
is "the configuration in help config is one" "$rc" 0
"$runbook" help runbooks | awk '/^  return runbook \{/, /^  \}/' > example.lua
rb check example.lua
hasnot "the runbook in help runbooks is one" "$out" "syntax"
for t in exit-codes config runbooks; do rb help $t; is "help $t" "$rc" 0; done
rb help exit-code
has "a misspelt topic" "$err" "did you mean 'exit-codes'"

ok "make uninstall PREFIX" make_ uninstall PREFIX="$tmp/prefix"
is "uninstall leaves nothing" "$(left prefix)" ""
