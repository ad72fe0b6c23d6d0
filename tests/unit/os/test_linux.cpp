#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "os/os.h"

using namespace corewise;

TEST_CASE("reading files says why it cannot") {
  CHECK(os::read_file("/no/such/file").error().status == CW_IO_ERROR);
  CHECK(os::read_file("/proc/999999999/maps").error().status == CW_NO_SUCH_PROCESS);
  CHECK(os::read_file("/proc/self").error().status == CW_IO_ERROR);
  const auto some = os::read_file("/proc/self/maps", 10);
  REQUIRE(some);
  CHECK(some->size() == 10);
}

TEST_CASE("the program comes first, with a path and a place") {
  os::Generation at;
  const auto modules = os::loaded_modules(at);
  REQUIRE(modules.size() > 2);
  CHECK(modules[0].name.empty());
  CHECK(modules[0].path == std::filesystem::read_symlink("/proc/self/exe"));
  CHECK(modules[0].dynamic != 0);
  const os::Held held(modules[0]);
  CHECK(static_cast<bool>(held));
}

TEST_CASE("loading and unloading move the generation, and finding does not") {
  const auto before = os::generation();
  CHECK(os::generation() == before);
  void* handle = dlopen(COREWISE_STUBS "/libplain.so", RTLD_NOW);
  REQUIRE(handle != nullptr);
  CHECK(os::generation().adds == before.adds + 1);
  os::Generation at;
  const auto modules = os::loaded_modules(at);
  CHECK(at == os::generation());
  const os::LoadedModule plain = modules.back();
  CHECK(plain.path == COREWISE_STUBS "/libplain.so");
  {
    const os::Held held(plain);
    CHECK(static_cast<bool>(held));
    os::LoadedModule moved = plain;
    moved.base += 0x1000;
    CHECK_FALSE(static_cast<bool>(os::Held(moved)));
    // What is held is not unloaded.
    dlclose(handle);
    CHECK(os::generation().subs == before.subs);
  }
  CHECK(os::generation().subs == before.subs + 1);
  CHECK_FALSE(static_cast<bool>(os::Held(plain)));
}

TEST_CASE("modules that are known are not listed again, until something is unloaded") {
  os::Generation at;
  os::KnownModules known;
  const auto all = os::loaded_modules(at, known);
  for (const os::LoadedModule& module : all) known.places.emplace_back(module.base, module.dynamic);
  std::ranges::sort(known.places);
  known.subs = at.subs;
  CHECK(os::loaded_modules(at, known).empty());

  void* handle = dlopen(COREWISE_STUBS "/libplain.so", RTLD_NOW);
  REQUIRE(handle != nullptr);
  const auto fresh = os::loaded_modules(at, known);
  REQUIRE(fresh.size() == 1);
  CHECK(fresh[0].path == COREWISE_STUBS "/libplain.so");

  dlclose(handle);
  const auto again = os::loaded_modules(at, known);
  CHECK(again.size() == all.size());
  CHECK(at.subs == known.subs + 1);
  CHECK(again[0].path == all[0].path);
}
