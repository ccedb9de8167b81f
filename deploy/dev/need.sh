#!/usr/bin/env bash
# need.sh THING...: sees to it that what the house stands on is installed: postgres, redis, node, curl, protoc, xmllint, nginx.
#
# What is missing is installed by apt where that needs no question: as root, or with a sudo that asks for no password.
# Otherwise it ends with the one command to type.
set -euo pipefail

have_postgres() { # the same places, and the same oldest version, as persistence/pgdev
  local bin
  for bin in "$(command -v postgres || true)" /usr/lib/postgresql/*/bin/postgres; do
    [[ -x $bin && -x ${bin%/*}/initdb ]] || continue
    [[ $("$bin" --version) =~ \(PostgreSQL\)\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 14)) && return 0
  done
  return 1
}

have_redis() { command -v redis-server >/dev/null; }

have_node() { # 18 or newer, with npm
  command -v npm >/dev/null && [[ $(node --version 2>/dev/null) =~ ^v([0-9]+) ]] && ((BASH_REMATCH[1] >= 18))
}

have_curl() { command -v curl >/dev/null; }

have_protoc() { command -v protoc >/dev/null; }

have_nginx() { command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]]; }

have_xmllint() { command -v xmllint >/dev/null; }

packages=()
for thing in "$@"; do
  case $thing in
    postgres) have_postgres || packages+=(postgresql) ;;
    redis) have_redis || packages+=(redis-server) ;;
    node) have_node || packages+=(nodejs npm) ;;
    curl) have_curl || packages+=(curl) ;;
    nginx) have_nginx || packages+=(nginx) ;;
    xmllint) have_xmllint || packages+=(libxml2-utils) ;;
    protoc) have_protoc || packages+=(protobuf-compiler) ;;
    *) echo "need.sh: does not know $thing; it knows postgres, redis, node, curl, protoc, xmllint and nginx" >&2; exit 2 ;;
  esac
done
((${#packages[@]})) || exit 0

if ((EUID == 0)); then
  as_root=()
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  as_root=(false)
fi
if ! command -v apt-get >/dev/null || [[ ${as_root[*]} == false ]]; then
  echo "This needs ${packages[*]}. Type:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y ${packages[*]}" >&2
  exit 1
fi

# Debian's postgresql makes and starts a cluster of its own, for which nobody here has a use: NEXUS runs its own. A
# drop-in says so while apt works, and leaves the machine's settings as they were.
drop_in=/etc/postgresql-common/createcluster.d/nexus.conf
"${as_root[@]}" mkdir -p "${drop_in%/*}"
echo "create_main_cluster = false" | "${as_root[@]}" tee "$drop_in" >/dev/null
trap '"${as_root[@]}" rm -f "$drop_in"' EXIT

echo "installing ${packages[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
