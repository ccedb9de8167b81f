#!/usr/bin/env bash
# base.sh FOLDER: copies the whole server into FOLDER, which must be new. With it and the segments that archive.sh has kept since, a server
# can be put back as it was at any moment; recover.sh does it. NEXUS_REPLICATION_URL names a role that may replicate, at the server itself.
set -euo pipefail
# shellcheck source=deploy/backup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
(($# == 1)) || die "usage: base.sh FOLDER"
[[ ! -e $1 ]] || die "$1 is there already"
NEXUS_DATABASE_URL=${NEXUS_REPLICATION_URL:?NEXUS_REPLICATION_URL is needed}
database
umask 077
rm -rf -- "$1.part"
pg_basebackup --pgdata="$1.part" --format=tar --gzip --checkpoint=fast --wal-method=stream --no-password
mv "$1.part" "$1"
echo "$1"
