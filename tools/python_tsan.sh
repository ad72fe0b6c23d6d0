#!/usr/bin/env bash
# The Python package under ThreadSanitizer: builds a wheel with it, installs that into build/tsan-python,
# beside what .venv has, and runs tests of threads there. Python and its libraries are not
# instrumented: what they order by means that ThreadSanitizer does not see is in tests/tsan.supp.
# Left out are tests that need a dlopen() which is not ThreadSanitizer's, and a fork amid threads.
set -euo pipefail
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
build=$PWD/build/tsan-python
flags="-fsanitize=thread"
PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip wheel -q --disable-pip-version-check \
  --no-build-isolation --no-deps -w "$build/wheel" -C build-dir="$build/cmake" \
  -C cmake.build-type=RelWithDebInfo -C cmake.define.CMAKE_CXX_FLAGS="$flags" \
  -C cmake.define.CMAKE_C_FLAGS="$flags" .
[ -e "$build/venv" ] || .venv/bin/python -m venv "$build/venv"
site=$("$build/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
.venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' >"$site/beside.pth"
"$build/venv/bin/pip" install -q --disable-pip-version-check --no-index --no-deps --ignore-installed \
  --force-reinstall "$build"/wheel/*.whl
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp:ignore_noninstrumented_modules=1:exitcode=66"
LD_PRELOAD=$(readlink -f "$(gcc -print-file-name=libtsan.so)") "$build/venv/bin/python" -m pytest -q \
  -p no:cacheprovider tests/python/test_{many_threads,limits,govern,info,gil}.py \
  -k "not library_loaded_inside and not another_thread_loads and not forked_while" "$@"
