#!/usr/bin/env bash
# Installs what tests/clients/package-lock.json names into tests/clients/node_modules, with the Node that it names at
# node_modules/node/bin/node. `make` runs it when the lock changed. Nothing of a package runs while it is installed.
# After a change of package.json: cd tests/clients && npm install --package-lock-only
set -euo pipefail
cd "$(dirname "$0")/../tests/clients"

recent_enough() {
  "$1" -e 'process.exit(Number(process.versions.node.split(".")[0]) < 22 ? 1 : 0)' 2>/dev/null
}

# What node_modules/node/bin/node should lead to. The lock brings Node for Linux; elsewhere the machine's own has to do.
choose_node() {
  local own
  for own in node_modules/node-linux-*/bin/node; do
    if recent_enough "$own"; then
      echo "../../${own#node_modules/}"
      return
    fi
  done
  if ! recent_enough node; then
    echo "The tests of other clients need Node 22 or newer on this kind of machine; node is $(node --version)." >&2
    return 1
  fi
  command -v node
}

if ! command -v npm >/dev/null; then
  echo "npm is missing. On Debian: apt-get install npm (as root, 'make system' does it)." >&2
  exit 1
fi

echo "Installing what tests/clients/package-lock.json names ..."
npm ci --ignore-scripts --loglevel=error
node=$(choose_node)
mkdir -p node_modules/node/bin
ln -s "$node" node_modules/node/bin/node
touch node_modules/.ready
