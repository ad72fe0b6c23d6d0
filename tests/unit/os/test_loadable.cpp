#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "os/loadable.h"
#include "os/os.h"
#include "system_call_filter.h"

using namespace corewise;
using os::Obstacle;

namespace {

Obstacle obstacle(const char* program, const char* library) {
  os::learn_own_loader();
  const std::array<const char*, 2> words{"program", nullptr};
  os::Started started;
  os::find_obstacle(program, words.data(), library, started);
  return started.obstacle;
}

// The C library is a library that any program can load.
std::string some_library() {
  return os::real_path(os::file_of(reinterpret_cast<const void*>(&::dlsym)));
}

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "corewise.XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("a library that is not there, or is none, is an obstacle") {
  const Folder folder;
  const std::string library = some_library();
  CHECK(obstacle("/proc/self/exe", library.c_str()) == Obstacle::none);
  CHECK(obstacle("/proc/self/exe", nullptr) == Obstacle::none);
  CHECK(obstacle("/proc/self/exe", "/no/such/library.so") == Obstacle::no_library);
  CHECK(obstacle("/proc/self/exe", folder.path.c_str()) == Obstacle::no_library);
  const std::string text = folder.path + "/text.so";
  std::ofstream(text) << "no library at all, but long enough for the header of a program's file\n";
  CHECK(obstacle("/proc/self/exe", text.c_str()) == Obstacle::no_library);
  // Of a program that it cannot read, too.
  CHECK(obstacle("/no/such/program", "/no/such/library.so") == Obstacle::no_library);
}

TEST_CASE("a caller without descriptors does not know, and takes the library for there") {
  const std::string library = some_library();
  os::learn_own_loader();
  const int code = test::in_child([&] {
    const rlimit none{};
    ::setrlimit(RLIMIT_NOFILE, &none);
    return obstacle("/proc/self/exe", library.c_str()) == Obstacle::none ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("a sandbox that forbids to open the library is an obstacle") {
  const std::string library = some_library();
  os::learn_own_loader();
  const int code = test::in_child([&] {
    constexpr auto kSyscall = [](long number, long a, long b, long c, long d, long e, long f) {
      return ::syscall(number, a, b, c, d, e, f);
    };
    if (test::refuse(SYS_openat, 0, kSyscall) != 0) return 2;
    return obstacle("/proc/self/exe", library.c_str()) == Obstacle::no_library ? 0 : 1;
  });
  CHECK(code == 0);
}
