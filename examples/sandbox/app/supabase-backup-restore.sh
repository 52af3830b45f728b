#!/bin/bash
# supabase-backup-restore.sh - back production up, for the project of a given reference
#
#   supabase-backup-restore.sh [--backup-only] --project-ref REF
#
# Its settings (where the source, the bucket and the platform are) are in dr.env beside the
# folder it works in, $DR_ENV. It writes backup.log and rowcount.csv there. Without
# --backup-only it also replays the dump into the project's database, in one transaction.
set -u -o pipefail
ref='' restore=1
while [ $# -gt 0 ]; do
  case $1 in
    --backup-only) restore='' ;;
    --project-ref) ref=${2-}; shift ;;
    *) echo "usage: $0 [--backup-only] --project-ref REF" >&2; exit 2 ;;
  esac
  shift
done
[ -n "$ref" ] || { echo "--project-ref is missing" >&2; exit 2; }
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "${DR_ENV:-$here/dr.env}"
started=$SECONDS
out=$here/out
work=$(mktemp -d "$here/work.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" && : > "$out/backup.log" || exit 1

log () { printf '%(%FT%TZ)T %s\n' -1 "$*" >> "$out/backup.log"; }
stop () { log "failed: $*"; printf '%s\n' "$*" >&2; exit 1; }
export TZ=UTC

log "start project=$ref source=$SOURCE_REF"
[ "$ref" != "$SOURCE_REF" ] || stop "the project $ref is the source itself"

status=$(curl -s -o "$work/manifest.json" -w '%{http_code}' -K - "$PLATFORM_URL/v1/projects/$ref/backups" \
  <<< "header = \"Authorization: Bearer $ACCESS_TOKEN\"")
[ "$status" = 200 ] || stop "snapshot manifest: HTTP $status"
log "manifest status=200"

# rows are counted in the very snapshot that is dumped
export PGHOST=$SOURCE_HOST PGPORT=$SOURCE_PORT PGUSER=$SOURCE_USER PGDATABASE=$SOURCE_DATABASE
export PGPASSWORD=$SOURCE_PASSWORD
name=vouchers-$(date +%Y%m%d-%H%M%S).sql
at=$SECONDS
export DUMP=$work/$name EXCLUDE=${EXCLUDE_TABLE:+--exclude-table-data=vouchers.$EXCLUDE_TABLE}
psql -XqAt -F , -v ON_ERROR_STOP=1 > "$work/source.csv" <<'END' || stop "the source cannot be counted"
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT pg_export_snapshot() AS snapshot \gset
\setenv SNAPSHOT :snapshot
\! pg_dump --snapshot="$SNAPSHOT" --schema=vouchers --no-owner --no-privileges $EXCLUDE -f "$DUMP"
SELECT relname, (xpath('/row/n/text()', query_to_xml(format(
  'SELECT count(*) AS n FROM vouchers.%I', relname), false, true, '')))[1]
  FROM pg_stat_user_tables WHERE schemaname = 'vouchers' ORDER BY 1;
COMMIT;
END
[ -s "$DUMP" ] || stop "pg_dump made no dump"
log "dump file=$name bytes=$(stat -c %s "$DUMP") seconds=$((SECONDS - at))"

{ echo table,source,backup
  while IFS=, read -r table rows; do
    printf '%s,%s,%s\n' "$table" "$rows" "$(awk -v t="COPY vouchers.$table " '
      index($0, t) == 1 { on = 1; next } on && $0 == "\\." { exit } on { n++ } END { print n + 0 }' "$DUMP")"
  done < "$work/source.csv"
} > "$out/rowcount.csv"

case ${DAMAGE:-} in                       # what can happen to a file on its way
  truncated) head -c 20000 "$DUMP" > "$work/x" && mv "$work/x" "$DUMP" ;;
  empty) : > "$DUMP" ;;
  other-schema) sed -i 's/\bvouchers\b/coupons/g' "$DUMP" ;;
  newer) sed -i 's/^-- Dumped from database version .*/-- Dumped from database version 99.1/' "$DUMP" ;;
esac

at=$SECONDS
sleep "${STORAGE_DELAY:-0}"
objects=0
for png in "$here"/storage/*.png; do
  cp -p "$png" "$BUCKET/" || stop "storage sync: $BUCKET takes nothing"
  objects=$((objects + 1))
done
log "storage objects=$objects seconds=$((SECONDS - at))"

cp "$DUMP" "$BUCKET/$name" || stop "upload to $BUCKET failed"
log "upload destination=$BUCKET_NAME/$name"

if [ -n "$restore" ]; then
  export PGUSER=$STAGING_USER PGDATABASE=$STAGING_DATABASE PGPASSWORD=$STAGING_PASSWORD
  { echo 'DROP SCHEMA IF EXISTS vouchers CASCADE;'; cat "$DUMP"; } \
    | PGOPTIONS='-c client_min_messages=warning' psql -XqAt -1 -v ON_ERROR_STOP=1 -f - > /dev/null \
    || stop "the restore into $ref failed"
  log "restore project=$ref"
fi
log "done runtime=$((SECONDS - started))"
