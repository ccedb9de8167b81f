#!/usr/bin/env bash
# backup.sh FOLDER: dumps the database into FOLDER, and beside it what the dump is: its checksum and the head of the audit log at that
# moment. Keeps the newest NEXUS_BACKUP_KEEP dumps, 14 if it is not set. NEXUS_DATABASE_URL or NEXUS_DATABASE_URL_FILE says where the
# database is. Nodes go on meanwhile.
#
# Copy FOLDER to another place, and the heads to one that whoever could change the database cannot reach: by them a rewritten log is found.
set -euo pipefail
# shellcheck source=deploy/backup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
(($# == 1)) || die "usage: backup.sh FOLDER"
keep=${NEXUS_BACKUP_KEEP:-14}
[[ $keep =~ ^[1-9][0-9]{0,3}$ ]] || die "NEXUS_BACKUP_KEEP takes a number from 1 to 9999, not $keep"
database
umask 077
mkdir -p "$1"
cd "$1"
exec 9>.lock
flock -n 9 || die "another backup is under way in $1"
rm -f -- .part.*

# Dump and head are of one snapshot, which lives as long as the session that made it.
coproc SESSION { psql --no-psqlrc --quiet --tuples-only --no-align --field-separator=' ' --set ON_ERROR_STOP=1; }
session=$SESSION_PID
echo "begin isolation level repeatable read read only; select 'SNAPSHOT', pg_export_snapshot(); select 'HEAD', seq, encode(hash, 'hex') from audit_head;" >&"${SESSION[1]}"
read -r -t 30 word snapshot <&"${SESSION[0]}" && [[ $word == SNAPSHOT ]] || die "the database gives no snapshot"
read -r -t 30 word seq hash <&"${SESSION[0]}" && [[ $word == HEAD && $hash =~ ^[0-9a-f]{64}$ ]] || die "there is no audit log: is this the database of NEXUS?"

name=nexus-$(date -u +%Y%m%dT%H%M%SZ)
[[ ! -e $name.dump ]] || die "$name.dump is there already"
pg_dump --format=custom --compress=6 --no-owner --no-privileges --snapshot="$snapshot" --file=".part.$name"
echo 'commit; \q' >&"${SESSION[1]}"
wait "$session"
pg_restore --list ".part.$name" >/dev/null # it can be read

sum=$(sha256sum <".part.$name")
printf 'sha256 %s\nseq %s\nhash %s\n' "${sum%% *}" "$seq" "$hash" >".part.head"
sync ".part.$name" .part.head
mv ".part.head" "$name.head"
mv ".part.$name" "$name.dump" # last: a dump that is there is whole
sync .

dumps=(nexus-*.dump)
for ((i = 0; i < ${#dumps[@]} - keep; i++)); do rm -f -- "${dumps[i]}" "${dumps[i]%.dump}.head"; done
echo "$1/$name.dump: audit head $seq $hash"
