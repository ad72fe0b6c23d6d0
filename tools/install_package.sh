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
echo "install: building corewise into .venv (three to six minutes on 2 cores, the first time)"
mkdir -p build
# Of ninja's lines, which count the files, every tenth.
progress='match($0, /\[[0-9]+\/[0-9]+\]/) { n = substr($0, RSTART + 1) + 0; if (n >= next_one) {
  print "install: " substr($0, RSTART, RLENGTH); fflush(); next_one = n + 10 } }'
if ! PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip install -v --disable-pip-version-check \
  --no-build-isolation --no-deps --force-reinstall . 2>&1 | tee build/wheel.log | awk "$progress"; then
  tail -n 30 build/wheel.log >&2
  echo "install: the build failed; all that it said is in build/wheel.log" >&2
  exit 1
fi
echo "$stamp" >build/.installed
