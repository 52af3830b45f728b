#!/bin/bash
# mail_test.sh - mails as MIME, through servers that take them, refuse, and hang up
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/receivers.sh"
"$python" -c 'import aiosmtpd' 2>/dev/null || { skip "mail" "needs python3-aiosmtpd"; exit 0; }
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/key.pem" -out "$tmp/cert.pem" -days 40 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost >/dev/null 2>&1
export MAIL_PASSWORD='p:w d/1234'
receivers_start --user ops --password "$MAIL_PASSWORD" --tls "$tmp/cert.pem" "$tmp/key.pem"
cd "$tmp" || exit 1
mkdir d; printf 'a,b\n1,2\n' >d/rows.csv
printf 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n' >d/invite.ics
target() { echo "  $1 = { kind = \"sandbox\", systems = {}, allow = { files = { \"$tmp/d\" } }, notify = { mail = { from = \"On call <OnCall@Example.org>\", $2 } } },"; }
login="user = \"ops\", password = secret \"MAIL_PASSWORD\""
{ echo 'return { target = "plain", targets = {'
  target plain "smtp = \"smtp://127.0.0.1:$smtp\", reply_to = \"desk@example.org\""
  target never "smtp = \"smtp://127.0.0.1:$smtp\", starttls = \"never\""
  target starttls "smtp = \"smtp://localhost:$starttls\", ca = \"$tmp/cert.pem\", $login"
  target smtps "smtp = \"smtps://localhost:$smtps\", ca = \"$tmp/cert.pem\", $login"
  target noauth "smtp = \"smtp://localhost:$starttls\", ca = \"$tmp/cert.pem\""
  target inclear "smtp = \"smtp://localhost:$starttls\", starttls = \"never\""
  target notls "smtp = \"smtp://localhost:$smtp\", starttls = \"required\""
  target loginclear "smtp = \"smtp://localhost:$smtp\", $login"
  target untrusted "smtp = \"smtp://localhost:$starttls\", $login"
  target badlogin "smtp = \"smtp://localhost:$starttls\", ca = \"$tmp/cert.pem\", user = \"ops\", password = \"wrong-one\""
  target mute "smtp = \"smtp://127.0.0.1:${hook##*:}\""
  target gone 'smtp = "smtp://127.0.0.1:1"'
  echo '  nosmtp = { kind = "sandbox", systems = {}, notify = { mail = { from = "a@example.org" } } },'
  echo "  nofrom = { kind = \"sandbox\", systems = {}, notify = { mail = { smtp = \"smtp://127.0.0.1:$smtp\" } } },"
  echo '} }'; } >runbook.config.lua
export RUNBOOK_CONFIG=$tmp/runbook.config.lua
# send FIELDS [ARGS]: a mail to kim with them
book() { printf 'return runbook { title = "T", step "S" { %s } }\n' "$1" >t.lua; }
send() { book "notify = function (run) mail.send{ $1 } end"; rb run t.lua --json "${@:2}"; }
j() { jq -r "$1" <<<"$out"; }
failure() { echo "$rc $(j '.error | .kind + " " + .certainty + ": " + .message')"; }
hello='to = "kim@example.org", subject = "Hello", text = "Hello\nKim"'

# -- what is sent --------------------------------------------------------------------------
send "$hello" -n
is "a dry run shows all of it" "$rc $(j '.steps[0].effects[0] | .verdict + "\n" + .after.value')" \
  $'0 would do\nFrom: oncall@example.org\nTo: kim@example.org\nReply-To: desk@example.org\nSubject: Hello\n\nHello\nKim'
is "and sends nothing" "$(kept length)" 0
send "$hello"
is "sent" "$rc $(kept '.[0] | .sender + " " + (.to | join(",")) + " " + .subject + " " + .parts[0].content')" $'0 oncall@example.org kim@example.org Hello Hello\r\nKim'
is "its headers" "$(kept '.[0].headers | .from, .to, ."reply-to", ."auto-submitted", ."mime-version"')" \
  $'On call <oncall@example.org>\nkim@example.org\ndesk@example.org\nauto-generated\n1.0'
ok "a date that is now" test $(($(date +%s) - $(date -d "$(kept '.[0].headers.date')" +%s))) -lt 100
forget; send 'to = { " KIM@Example.ORG", "\"Doe, J\" <J.Doe@example.org>", "Zoë Ünal <zoe@example.org>" }, cc = "cc@example.org", bcc = "bcc@example.org",
  reply_to = "r@example.org", subject = "Störung: ✓ " .. ("sehr "):rep(30) .. "=?x?=", text = "é\n.\n..dot\n", html = "<p>é</p>",
  attach = { "'"$tmp"'/d/rows.csv", "'"$tmp"'/d/invite.ics", { name = "übersicht.txt", content = "ü", type = "text/plain; charset=utf-8" }, { name = "bin", content = "\0\1\255" } }'
