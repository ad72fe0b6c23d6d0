#!/usr/bin/env bash
# clang-tidy over what is built of the core and the CLI, with the checks of .clang-tidy. Needs
# build/clang.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files 'src/*.cpp' 'cli/*.cpp' |
  while read -r file; do ! grep -qF "/$file\"" build/clang/compile_commands.json || echo "$file"; done |
  xargs -P 2 -n 4 .venv/bin/clang-tidy -p build/clang --quiet --warnings-as-errors='*' 2>&1 |
  { grep -vE '^[0-9]+ warnings? generated|^\[[0-9/ .s\]]+' || true; }
