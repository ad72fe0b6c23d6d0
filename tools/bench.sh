#!/usr/bin/env bash
# Prints the benchmark tables: the C++ core, Python side by side with threadpoolctl, and the start
# of a program under `corewise run`.
set -euo pipefail
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
cmake --preset dev -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/.venv/bin/ninja" >/dev/null
cmake --build build/dev -j 2 | tail -n 1
libraries=$(.venv/bin/python - <<'PY'
import pathlib, sysconfig

site = pathlib.Path(sysconfig.get_paths()["purelib"])
patterns = ("numpy.libs/*openblas*", "scipy.libs/*openblas*", "scikit_learn.libs/libgomp*")
print(":".join(str(next(site.glob(pattern))) for pattern in patterns))
PY
)
echo "## C++ core (numpy's and scipy's OpenBLAS and scikit-learn's libgomp loaded)"
COREWISE_BENCH_LIBRARIES=$libraries build/dev/bench/bench_core
echo
.venv/bin/python bench/python_table.py
echo
echo "## Start of a program"
.venv/bin/python bench/start.py