is "to many" "$rc $(kept '.[0].to | join(" ")')" "0 kim@example.org j.doe@example.org zoe@example.org cc@example.org bcc@example.org"
is "who sees whom" "$(kept '.[0].headers | .to, .cc, .bcc')" $'kim@example.org, "Doe, J" <j.doe@example.org>, Zoë Ünal <zoe@example.org>\ncc@example.org\nnull'
is "a subject that is not ASCII" "$(kept '.[0].subject')" "Störung: ✓ $(printf 'sehr %.0s' {1..30})=?x?="
is "no line of the head is long" "$(kept '.[0].raw' | sed '/^\r*$/q' | awk '/=\?/ && length > 77')" ""
is "text and HTML" "$(kept '.[0].parts[:2][] | .type + " " + .content')" $'text/plain é\r\n.\r\n..dot\r\n\ntext/html <p>é</p>'
is "attachments" "$(kept '.[0].parts[2:][] | .type + " " + .name + " " + (.params.method // "")')" \
  $'text/csv rows.csv \ntext/calendar invite.ics REQUEST\ntext/plain übersicht.txt \napplication/octet-stream bin '
is "as they are" "$(kept '.[0].parts[2].content + .[0].parts[5].content')" $'a,b\n1,2\n0001ff'
forget; send 'to = "kim@example.org", subject = "x", html = "<p>x</p>"'
is "HTML alone" "$rc $(kept '[.[0].parts[].type] | join(" ")')" "0 text/html"

