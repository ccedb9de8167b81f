#!/usr/bin/env bash
# role.sh: run once by PostgreSQL's image, when its data is new. The nodes' role owns its database and is no superuser.
set -euo pipefail
password=$(</run/secrets/database_password)
psql --username postgres --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$password" <<'SQL'
create role nexus login nosuperuser nocreatedb nocreaterole noreplication password :'password';
create database nexus owner nexus;
revoke connect on database nexus from public;
SQL
