#!/usr/bin/env bash
# Does what the Dockerfile does, without Docker: copies what it copies, runs deploy/install.sh as another user in an
# empty environment, serves until it is ready, asks the server to stop, and wants it to end with 0.
# Root makes a user for this and removes it again; anyone else is that user. Nothing stays behind.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
user=
server=

clean_up() {
  # Only what this script started, by its id.
  if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null || true; fi
  if [ -n "$user" ]; then userdel "$user" || true; fi
  rm -rf "$place"
}
trap clean_up EXIT

choose_user() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "Not root: installing as $(id -un), in an empty environment."
    return
  fi
  user=postrider-try-$$
  useradd --system --user-group --no-create-home --home-dir "$place/home" --shell /usr/sbin/nologin "$user"
  chown -R "$user:" "$place"
  echo "Installing as another user, in an empty environment."
}

# Each file keeps its place, as in the image.
copy_what_the_image_copies() {
  local files
  files=$(awk '$1 == "COPY" && $2 !~ /^--from/ { for (i = 2; i < NF; i++) print $i }' Dockerfile)
  mkdir -p "$place/source" "$place/home"
  # shellcheck disable=SC2086  # a list of names
  cp -R --parents $files "$place/source"
  find "$place/source" -depth \( -name __pycache__ -o -name '*.egg-info' \) -exec rm -rf {} +
}

# The new environment knows the caller's package index, and nothing else of the caller.
empty_environment() {
  local name value
  printf '%s\0' "PATH=$(python3 -c 'import sys; print(sys.base_prefix)')/bin:/usr/local/bin:/usr/bin:/bin" \
    "HOME=$place/home" "TMPDIR=$place" LANG=C.UTF-8 "POSTRIDER_DATA_DIR=$place/data"
  for name in index-url extra-index-url find-links cert proxy trusted-host timeout; do
    if value=$(python3 -m pip config get "global.$name" 2>/dev/null) && [ -n "$value" ]; then
      value=${value//$'\n'/ }
      name=${name^^}
      printf '%s\0' "PIP_${name//-/_}=$value"
    fi
  done
  env -0 | grep -z '^PIP_' || true
}

# Replaces the shell that calls it, so that a job's id is the id of the program.
as_that_user() {
  local environment change=()
  mapfile -d '' -t environment <"$place/environment"
  if [ -n "$user" ]; then
    change=(setpriv "--reuid=$user" "--regid=$user" --clear-groups --inh-caps=-all --no-new-privs)
  fi
  cd "$place"
  exec "${change[@]}" env -i "${environment[@]}" "$@"
}

listening_port() {
  sed -n 's#^Postrider listens on http://127\.0\.0\.1:\([0-9]*\) .*#\1#p' "$place/output"
}

# until SECONDS WHAT COMMAND...: fails, with what the server said, if the command does not succeed in time.
until_it_does() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$server" 2>/dev/null; then
      echo "It did not happen: $what. The server said:" >&2
      cat "$place/output" >&2
      return 1
    fi
    sleep 0.2
  done
  echo "$what"
}

has_port() { [ -n "$(listening_port)" ]; }
is_healthy() { (as_that_user "$place/installed/bin/python" "$place/installed/healthcheck.py" "$(listening_port)"); }
has_ended() { ! kill -0 "$server" 2>/dev/null; }

serve_and_stop() {
  local status=0 ended_by=$((SECONDS + 60))
  (as_that_user "$place/installed/bin/postrider" serve --port 0) >"$place/output" 2>&1 &
  server=$!
  until_it_does 60 "The server listens." has_port
  until_it_does 30 "The server is ready." is_healthy
  kill -TERM "$server"
  until has_ended || [ "$SECONDS" -ge "$ended_by" ]; do sleep 0.2; done
  if ! has_ended; then
    echo "The server was asked to stop and did not." >&2
    return 1
  fi
  wait "$server" || status=$?
  server=
  if [ "$status" -ne 0 ] || grep -q stopped_before_everything_was_finished "$place/output"; then
    echo "Asked to stop, the server ended with $status. It said:" >&2
    cat "$place/output" >&2
    return 1
  fi
  echo "Asked to stop, it finished its work and ended with 0."
}

umask 022
chmod 755 "$place"
copy_what_the_image_copies
empty_environment >"$place/environment"
choose_user
(as_that_user sh "$place/source/deploy/install.sh" "$place/source" "$place/installed")
serve_and_stop
