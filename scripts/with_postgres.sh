#!/usr/bin/env bash
# with_postgres.sh [--durable] COMMAND...: runs COMMAND with POSTRIDER_TEST_POSTGRES_URL set.
# In this order: the address already in that variable; the server on 127.0.0.1:5432 if it lets postgres in without a
# password; a private cluster on a free loopback port, removed afterwards. A private cluster does not wait for the disk
# unless --durable asks for it.
set -euo pipefail

python=$(dirname "$0")/../.venv/bin/python
durability=(-c fsync=off -c full_page_writes=off)
if [ "${1:-}" = --durable ]; then
  durability=()
  shift
fi

may_create_databases() {
  "$python" - "$1" <<'PYTHON' 2>/dev/null
import sys

import psycopg

with psycopg.connect(sys.argv[1], connect_timeout=3) as connection:
    row = connection.execute("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
sys.exit(row != (True,))
PYTHON
}

run_with() {
  export POSTRIDER_TEST_POSTGRES_URL="postgresql+psycopg://postgres@127.0.0.1:$1/postgres"
  shift
  "$@"
}

if [ -n "${POSTRIDER_TEST_POSTGRES_URL:-}" ]; then
  exec "$@"
fi
if may_create_databases postgresql://postgres@127.0.0.1:5432/postgres; then
  run_with 5432 exec "$@"
fi

initdb=$(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1 || true)
if [ -z "$initdb" ]; then
  echo "No PostgreSQL: 127.0.0.1:5432 lets nobody in without a password, and initdb is not installed." >&2
  echo "On Debian: apt-get install postgresql. Or set POSTRIDER_TEST_POSTGRES_URL." >&2
  exit 1
fi
binaries=$(dirname "$(readlink -f "$initdb")")

cluster=$(mktemp -d "${TMPDIR:-/tmp}/postrider-pg.XXXXXX")
as_owner=()
if [ "$(id -u)" -eq 0 ]; then # PostgreSQL refuses to run as root
  owner=postgres
  id "$owner" >/dev/null 2>&1 || owner=nobody
  chown "$owner" "$cluster"
  as_owner=(runuser -u "$owner" --)
fi

in_cluster() {
  (cd "$cluster" && ${as_owner[@]+"${as_owner[@]}"} "$@")
}

remove_cluster() {
  in_cluster "$binaries/pg_ctl" stop -D data -m immediate -s >/dev/null 2>&1 || true
  rm -rf "$cluster"
}
trap remove_cluster EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_on() {
  local options=(-c listen_addresses=127.0.0.1 -c "port=$1" -c unix_socket_directories= -c max_connections=200)
  options+=(${durability[@]+"${durability[@]}"})
  in_cluster "$binaries/pg_ctl" start -D data -w -s -l log -o "${options[*]}"
}

locale=C
case $(locale -a 2>/dev/null | tr '[:upper:]' '[:lower:]') in *c.utf*) locale=C.UTF-8 ;; esac
in_cluster "$binaries/initdb" -D data -U postgres -A trust -E UTF8 --locale="$locale" >/dev/null
for attempt in 1 2 3; do
  port=$("$python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  if start_on "$port"; then
    run_with "$port" "$@"
    exit
  fi
done
echo "The private PostgreSQL did not start ($attempt attempts):" >&2
tail -n 20 "$cluster/log" >&2
exit 1
