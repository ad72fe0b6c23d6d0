// Local symbols are believed only where the file still is what was loaded.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "elf/trusted_local.h"

using namespace corewise::elf;

namespace {

constexpr const char* kStub = COREWISE_STUBS "/libblis.so";

// The stub as it was loaded, in which one byte may be another.
class Memory final : public Bytes {
 public:
  explicit Memory(const File& file) : file_(file) {}
  bool read(std::uint64_t address, void* out, std::size_t n) const override {
    if (!file_.read(address, out, n)) return false;
    if (changed >= address && changed - address < n) {
      static_cast<char*>(out)[changed - address] ^= 1;
    }
    return true;
  }
  std::uint64_t changed = ~std::uint64_t{0};

 private:
  const File& file_;
};

}  // namespace

TEST_CASE("trusted local: a function whose code is the file's") {
  const auto file = File::open(kStub);
  REQUIRE(file);
  Memory memory(*file);
  const auto found = trusted_local(*file, memory, 0, "set_up");
  REQUIRE(found);
  CHECK(found->function);
  memory.changed = found->value + found->size - 1;
  CHECK_FALSE(trusted_local(*file, memory, 0, "set_up"));
}

TEST_CASE("trusted local: a variable may hold anything, but must be there") {
  const auto file = File::open(kStub);
  REQUIRE(file);
  Memory memory(*file);
  const auto found = trusted_local(*file, memory, 0, "count");
  REQUIRE(found);
  memory.changed = found->value;
  CHECK(trusted_local(*file, memory, 0, "count"));
  CHECK_FALSE(trusted_local(*file, memory, 1 << 30, "count"));
}

TEST_CASE("trusted local: what the file does not name") {
  const auto file = File::open(kStub);
  REQUIRE(file);
  CHECK_FALSE(trusted_local(*file, Memory(*file), 0, "nobody"));
}
