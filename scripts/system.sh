#!/usr/bin/env bash
# Installs what the tests need of the system: Dovecot, OpenSSL, PostgreSQL, Python's venv, Chromium with a font, and npm
# (which brings the Node that the tests use). Silent and quick when everything is there. Only root on Debian installs;
# anyone else is told what is missing.
set -euo pipefail

python=${PYTHON:-python3}
venv=$(dirname "$0")/../.venv/bin/python

# Only the fallback of with_postgres.sh needs the binaries: a server that answers is used as it is.
has_postgres() {
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
    (exec 3<>/dev/tcp/127.0.0.1/5432) 2>/dev/null
}

has_dovecot_part() {
  [ -x "/usr/lib/dovecot/$1" ] || [ -x "/usr/libexec/dovecot/$1" ] || compgen -G "/opt/homebrew/*/dovecot/$1" >/dev/null
}

missing() {
  command -v make >/dev/null || echo make
  command -v openssl >/dev/null || echo openssl
  command -v "$python" >/dev/null || echo python3
  "$venv" --version >/dev/null 2>&1 || "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  has_dovecot_part imap || echo dovecot-imapd
  has_dovecot_part lmtp || echo dovecot-lmtpd
  has_postgres || echo postgresql
  command -v chromium >/dev/null || echo chromium
  compgen -G '/usr/share/fonts/truetype/*/*.ttf' >/dev/null || echo fonts-dejavu-core
  command -v npm >/dev/null || echo npm
}

# Debian starts a service as soon as it is installed; a mail server must not appear on a machine because of a test.
without_starting_services() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  "$@"
}

packages=$(missing | xargs)
if [ -z "$packages" ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Missing on this machine (Debian's package names): $packages" >&2
  echo "Install them, or run 'make system' as root on Debian." >&2
  exit 1
fi

echo "Installing $packages ..."
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
# shellcheck disable=SC2086  # a list of names
without_starting_services "${apt[@]}" install -y --no-install-recommends $packages </dev/null >/dev/null
packages=$(missing | xargs)
if [ -n "$packages" ]; then
  echo "Still missing after the installation: $packages" >&2
  exit 1
fi
