#!/usr/bin/env bash
# Installs what a target needs: Debian packages (as root, only the missing ones) and wheels into
# the project's own virtual environment. Usage: tools/setup.sh demo|docs|test|large|bench|bend|same|smoke|seed
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?usage: tools/setup.sh demo|docs|test|large|bench|bend|same|smoke|seed}
venv=.venv

packages=(cmake make g++ git libcli11-dev libfmt-dev libtomlplusplus-dev)
wheels=(build demo)
if [ "$what" = test ] || [ "$what" = large ]; then
  packages+=(doctest-dev libbenchmark-dev libhwloc-dev libopenblas-pthread-dev
    libopenblas0-pthread libblis4-pthread musl-tools pkg-config scdoc tmux jq)
  wheels+=(test)
fi
if [ "$what" = large ]; then
  packages+=(clang-19 libclang-rt-19-dev libopenblas0-openmp libopenblas0-serial libblis4-openmp
    libomp-19-dev libtbb-dev qemu-user-static spin chromium fonts-dejavu-core openmpi-bin
    libopenmpi-dev r-base-core)
  wheels+=(large)
fi
if [ "$what" = docs ] || [ "$what" = large ]; then
  packages+=(doxygen)
  wheels+=(docs)
fi
[ "$what" = bench ] && wheels+=(bench)
# What `make test-same` needs beside the things of `large`.
if [ "$what" = same ]; then packages+=(gromacs gromacs-data); fi

# What is asked of a newcomer is said before it begins.
if [ "$what" = test ] && [ ! -x "$venv/bin/pytest" ]; then
  echo "setup: make test installs Debian packages, and wheels into .venv: about 0.3 GB to download"
fi

is_missing() { ! dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q "ok installed"; }
missing=()
for package in "${packages[@]}"; do
  if is_missing "$package"; then missing+=("$package"); fi
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "setup: these Debian packages are missing; install them as root: ${missing[*]}" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "${missing[@]}" >/dev/null
fi

# Debian's compiler for arm64 conflicts with gcc-multilib, which somebody may need.
if [ "$what" = large ] && is_missing g++-aarch64-linux-gnu &&
  ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove \
    g++-aarch64-linux-gnu >/dev/null; then
  echo "setup: g++-aarch64-linux-gnu was not installed: the tests for arm64 are skipped" >&2
fi

install_wheels() {  # folder of the environment, then names in tools/requirements
  local folder=$1 stamp
  shift
  [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
  local files=()
  for name in "$@"; do files+=(-r "tools/requirements/$name.txt"); done
  local mark="$folder/.stamp-$(IFS=-; echo "$*")"
  stamp=$(cat $(printf 'tools/requirements/%s.txt ' "$@") | sha256sum)
  if [ "$(cat "$mark" 2>/dev/null)" != "$stamp" ]; then
    echo "setup: installing wheels into $folder ($*)"
    "$folder/bin/python" -m pip install -q --disable-pip-version-check "${files[@]}" 2>&1 |
      { grep -v 'is ignored: it is neither a file nor a directory' || true; }
    echo "$stamp" >"$mark"
  fi
}

# Older scikit-learns, with regions of their own: each in an environment of its own.
if [ "$what" = bend ]; then
  for version in 1.5 1.6 1.7 1.8; do install_wheels .venv-bend-$version bend-$version; done
  exit
fi
if [ "$what" = same ]; then
  install_wheels .venv-same same
  install_wheels .venv-same-old same-old
  exit
fi
if [ "$what" = seed ]; then
  install_wheels .venv-seed seed
  exit
fi
if [ "$what" = smoke ]; then
  install_wheels .venv-smoke smoke
  install_wheels .venv-smoke-tf smoke-tf
  exit
fi

install_wheels "$venv" "${wheels[@]}"
# The libraries of the big frameworks live apart, so that they are loaded only by tests that ask.
if [ "$what" = large ]; then install_wheels .venv-real real; fi

# A folder that is there is whole: a copy that was interrupted has another name.
keep() {  # folder, place
  rm -rf "$2.part"
  mkdir -p "$(dirname "$2")"
  cp -r "$1" "$2.part"
  mv -T "$2.part" "$2"
}

# The library alone of a wheel for a newer Python than Debian's.
newer=.venv-real/openblas/numpy-2.5
if [ "$what" = large ] && [ ! -d $newer ]; then
  echo "setup: fetching the OpenBLAS of NumPy 2.5"
  wheel=$(mktemp -d)
  "$venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.12 numpy==2.5.5 -d "$wheel"
  "$venv/bin/python" -m zipfile -e "$wheel"/numpy-*.whl "$wheel/all"
  mkdir "$wheel/whole"
  mv "$wheel"/all/numpy.libs/libscipy_openblas* "$wheel/whole/"
  keep "$wheel/whole" $newer
  rm -r "$wheel"
fi

# LLVM's OpenMP runtime of before, which Debian installs in place of the newer one, not beside it.
older=.venv-real/libomp-14
if [ "$what" = large ] && [ ! -d $older ]; then
  echo "setup: fetching LLVM 14's OpenMP runtime"
  package=$(mktemp -d)
  (cd "$package" && apt-get download -qq -o APT::Sandbox::User=root libomp5-14 && dpkg-deb -x libomp5-14_*.deb all)
  mkdir "$package/whole"
  cp "$package"/all/usr/lib/llvm-14/lib/libomp*.so* "$package/whole/"
  keep "$package/whole" $older
  rm -r "$package"
fi

# A trajectory for examples/notebooks: two files of a big package, which stay outside of ours.
adk=$venv/share/adk
if [ "$what" = large ] && [ ! -d $adk ]; then
  echo "setup: fetching a trajectory of MDAnalysisTests"
  package=$(mktemp -d)
  "$venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --no-binary=:all: \
    MDAnalysisTests==2.11.0 -d "$package" 2>&1 | { grep -v 'is ignored: it is neither a file nor a directory' || true; }
  mkdir "$package/whole"
  tar -xzf "$package"/*.tar.gz -C "$package/whole" --strip-components=3 --wildcards '*/data/adk.psf' '*/data/adk_dims.dcd'
  keep "$package/whole" $adk
  rm -r "$package"
fi
