# Read by the scripts beside it.
# shellcheck shell=bash

# Debian keeps the server's own programs where no path leads.
for dir in /usr/lib/postgresql/*/bin; do [[ -d $dir ]] && PATH=$PATH:$dir; done

die() { echo "${0##*/}: $*" >&2; exit 1; }

# database puts the parts of the connection string into the variables that PostgreSQL's programs read, so that no password is to be seen
# in the list of processes.
database() {
  local url=${NEXUS_DATABASE_URL:-}
  [[ -n $url || -z ${NEXUS_DATABASE_URL_FILE:-} ]] || url=$(<"$NEXUS_DATABASE_URL_FILE")
  [[ $url =~ ^postgres(ql)?://(([^:@/]*)(:([^@/]*))?@)?([^:/?@]*)(:([0-9]+))?/([^?]*)(\?(.*))?$ ]] || die "NEXUS_DATABASE_URL takes postgres://user:password@host:port/database"
  local user=${BASH_REMATCH[3]} password=${BASH_REMATCH[5]} host=${BASH_REMATCH[6]} port=${BASH_REMATCH[8]} name=${BASH_REMATCH[9]} more=${BASH_REMATCH[11]} pair
  [[ -z $user ]] || PGUSER=$(plain "$user")
  [[ -z $password ]] || PGPASSWORD=$(plain "$password")
  [[ -z $host ]] || PGHOST=$(plain "$host")
  [[ -z $port ]] || PGPORT=$port
  PGDATABASE=$(plain "$name")
  export PGUSER PGPASSWORD PGHOST PGPORT PGDATABASE PGAPPNAME="nexus ${0##*/}" PGCONNECT_TIMEOUT=10
  while IFS= read -r -d '&' pair; do
    case $pair in
      sslmode=*) export PGSSLMODE=${pair#*=} ;;
      sslrootcert=*) PGSSLROOTCERT=$(plain "${pair#*=}") && export PGSSLROOTCERT ;;
      host=*) PGHOST=$(plain "${pair#*=}") && export PGHOST ;;
      port=*) export PGPORT=${pair#*=} ;;
      user=*) PGUSER=$(plain "${pair#*=}") && export PGUSER ;;
      '') ;;
      *) die "NEXUS_DATABASE_URL: does not know ${pair%%=*}" ;;
    esac
  done <<<"$more&"
}

# plain undoes %XX.
plain() {
  local text=${1//\\/\\\\}
  printf '%b' "${text//%/\\x}"
}
