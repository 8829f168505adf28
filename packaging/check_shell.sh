#!/usr/bin/env bash
# Read all shell scripts: bash for the syntax, shellcheck (where it is installed) for the rest.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
scripts=(skerry .ci/run packaging/*.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then shellcheck -x "${scripts[@]}"; fi
