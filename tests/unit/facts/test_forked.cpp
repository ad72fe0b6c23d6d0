// A child and its parent as files in a folder laid out like /proc, and what may be wrong with them.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "facts/forked.h"

using namespace corewise;

namespace {

constexpr const char* kCode = "7f00-7f90 r-xp 0000 00:00 1 /lib/libgomp.so.1\n";

// Process 20 was forked by 10, at tick 500, while 10 had a worker that began at tick 400.
class Proc {
 public:
  Proc() {
    std::string pattern = (std::filesystem::temp_directory_path() / "proc.XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    write("20/stat", stat("20 (a child) ) S 10", 500));
    write("20/maps", kCode);
    write("10/maps", kCode);
    write("10/task/10/stat", stat("10 (parent) S 1", 100));
    write("10/task/10/syscall", "230 0x0 0x7ff0 0x7f10\n");
    write("10/task/11/stat", stat("11 (worker) S 1", 400));
    write("10/task/11/syscall", "202 0x5615 0x80 0x7ffd 0x7f48\n");
  }
  Proc(const Proc&) = delete;
  Proc& operator=(const Proc&) = delete;
  ~Proc() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void write(const std::string& name, const std::string& text) const {
    const auto file = root_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  // Fields 1 to 4 as given, zeros up to 22.
  static std::string stat(const std::string& head, int started) {
    std::string text = head;
    for (int field = 5; field < 22; ++field) text += " 0";
    return text + " " + std::to_string(started) + " 0 0\n";
  }

  bool forked(const std::vector<std::string>& libraries = {"/lib/libgomp.so.1"}) const {
    return forked_after_openmp(root_.string(), 20, libraries);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace

TEST_CASE("a worker of the parent that is older than the child gives it away") {
  CHECK(Proc().forked());
}

TEST_CASE("no other library, no other address, no younger worker") {
  const Proc proc;
  CHECK_FALSE(proc.forked({}));
  CHECK_FALSE(proc.forked({"/lib/libomp.so"}));

  SUBCASE("a worker that began after the fork") {
    proc.write("10/task/11/stat", Proc::stat("11 (worker) S 1", 501));
  }
  SUBCASE("a thread that waits somewhere else") {
    proc.write("10/task/11/syscall", "202 0x5615 0x80 0x7ffd 0x8f48\n");
  }
  SUBCASE("a thread that runs") { proc.write("10/task/11/syscall", "running\n"); }
  SUBCASE("the library at another address: the child is no copy") {
    proc.write("10/maps", "6f00-6f90 r-xp 0000 00:00 1 /lib/libgomp.so.1\n");
  }
  SUBCASE("the main thread is no worker") {
    proc.write("10/task/11/syscall", "");
    proc.write("10/task/10/syscall", "202 0x5615 0x80 0x7ffd 0x7f48\n");
  }
  CHECK_FALSE(proc.forked());
}

TEST_CASE("what cannot be read, or is garbage, tells nothing") {
  CHECK_FALSE(forked_after_openmp("/no/such/folder", 20, {"/lib/libgomp.so.1"}));
  CHECK_FALSE(forked_after_openmp("/proc", ::getpid(), {"/lib/libgomp.so.1"}));
  for (const char* text : {"", "20", "20 (x", "20 (x) ", "20 (x) S ten", "\n) \n"}) {
    const Proc proc;
    proc.write("20/stat", text);
    CHECK_FALSE(proc.forked());
  }
}
