#!/usr/bin/env bash
# secrets.sh [FOLDER]: makes what docker-compose.yml reads as secrets, and what is there already stays as it is, so that it may run
# again after an upgrade. FOLDER is deploy/compose/secrets if it is not given.
#
# The folder is its owner's alone, and the files in it may be read by the users of the containers, which are others.
set -euo pipefail
dir=${1:-$(dirname "${BASH_SOURCE[0]}")/secrets}
mkdir -p "$dir"
chmod 700 "$dir"
cd "$dir"

# keep NAME: stores what comes on standard input, whole or not at all.
keep() {
  local fresh
  fresh=$(mktemp ".$1.XXXXXX")
  cat >"$fresh"
  [[ -s $fresh ]] || { rm -f "$fresh"; echo "secrets.sh: $1 came out empty" >&2; exit 1; }
  chmod 444 "$fresh"
  mv "$fresh" "$1"
  echo "made $dir/$1"
}

for name in jwt-secret cluster-key database-password postgres-password redis-password; do
  [[ -e $name ]] || openssl rand -hex 32 | keep "$name"
done
[[ -e database-url ]] || echo "postgres://nexus:$(<database-password)@postgres:5432/nexus?sslmode=disable" | keep database-url
[[ -e redis-url ]] || echo "redis://:$(<redis-password)@redis:6379/0" | keep redis-url
[[ -e redis.conf ]] || printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 384mb\nmaxmemory-policy allkeys-lru\n' "$(<redis-password)" | keep redis.conf

# For this machine alone. Where others come, put a certificate of their authority in its place.
if [[ ! -e tls.key || ! -e tls.crt ]]; then
  made=$(mktemp -d)
  trap 'rm -rf "$made"' EXIT
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$made/key" -out "$made/crt" 2>"$made/log" || { cat "$made/log" >&2; exit 1; }
  keep tls.key <"$made/key"
  keep tls.crt <"$made/crt"
fi
