#!/usr/bin/env bash
# polaris/pathful_schema_change on the sandbox, one variant after the other: what it measures, what it
# proposes, that nothing is imported with a required column missing, and when the schedule goes on.
. "$(dirname "$0")/../../tests/lib.sh"
sandbox_up
cd "$tmp" || exit 2
variant() { "$top/examples/sandbox/sandbox" variant "$1" "$tmp/sb" > variant.log 2>&1 || { cat variant.log; fail "variant $1"; }; . "$tmp/sb/env"
            next=$SANDBOX_POLARIS/export/pathful-next.csv good=$SANDBOX_POLARIS/samples/pathful-good.csv; }
sql() { psql -qAt "$SANDBOX_POLARIS_PG_URL" -c "$1"; }
j() { jq -r "$1" <<<"$out"; }
found() { jq -r --arg n "$1" '.findings[] | select(.name == $n) | .value' <<<"$out"; }
verbs() { j "[.steps[].effects[] | select(.$1 == \"$2\") | .verb] | join(\" \")"; }
schedule() { curl -s "$SANDBOX_POLARIS_URL/features/pathful_imports" | jq -r .enabled; }
imports() { sql "select coalesce(string_agg(file || ' ' || status || ' ' || rows, ', ' order by id), 'none') from virtual_session_import where id > ${1:-15}"; }
world() {
  psql -qAt "${SANDBOX_PG_ADMIN_URL%/*}/polaris" -c "select pg_snapshot_xmax(pg_current_snapshot())"
  redis-cli -u "$SANDBOX_REDIS_ADMIN_URL" --no-auth-warning debug digest 2>&1
  (cd "$SANDBOX_POLARIS" && find . -type f -exec sha256sum {} + | sort)
}
give_up() { local id; id=$(j .run); [ "$id" = null ] || rb abandon "$id" --yes; }
book() { rb run pathful_schema_change --json "$@"; }
dry() { local what=$1 before; shift; before=$(world); book "$@" --dry-run; is "$what: the dry run changed nothing" "$(world)" "$before"; }
echo '{ "agree-to-the-names": "done: the values agree" }' > answers.json

# -- renamed -----------------------------------------------------------------------------------
variant polaris-renamed
dry renamed sample="$next"
is "renamed: what is planned" "$rc $(verbs verdict 'would do')" "7 redis.set file.copy file.write http.post redis.set"
is "renamed: only what waits for the first import is left open" "$(j '[.steps[] | select(.status == "deferred") | .id] | join(" ")')" "how-does-the-first-import-go pause-again-for-it-went-wrong"
is "renamed: the symptom" "$(found 'missing required columns')" yes
is "renamed: by likeness" "$(found 'renamed: Session ID'); $(found 'renamed: SignUp Role'); $(found 'renamed: User Auth Id')" \
  "SessionID (alike by 1.00); Signup Role Name (alike by 0.94); User Authentication Id (alike by 0.87)"
is "renamed: and what is new" "$(found 'new: Region')" 'is in no contract: left out'
has "renamed: the map as a diff" "$(j '.steps[] | select(.id == "update-the-alias-map") | .effects[] | .after.diff? // empty')" '+  "SessionID": "Session ID"'
book sample="$next" --yes
is "renamed: nobody else agrees for a person" "$rc $(j .status) $(schedule) $(imports)" "3 stopped false none"
is "renamed: the map is as it was" "$(jq length "$SANDBOX_POLARIS/aliases.json")" 2
rb resume --answers answers.json --json
is "renamed: with the answer it is done" "$rc $(j .status)" "0 done"
is "renamed: every verification passed" "$(j '[.steps[] | select(.verify) | .verify] | unique | join(",")')" passed
is "renamed: a test of ten rows, then the whole" "$(imports | sed 's/test-[0-9a-f]*/test/')" "test.csv ok 10, pathful-next.csv ok 60"
is "renamed: the schedule is on" "$(schedule)" true
has "renamed: the first import was watched" "$(found 'first import')" 'pathful-next.csv: ok, 0 of 60 rows invalid'
is "renamed: the sample is kept" "$(cmp "$next" "$(found sample)" && echo same)" same
is "renamed: the map has three more" "$(jq length "$SANDBOX_POLARIS/aliases.json")" 5
rb undo --json
is "renamed: undone, and the map is as it was" "$rc $(jq length "$SANDBOX_POLARIS/aliases.json")" "0 2"
variant polaris-renamed
echo '{ "agree-to-the-names": "not done: SessionID is another number" }' > no.json
book sample="$next" --yes --answers no.json
is "a person who does not agree ends it, paused" "$rc $(schedule) $(imports) $(jq length "$SANDBOX_POLARIS/aliases.json")" "3 false none 2"
give_up

