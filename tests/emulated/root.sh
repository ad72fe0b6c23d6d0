#!/usr/bin/env bash
# Makes build/arm64-root: Debian's Python for arm64, two environments with aarch64 wheels, and in
# both the corewise of this tree, built here with the cross compiler. `now` has the wheels of
# `make demo`, `seed` those of the story that the project began with (tools/requirements/arm64*.txt).
# What is there stays; only corewise is built anew. in_root.sh runs commands in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$PWD/build
root=$build/arm64-root
headers=$build/arm64-headers
python=.venv/bin/python
# The extension is compiled by a build that asks the Python of this machine, so both are of one version.
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

if ! command -v aarch64-linux-gnu-g++ >/dev/null; then
  echo "root: aarch64-linux-gnu-g++ is missing; 'tools/setup.sh large' installs it, or says why not" >&2
  exit 1
fi

# The packages are unpacked and no more: their scripts take minutes under the emulator.
if [ ! -e "$root/.made" ]; then
  echo "root: fetching Debian's Python $version for arm64"
  rm -rf "$root" "$headers" "$build/arm64-apt"
  mkdir -p "$root"/{dev,proc,srv,sys,tmp,etc,usr/bin,usr/sbin,usr/lib} "$build"/arm64-apt/{lists,archives}/partial
  touch "$build/arm64-apt/status"
  for folder in bin sbin lib; do ln -s usr/$folder "$root/$folder"; done
  apt_arm64() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
      -o Dir::State="$build/arm64-apt" -o Dir::State::status="$build/arm64-apt/status" \
      -o Dir::Cache="$build/arm64-apt" "$@"
  }
  apt_arm64 update
  apt_arm64 install -y --download-only --no-install-recommends \
    base-files dash coreutils procps python3 "python$version" libstdc++6 libgomp1 >/dev/null
  for package in "$build"/arm64-apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --no-same-owner --keep-directory-symlink -C "$root"
  done
  ln -sf dash "$root/usr/bin/sh"
  echo 'root:x:0:0:root:/tmp:/bin/sh' >"$root/etc/passwd"
  # Without the C library's own headers, which the cross compiler has.
  (cd "$build/arm64-apt" && apt_arm64 download "libpython$version-dev" &&
    dpkg-deb -x libpython"$version"-dev_*.deb "$headers")
  rm -r "$build/arm64-apt"
  "$python" -m compileall -q -j 2 "$root/usr/lib/python$version"
  touch "$root/.made"
fi

install_wheels() {  # environment, then what pip takes
  local site=$root/srv/$1/lib/python$version/site-packages
  shift
  "$python" -m pip install -q --disable-pip-version-check --target "$site" --only-binary=:all: \
    --python-version "$version" "$@" 2>&1 |
    { grep -v 'is ignored: it is neither a file nor a directory' || true; }
}

for environment in now seed; do
  venv=$root/srv/$environment
  wanted=tools/requirements/arm64-$environment.txt
  stamp=$(cat tools/requirements/demo.txt "$wanted" | sha256sum)
  [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ] && continue
  echo "root: fetching wheels ($environment)"
  rm -rf "$venv"
  tests/emulated/in_root.sh "$environment" python3 -m venv --without-pip "/srv/$environment"
  # pip takes each of these for a platform of its own.
  install_wheels "$environment" --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 -r "$wanted"
  echo "$stamp" >"$venv/.stamp"
done

echo "root: building the corewise wheel for arm64 (five minutes the first time)"
rm -rf "$build/arm64-wheel"
PATH="$PWD/.venv/bin:$PATH" _PYTHON_HOST_PLATFORM=linux-aarch64 \
  SETUPTOOLS_EXT_SUFFIX=".cpython-${version/./}-aarch64-linux-gnu.so" \
  CMAKE_ARGS="-DCMAKE_TOOLCHAIN_FILE=$PWD/cmake/aarch64.cmake \
    -DPython_INCLUDE_DIR=$headers/usr/include/python$version \
    '-DCMAKE_CXX_FLAGS=-isystem $headers/usr/include'" \
  "$python" -m pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps \
  -w "$build/arm64-wheel" .
for environment in now seed; do
  install_wheels "$environment" --upgrade --no-deps --no-index --platform linux_aarch64 \
    "$build"/arm64-wheel/corewise-*.whl
  # With --target, pip leaves commands among the packages.
  cp "$root/srv/$environment/lib/python$version/site-packages/bin/corewise" "$root/srv/$environment/bin/"
done
