#!/usr/bin/env bash
# rolling.sh IMAGE: puts IMAGE in place of what the service runs, a node at a time, and the old one back if it does not get ready.
#
# Status 0: the new image serves. 1: it does not, and the old one does again. 2: nor does the old one; somebody must look.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/ecs/lib.sh
. "$here/lib.sh"
(($# == 1)) || die "usage: rolling.sh IMAGE"
export NEXUS_IMAGE=$1
need NEXUS_CLUSTER NEXUS_SERVICE NEXUS_TARGET_GROUP NEXUS_URL

old=$(running "$NEXUS_SERVICE")
new=$(register)
say "rolling $NEXUS_SERVICE from $old to $new"

# What happens from here on is undone, also when somebody interrupts this.
back() {
  trap - EXIT INT TERM
  say "rolling back to $old"
  if update "$NEXUS_SERVICE" "$old" --force-new-deployment && stable "$NEXUS_SERVICE" && healthy "$NEXUS_TARGET_GROUP" && ready; then
    say "the old one serves again"
    exit 1
  fi
  say "THE OLD ONE DOES NOT SERVE EITHER: $NEXUS_SERVICE should run $old"
  exit 2
}
trap back EXIT
trap 'exit 1' INT TERM

update "$NEXUS_SERVICE" "$new"
stable "$NEXUS_SERVICE"
# The service's own breaker may have rolled back, and be stable with what was there before.
now=$(running "$NEXUS_SERVICE")
[[ $now == "$new" ]]
healthy "$NEXUS_TARGET_GROUP"
ready
trap - EXIT INT TERM
say "$NEXUS_IMAGE serves"
