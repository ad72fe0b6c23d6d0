#!/usr/bin/env bash
# Builds the wheel from this tree and installs it into .venv, unless nothing changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$(find VERSION CMakeLists.txt pyproject.toml cmake include src cli python -type f -not -name '*.pyc' \
  -print0 | sort -z | xargs -0 sha256sum | sha256sum)
if [ "$(cat build/.installed 2>/dev/null)" = "$stamp" ] &&
  .venv/bin/python -c "import corewise" 2>/dev/null; then
  exit 0
fi
echo "install: building the corewise wheel (about a minute)"
mkdir -p build
PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip install -q --disable-pip-version-check \
  --no-build-isolation --no-deps --force-reinstall . 2>&1 | tee build/wheel.log | tail -n 20
echo "$stamp" >build/.installed
