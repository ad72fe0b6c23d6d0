// A byte of a function's code, changed as by another tool: what was found there is there no longer.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace corewise::test {

class BrokenCode {
 public:
  BrokenCode(void* function, std::size_t offset)
      : byte_(static_cast<volatile std::uint8_t*>(function) + offset) {
    flip();
  }
  BrokenCode(const BrokenCode&) = delete;
  BrokenCode& operator=(const BrokenCode&) = delete;
  ~BrokenCode() { flip(); }

 private:
  void flip() const {
    const auto page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto at = reinterpret_cast<std::uintptr_t>(byte_);
    auto* const page = reinterpret_cast<void*>(at - at % page_size);
    REQUIRE(::mprotect(page, page_size, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    *byte_ = *byte_ ^ 0x40U;
    REQUIRE(::mprotect(page, page_size, PROT_READ | PROT_EXEC) == 0);
  }

  volatile std::uint8_t* byte_;
};

}  // namespace corewise::test
