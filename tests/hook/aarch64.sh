#!/bin/sh
# Builds the hooks for aarch64 and runs their unit tests under qemu: tests/hook/aarch64.sh BUILD_DIR
# Needs aarch64-linux-gnu-g++ and qemu-aarch64-static.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$1/aarch64
mkdir -p "$out/include"
ln -sfn "$(dirname "$(find /usr/include /usr/local/include -name doctest.h | head -n 1)")" \
  "$out/include/doctest"
flags="-O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
for id in 1 2 3; do
  aarch64-linux-gnu-gcc -O2 -fPIC -shared -DCALLEE_ID=$id "$root/tests/hook/callee.c" \
    -o "$out/libcallee_$id.so"
done
for kind in now late lazy of_2 of_3; do
  case $kind in
    lazy) link="-Wl,-z,lazy" ;;
    of_*) link="-L$out -lcallee_${kind#of_} -Wl,-rpath,\$ORIGIN" ;;
    *) link="-Wl,-z,now -Wl,-z,relro" ;;
  esac
  # shellcheck disable=SC2086
  aarch64-linux-gnu-gcc -O2 -fPIC -shared "$root/tests/hook/caller.c" $link \
    -o "$out/libcaller_$kind.so"
done
for test in code hook buffers; do
  # shellcheck disable=SC2086
  aarch64-linux-gnu-g++ -std=c++20 $flags -I"$root/include" -I"$root/src" -isystem "$out/include" \
    -DCOREWISE_FIXTURES="\"$root/tests/hook/fixtures\"" -DCOREWISE_STUBS="\"$out\"" \
    "$root"/tests/hook/$test.cpp "$root"/tests/unit/main.cpp \
    "$root"/src/govern/code_*.cpp "$root"/src/govern/hook.cpp "$root"/src/govern/slots.cpp \
    "$root"/src/govern/buffers.cpp "$root"/src/os/linux.cpp "$root"/src/os/maps.cpp \
    "$root"/src/os/patch_linux.cpp -pthread -ldl -o "$out/$test"
  # qemu does not pass RLIMIT_AS on.
  qemu-aarch64-static -L /usr/aarch64-linux-gnu "$out/$test" -tce="no address space left*"
done
aarch64-linux-gnu-g++ -std=c++20 $flags -I"$root/include" -I"$root/src" -c \
  "$root"/src/govern/arena.cpp -o "$out/arena.o"