# -- a required column is gone --------------------------------------------------------------------
variant polaris-column-gone
dry column-gone sample="$next"
is "column-gone: the dry run says that it fails" "$rc" 1
book sample="$next" --yes
has "column-gone: never imported" "$rc $(j .error.message)" '1 required columns are missing: School. Nothing is imported'
is "column-gone: nothing came in, and it stays paused" "$(imports) $(schedule)" "none false"
is "column-gone: the rest is not even offered" "$(j '[.steps[].effects[] | select(.kind == "remedy") | .verb] | join(" ")')" "redis.set file.copy"
give_up
book sample="$next" --yes alias='District or Company=Scool'
has "an alias for a column that is none" "$rc $(j .error.message)" 'alias takes "NEW=COLUMN" with a column of the contract'
give_up
sed '1s/Partner/Site/' "$next" > site.csv
variant polaris-column-gone
book sample="$tmp/site.csv" --yes alias=' Site = School ' --answers answers.json watch=20s
is "an alias that likeness cannot know" "$rc $(jq -r .Site "$SANDBOX_POLARIS/aliases.json") $(found 'renamed: School')" "1 School Site (as you said)"
has "... the first import still lacks it: it is paused again" "$(j .error.message) $(schedule)" 'the first import went wrong: pathful-next.csv: failed'
is "... paused" "$(schedule)" false
give_up

# -- the other symptoms ---------------------------------------------------------------------------
variant polaris-invalid-rows
dry invalid-rows sample="$next"
is "invalid-rows: a spike" "$(found 'invalid rows')" '100.0 %, limit 10 %'
has "invalid-rows: by line" "$(j '[.findings[] | select(.name | startswith("line "))][0] | .name + " " + .value')" 'line 2'
book sample="$next" --yes
has "invalid-rows: not imported" "$rc $(j .error.message) $(imports) $(schedule)" '1 100.0 % of the rows are invalid'
is "invalid-rows: paused" "$(imports) $(schedule)" "none false"
give_up
variant polaris-new-column
dry new-column sample="$next" watch=1s
is "new-column: left out" "$rc $(found 'new: Region')" '7 is in no contract: left out'
book sample="$next" --yes watch=1s
is "new-column: a test, and the schedule is on" "$rc $(imports | sed 's/test-[0-9a-f]*/test/') $(schedule)" "0 test.csv ok 10 true"
has "new-column: none was due" "$(found 'first import')" 'none within 1s'
variant polaris-all-not-started
book sample="$good" --dry-run
is "everybody Not Started, and most have attended" "$(found 'teachers Not Started')" '240 of 240; 144 of them have attended'
variant healthy
book sample="$good" --dry-run
is "healthy: as the contract has them" "$rc $(found columns) $(found 'missing required columns')" "7 as the contract has them no"

# -- what was paused before stays paused ----------------------------------------------------------------
redis-cli -u "$SANDBOX_POLARIS_REDIS_URL" --no-auth-warning set feature:pathful_imports off >/dev/null
book sample="$good" --yes watch=1s
is "what somebody else paused stays paused" "$rc $(schedule)" "0 false"

# -- bad input ----------------------------------------------------------------------------------------
variant healthy
bad() {  # WHAT FILE WORDS
  local before; before=$(world)
  book sample="$2" --yes
  has "$1" "$rc $(j .error.message)" "$3"
  is "$1: nothing is imported" "$(imports 14)" none
  give_up
}
head -n 1 "$good" > headeronly.csv;              bad "a sheet of nothing but a header" "$tmp/headeronly.csv" 'the sample has 0 rows'
sed '1s/Title/Status/' "$good" > twice.csv;      bad "a column twice" "$tmp/twice.csv" 'two columns for Status'
iconv -t UTF-16 "$good" > utf16.csv;             bad "UTF-16" "$tmp/utf16.csv" 'UTF-16'
: > empty.csv;                                   bad "an empty file" "$tmp/empty.csv" 'empty'
printf '"Session ID,Title\n' > open.csv;         bad "a quote never closed" "$tmp/open.csv" 'quote'
book sample=/nowhere.csv --yes
has "no such file" "$rc $(j .error.message)" '/nowhere.csv'
sed '/pathful_contract = {/,/^            },/d' runbook.config.lua > other.lua; chmod 600 other.lua
before=$(world)
book sample="$good" --yes --config other.lua
has "no contract configured" "$rc $(j .error.message)" '2 the setting pathful_contract of the system polaris is missing'
is "... and nothing has changed" "$(world)" "$before"
rb show pathful_schema_change
for part in 'Pause the imports' 'Update the alias map' 'Resume the schedule'; do has "show: $part" "$out" "$part"; done
