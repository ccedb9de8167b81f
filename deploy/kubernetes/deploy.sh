#!/usr/bin/env bash
# deploy.sh staging|production IMAGE: puts IMAGE in place of what runs there, a node at a time, and the old one back if it does not get
# ready. IMAGE is named by its digest: registry.example/nexus@sha256:...
#
# Status 0: the new image serves. 1: it does not, and the old one does again. 2: nor does the old one; somebody must look.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { echo "$(date -u +%T) $*" >&2; }

place=${1:-} image=${2:-}
[[ $place == staging || $place == production ]] && [[ $image =~ ^([^@]+)@(sha256:[0-9a-f]{64})$ ]] || {
  say "usage: deploy.sh staging|production IMAGE@sha256:DIGEST"
  exit 1
}
name=${BASH_REMATCH[1]} digest=${BASH_REMATCH[2]}
namespace=$(awk '$1 == "namespace:" { print $2 }' "$here/$place/kustomization.yaml")
timeout=${NEXUS_ROLLOUT_TIMEOUT:-10m}
on() { kubectl --namespace "$namespace" "$@"; }

# An overlay over the overlay names the image, so that no file of the repository changes.
overlay=$(mktemp -d "$here/.deploy.XXXXXX")
trap 'rm -rf "$overlay"' EXIT
cat >"$overlay/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../$place]
images: [{name: registry.example/nexus, newName: $name, digest: "$digest"}]
YAML
[[ $(kubectl kustomize "$overlay") == *"image: $name@$digest"* ]] || { say "the overlay does not run $image"; exit 1; }

old=$(on get deployment nexus --ignore-not-found --output 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}')
say "deploying $image to $namespace, in place of revision ${old:-none}"

back() {
  trap - EXIT INT TERM
  rm -rf "$overlay"
  on get pods --selector app.kubernetes.io/name=nexus >&2 || true
  if [[ -z $old ]]; then
    say "NOTHING WAS THERE BEFORE: there is nothing to go back to"
    exit 2
  fi
  say "going back to revision $old"
  if on rollout undo deployment/nexus --to-revision="$old" && on rollout status deployment/nexus --timeout="$timeout"; then
    say "revision $old serves again"
    exit 1
  fi
  say "REVISION $old DOES NOT SERVE EITHER"
  exit 2
}
trap back EXIT
trap 'exit 1' INT TERM

kubectl apply --kustomize "$overlay" >&2
on rollout status deployment/nexus --timeout="$timeout" >&2
trap 'rm -rf "$overlay"' EXIT
trap - INT TERM
say "$image serves"
