#!/bin/sh
# Installs Postrider from its sources into a new virtual environment: deploy/install.sh SOURCE TARGET
# The image is built by this, and scripts/clean_install.sh runs it as another user. Everything from an index is pinned
# by hash, the build tool too; nothing of SOURCE is changed.
set -eu

source=$1
target=$2
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Postrider needs Python 3.11 or newer." >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip() {
  python=$1/bin/python
  shift
  "$python" -m pip --no-input --disable-pip-version-check --quiet "$@"
}

# The wheel is built from a copy, by a tool that does not come along.
mkdir "$work/source"
cp -R "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$source/src" "$work/source"
python3 -m venv "$work/build"
pip "$work/build" install --require-hashes -r "$source/deploy/build.lock"
pip "$work/build" wheel --no-deps --no-build-isolation --wheel-dir "$work" "$work/source"

python3 -m venv "$target"
pip "$target" install --require-hashes -r "$source/deploy/runtime.lock"
pip "$target" install --no-deps --no-index "$work"/postrider-*.whl
pip "$target" check
cp "$source/deploy/healthcheck.py" "$target/healthcheck.py"
"$target/bin/postrider" --version
