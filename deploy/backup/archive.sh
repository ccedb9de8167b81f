#!/bin/sh
# archive.sh SEGMENT TARGET: PostgreSQL's archive_command. It keeps a finished segment of the log, on disk and whole, before it says so,
# for PostgreSQL throws the segment away then. A segment that is there already must be the same one.
set -eu
if [ -e "$2" ]; then
  cmp -s "$1" "$2" && exit 0
  echo "archive.sh: $2 is there and is another segment; two servers must not share an archive" >&2
  exit 1
fi
cp "$1" "$2.part"
sync "$2.part"
mv "$2.part" "$2"
sync "$(dirname "$2")"
