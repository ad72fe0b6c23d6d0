#!/usr/bin/env bash
# Checks the form of the sources: clang-format, ruff, mypy. With --write, puts it right instead.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
cpp=$(git ls-files '*.cpp' '*.hpp' '*.h' '*.c')
if [ "${1:-}" = --write ]; then
  $bin/clang-format -i $cpp
  $bin/ruff format .
  $bin/ruff check --fix .
  exit
fi
$bin/clang-format --dry-run -Werror $cpp
$bin/ruff format --check .
$bin/ruff check .
