# Debian's cross compiler, whose programs run under the emulator. Headers that are the same for every
# architecture (CLI11, fmt, toml++, doctest) are the ones of this machine.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Of fmt only the headers are used, but its CMake files lie with the library.
file(GLOB fmt_DIR /usr/lib/*-linux-gnu/cmake/fmt)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L /usr/aarch64-linux-gnu)
