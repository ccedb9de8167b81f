# Read by the scripts beside it. They speak with AWS by its command line alone, so that what they do can be read and done by hand.
# shellcheck shell=bash

say() { echo "$(date -u +%T) $*" >&2; }
die() { say "$*"; exit 1; }

# need NAME...: ends with the names of all variables that are not set.
need() {
  local name missing=()
  for name in "$@"; do [[ -n ${!name:-} ]] || missing+=("$name"); done
  ((${#missing[@]} == 0)) || die "set ${missing[*]}; deploy/ecs/README.md says what they are"
}

# fill FILE: prints it with the variables that it names, each of which must be set; nothing else that looks like one is touched.
fill() {
  local text name
  text=$(<"$1")
  for name in $(grep -oE '\$\{[A-Z_]+\}' "$1" | tr -d '${}' | sort -u); do
    [[ -n ${!name:-} ]] || die "$1 wants $name"
    text=${text//"\${$name}"/${!name}}
  done
  echo "$text"
}

# register: a new revision of the task; prints its ARN.
register() {
  aws ecs register-task-definition --cli-input-json "$(fill "$here/task-definition.json")" --query taskDefinition.taskDefinitionArn --output text
}

# running SERVICE: the ARN of the task definition that it runs.
running() {
  local arn
  arn=$(aws ecs describe-services --cluster "$NEXUS_CLUSTER" --services "$1" --query 'services[0].taskDefinition' --output text)
  [[ $arn == arn:* ]] || die "the service $1 is not there: $arn"
  echo "$arn"
}

# update SERVICE TASK-DEFINITION: begins to roll.
update() {
  aws ecs update-service --cluster "$NEXUS_CLUSTER" --service "$1" --task-definition "$2" "${@:3}" --query service.serviceName --output text >/dev/null
}

# stable SERVICE: waits until all that is wanted runs and nothing else; fails after ten minutes.
stable() { aws ecs wait services-stable --cluster "$NEXUS_CLUSTER" --services "$1"; }

# healthy TARGET-GROUP: succeeds if it has targets and the balancer sends traffic to every one of them that is not leaving.
healthy() {
  local states
  states=$(aws elbv2 describe-target-health --target-group-arn "$1" --query 'TargetHealthDescriptions[].TargetHealth.State' --output text)
  say "targets: ${states:-none}"
  [[ " ${states//$'\t'/ } " == *" healthy "* ]] && ! grep -qwE 'unhealthy|initial|unused|unavailable' <<<"$states"
}

# ready: asks the campus itself, from outside, several times over: one answer may come from one node alone.
ready() {
  local try
  for try in 1 2 3 4 5 6; do
    curl -fsS --max-time 5 -o /dev/null "$NEXUS_URL/healthz" || { say "$NEXUS_URL/healthz does not answer (try $try)"; return 1; }
  done
}