# -- its Message-ID ---------------------------------------------------------------------------
forget; book 'notify = function (run) run.a = mail.send{ '"$hello"' } run.b = mail.send{ '"$hello"' } end },
  step "Then" { probe = function (run) run:finding("a", run.a) run:finding("b", run.b) end'
rb run t.lua --json
is "is returned" "$rc $(j '[.findings[].value] | join(" ")')" "0 $(kept '[.[].headers."message-id"] | join(" ")')"
ok "each has its own" test "$(kept '.[0].headers."message-id" != .[1].headers."message-id"')" = true
has "of the sender's domain" "$(kept '.[0].headers."message-id"')" "@example.org>"
has "on the tape" "$("$runbook" report --json 2>/dev/null)$("$runbook" report --format json 2>/dev/null)" "$(kept '.[0].headers."message-id"' | tr -d '<>')"
rb run t.lua -n --json; is "a dry run does not know it" "$rc $(j '.steps[0].status')" "7 deferred"

# -- what is no mail -----------------------------------------------------------------------------
forget
while IFS='|' read -r words fields; do
  send "$fields" -n; has "$fields (dry run)" "$out" "$words"
  send "$fields"; has "$fields" "$out" "$words"; ok "fails" test "$rc" != 0
done <<'END'
subject: a line break|to = "kim@example.org", subject = "x\r\nBcc: eve@example.org", text = "x"
subject: a line break|to = "kim@example.org", subject = "x\ny", text = "x"
the subject is empty|to = "kim@example.org", subject = " ", text = "x"
there is no subject|to = "kim@example.org", text = "x"
longer than 900 bytes|to = "kim@example.org", subject = ("x"):rep(901), text = "x"
to: a line break|to = "kim@example.org\nBcc: eve@example.org", subject = "x", text = "x"
to: a line break|to = "Kim\r <kim@example.org>", subject = "x", text = "x"
reply_to: a line break|to = "kim@example.org", reply_to = "k@example.org\n", subject = "x", text = "x"
is no address such as kim@example.org|to = "kim", subject = "x", text = "x"
is no address such as kim@example.org|to = "kim@@example.org", subject = "x", text = "x"
is no address such as kim@example.org|to = "kim ada@example.org", subject = "x", text = "x"
is no address such as kim@example.org|to = "kim@example.org, eve@example.org", subject = "x", text = "x"
is no address such as kim@example.org|to = "k..m@example.org", subject = "x", text = "x"
is no address such as kim@example.org|to = "kim@-example.org", subject = "x", text = "x"
is no address such as kim@example.org|to = "kim@exämple.org", subject = "x", text = "x"
is no address such as Kim|to = "Kim <kim@example.org", subject = "x", text = "x"
is no address such as Kim|to = "Kim <kim@example.org> eve", subject = "x", text = "x"
longer than an address may be|to = ("x"):rep(250) .. "@example.org", subject = "x", text = "x"
to whom? there is no `to`|subject = "x", text = "x"
to: the list is empty|to = {}, subject = "x", text = "x"
an address or a list of addresses|to = 7, subject = "x", text = "x"
it says nothing|to = "kim@example.org", subject = "x"
unknown field 'body'|to = "kim@example.org", subject = "x", body = "x"
unknown field 'txt' (did you mean 'text'?)|to = "kim@example.org", subject = "x", txt = "x"
is not in a folder that this target allows|to = "kim@example.org", subject = "x", text = "x", attach = { "/etc/passwd" }
attach is a list|to = "kim@example.org", subject = "x", text = "x", attach = { name = "x", content = "y" }
a name such as|to = "kim@example.org", subject = "x", text = "x", attach = { { name = "../x", content = "y" } }
attach: name: a line break|to = "kim@example.org", subject = "x", text = "x", attach = { { name = "x\ny", content = "y" } }
a type is such as text/csv|to = "kim@example.org", subject = "x", text = "x", attach = { { name = "x", type = "a/b\r\nX: y", content = "y" } }
has no content|to = "kim@example.org", subject = "x", text = "x", attach = { { name = "x" } }
larger than the 10 MB|to = "kim@example.org", subject = "x", text = "x", attach = { { name = "x", content = ("x"):rep(10485761) } }
text is a text, not a userdata|to = "kim@example.org", subject = "x", text = token.secret(16)
END
ln -s /etc/passwd d/link
send 'to = "kim@example.org", subject = "x", text = "x", attach = { "'"$tmp"'/d/link" }'; has "a link leads nowhere else" "$(failure)" "is not in a folder"
send 'to = "kim@example.org", subject = "x", text = "x", attach = { "'"$tmp"'/d/none" }'; has "no such file" "$(failure)" "1 missing not done"
send "$hello" --target nosmtp; has "no server" "$(failure)" "has no \`smtp\`"
send "$hello" --target nofrom; has "no sender" "$(failure)" "has no \`from\`"
is "of all that nothing was sent" "$(kept length)" 0
sed 's/"never"/"nevr"/' runbook.config.lua >bad.lua; rb run t.lua --config bad.lua
has "starttls is checked" "$rc $err" 'starttls: "required", "offered" or "never" is expected, not "nevr"'

# -- TLS and passwords --------------------------------------------------------------------------------
for t in starttls smtps; do forget; send "$hello" --target $t; is "$t, with a password" "$rc $(kept '.[0].user')" "0 ops"; done
send "$hello" --target never; is "never: in clear" "$rc" 0
forget
while IFS='|' read -r t words; do
  send "$hello, " --target "$t" --timeout 8s; has "$t" "$(failure)" "$words"
done <<'END'
notls|1 auth not done: mail: the server does not offer STARTTLS, which is required here
loginclear|1 auth not done: mail: the server does not offer STARTTLS, which is required here
untrusted|1 auth not done: mail: to kim@example.org: SSL certificate problem
badlogin|1 auth not done: mail: the server takes no mail from this user (535
noauth|1 refused not done: mail: to kim@example.org: the server said "530
inclear|1 refused not done: mail: to kim@example.org: the server said "530
gone|1 io not done: mail: to kim@example.org: Failed to connect
mute|not done
END
is "of all that nothing was sent" "$(kept length)" 0
hasnot "the password is nowhere" "$(cat "$tmp"/state/runbook/tape.db* | strings)$out$err" "w d/1234"

# -- servers that say no, not now, and nothing ----------------------------------------------------------
while IFS='|' read -r how words; do
  forget; behave "{\"mail\": [\"$how\"]}"; send "$hello"; has "$how" "$(failure)" "$words"
done <<'END'
550|1 refused not done: mail: to kim@example.org: the server said "550 5.1.1 No such mailbox here"; nobody was told
451|1 server not done: mail: to kim@example.org: the server said "451 4.7.1 Greylisted, please try again later"; nobody was told, and it may be tried again
data 554|1 refused not done: mail: to kim@example.org: the server said "554
data 452|1 server not done: mail: to kim@example.org: the server said "452
drop|6 in-doubt unknown: mail: to kim@example.org: 
END
has "dropped after DATA: says so" "$(failure)" "it was handed over, and may have been delivered"
rb resume --json; has "a resume asks" "$rc $(j .error.message)" "6 mail.send kim@example.org: Hello (s/notify/1) may or may not have happened"
is "and sends nothing" "$(kept length)" 1
id=$(kept '.[0].headers."message-id"')
rb resume --json --in-doubt=retry; is "sent again, it is the same mail" "$rc $(kept '.[1].headers."message-id"')" "0 $id"
forget; behave '{"mail": ["451", "451"]}'; book "retry = { times = 3, every = '10ms' }, notify = function () mail.send{ $hello } end"
rb run t.lua --json; is "greylisted: retry helps" "$rc $(kept length)" "0 1"
forget; behave '{"mail": ["550"]}'; rb run t.lua --json; is "refused: it is not tried again" "$rc $(kept length)" "1 0"
behave '{"mail": ["550"]}'; send 'to = { "kim@example.org", "ada@example.org" }, subject = "x", text = "x"'
is "one of two refused: nobody gets it" "$rc $(kept length)" "1 0"
rb verify; is "the tape fits" "$rc" 0
