#!/usr/bin/env bash
# bluegreen.sh IMAGE: starts IMAGE as a second set of nodes beside the one that serves, moves the balancer over in steps, and ends the old
# set. Both are one campus meanwhile: they share the database and find each other, so that nobody hears less of anything.
#
# Status 0: the new set serves. 1: it does not, the old one has all traffic and the new one has ended. 2: the balancer could not be
# put back; somebody must look.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/ecs/lib.sh
. "$here/lib.sh"
(($# == 1)) || die "usage: bluegreen.sh IMAGE"
export NEXUS_IMAGE=$1
need NEXUS_CLUSTER NEXUS_LISTENER NEXUS_URL NEXUS_BLUE_SERVICE NEXUS_GREEN_SERVICE NEXUS_BLUE_TARGET_GROUP NEXUS_GREEN_TARGET_GROUP
soak=${NEXUS_SOAK:-30} # seconds that a step is watched
count=${NEXUS_COUNT:-3}

# weights BLUE GREEN: how the listener divides new connections.
weights() {
  aws elbv2 modify-listener --listener-arn "$NEXUS_LISTENER" --query 'Listeners[0].ListenerArn' --output text --default-actions \
    "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"$NEXUS_BLUE_TARGET_GROUP\",\"Weight\":$1},{\"TargetGroupArn\":\"$NEXUS_GREEN_TARGET_GROUP\",\"Weight\":$2}]}}]" >/dev/null
}

# Which one serves is what the balancer says, and nothing that could be written down elsewhere.
heavier=$(aws elbv2 describe-listeners --listener-arns "$NEXUS_LISTENER" --output text \
  --query 'sort_by(Listeners[0].DefaultActions[0].ForwardConfig.TargetGroups,&Weight)[-1].TargetGroupArn')
case $heavier in
  "$NEXUS_BLUE_TARGET_GROUP") old=blue old_service=$NEXUS_BLUE_SERVICE new=green new_service=$NEXUS_GREEN_SERVICE new_group=$NEXUS_GREEN_TARGET_GROUP ;;
  "$NEXUS_GREEN_TARGET_GROUP") old=green old_service=$NEXUS_GREEN_SERVICE new=blue new_service=$NEXUS_BLUE_SERVICE new_group=$NEXUS_BLUE_TARGET_GROUP ;;
  *) die "the listener forwards to neither blue nor green: $heavier" ;;
esac
# shift PERCENT: so much of the traffic to the new set.
shift_to() { if [[ $new == green ]]; then weights $((100 - $1)) "$1"; else weights "$1" $((100 - $1)); fi; }

task=$(register)
say "$old serves; starting $new with $NEXUS_IMAGE"

back() {
  trap - EXIT INT TERM
  say "going back to $old"
  if ! shift_to 0; then
    say "THE BALANCER COULD NOT BE PUT BACK: all of $NEXUS_LISTENER should go to $old"
    exit 2
  fi
  update "$new_service" "$task" --desired-count 0 || say "$new_service still runs; end it by hand"
  say "$old has all traffic"
  exit 1
}
trap back EXIT
trap 'exit 1' INT TERM

update "$new_service" "$task" --desired-count "$count" --force-new-deployment
stable "$new_service"
now=$(running "$new_service")
[[ $now == "$task" ]]
healthy "$new_group"
for percent in 10 50 100; do
  say "$percent % to $new"
  shift_to "$percent"
  sleep "$soak"
  healthy "$new_group"
  ready
done
trap - EXIT INT TERM

# The old nodes drain: sockets are told to come back, and come to the new ones. From here on there is nothing to go back for.
old_task=$(running "$old_service")
update "$old_service" "$old_task" --desired-count 0 || die "$old_service still runs; end it by hand"
say "$NEXUS_IMAGE serves as $new"
