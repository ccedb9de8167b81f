#!/usr/bin/env bash
# recover.sh BASE ARCHIVE DATA [MOMENT]: makes a folder DATA for a new server of BASE, which base.sh made, and of the segments in ARCHIVE, up to
# their end or to MOMENT ("2026-11-27 14:59:00+00"). Start PostgreSQL on it, as the user that DATA is to belong to: it
# recovers, and is then a server of its own with a history of its own.
set -euo pipefail
# shellcheck source=deploy/backup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
(($# == 3 || $# == 4)) || die "usage: recover.sh BASE ARCHIVE DATA [MOMENT]"
base=$1 archive=$2 data=$3 moment=${4:-}
[[ -f $base/base.tar.gz && -f $base/backup_manifest ]] || die "$base is no copy that base.sh made"
[[ -d $archive ]] || die "$archive is no folder"
[[ ! -e $data ]] || die "$data is there already"
[[ $archive$moment != *[\'\\%]* ]] || die "ARCHIVE and MOMENT take no quotes, backslashes and per cents"
archive=$(cd "$archive" && pwd)
umask 077
mkdir -p "$data"
tar -xzf "$base/base.tar.gz" -C "$data"
tar -xzf "$base/pg_wal.tar.gz" -C "$data/pg_wal"
cp "$base/backup_manifest" "$data/"
pg_verifybackup --no-parse-wal --quiet "$data" || die "$base is damaged"
{
  echo "restore_command = 'cp \"$archive/%f\" \"%p\"'"
  echo "recovery_target_action = 'promote'"
  [[ -z $moment ]] || echo "recovery_target_time = '$moment'"
  echo "archive_mode = off # until somebody gives it an archive of its own: two servers must not share one"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "$data"
