#!/usr/bin/env bash
# Creates .venv from requirements.lock, or brings it up to date. `make` runs it when the lock or pyproject.toml changed.
# PYTHON=/path/to/python3.12 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

recent_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

choose_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if recent_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "Postrider needs Python 3.11 or newer; ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1 || true)." >&2
  echo "Install one and name it: make PYTHON=/path/to/python3.12 ..." >&2
  return 1
}

create() {
  local python
  python=$(choose_python)
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot create virtual environments: its venv package is missing." >&2
    echo "On Debian: apt-get install python3-venv (as root, 'make system' does it)." >&2
    return 1
  fi
  "$python" -m venv --clear .venv
}

if ! recent_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  create
fi

echo "Installing what requirements.lock names into .venv ..."
install=(.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check)
"${install[@]}" --require-hashes -r requirements.lock
# setuptools comes from the lock, so building the package needs no index.
"${install[@]}" --no-deps --no-build-isolation -e .
.venv/bin/python -m pip check
touch .venv/.ready
