#!/usr/bin/env bash
# clang-tidy, with the checks of .clang-tidy, over what clang would build of the core and the CLI:
# its warnings are errors here too. The path analyzer takes nine tenths of the time: only with --deep
# (`make analyze`).
set -euo pipefail
cd "$(dirname "$0")/.."
checks=-clang-analyzer-*
[ "${1:-}" != --deep ] || checks=
cmake --preset clang -G Ninja >/dev/null
git ls-files 'src/*.cpp' 'cli/*.cpp' |
  while read -r file; do ! grep -qF "/$file\"" build/clang/compile_commands.json || echo "$file"; done |
  xargs -P 2 -n 4 .venv/bin/clang-tidy -p build/clang --quiet --checks="$checks" --warnings-as-errors='*' 2>&1 |
  { grep -vE '^[0-9]+ warnings? generated|^\[[0-9/ .s\]]+' || true; }
