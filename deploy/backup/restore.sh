#!/usr/bin/env bash
# restore.sh DUMP: puts a dump of backup.sh into the database that NEXUS_DATABASE_URL or NEXUS_DATABASE_URL_FILE names, which must be there
# and empty, all of it or nothing, and sees that the audit log ends where it ended. Start a node on it afterwards, or
# `nexus audit verify`, which walks the whole chain.
set -euo pipefail
# shellcheck source=deploy/backup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
(($# == 1)) || die "usage: restore.sh DUMP"
dump=$1 head=${1%.dump}.head
[[ -f $dump && -f $head ]] || die "$dump and $head must both be there"
database

told() { awk -v name="$1" '$1 == name { print $2 }' "$head"; }
sum=$(sha256sum <"$dump")
[[ ${sum%% *} == "$(told sha256)" ]] || die "$dump is damaged: its checksum is not the one in $head"
there=$(psql --no-psqlrc --tuples-only --no-align --command "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_'")
[[ $there == 0 ]] || die "the database is not empty: a dump goes into a new one"

pg_restore --dbname="" --single-transaction --exit-on-error --no-owner --no-privileges "$dump"

now=$(psql --no-psqlrc --tuples-only --no-align --field-separator=' ' --command "select seq, encode(hash, 'hex') from audit_head")
[[ $now == "$(told seq) $(told hash)" ]] || die "THE AUDIT LOG ENDS AT $now, AND SHOULD AT $(told seq) $(told hash)"
psql --no-psqlrc --quiet --command "analyze"
echo "restored: audit head $now"
