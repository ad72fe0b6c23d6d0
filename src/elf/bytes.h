// Bytes by address: of a module in this process's memory, in a file, or in another process.
#pragma once

#include <cstddef>
#include <cstdint>

namespace corewise::elf {

// read() copies exactly n bytes or returns false and leaves out unspecified.
class Bytes {
 public:
  virtual ~Bytes() = default;
  virtual bool read(std::uint64_t address, void* out, std::size_t n) const = 0;
};

}  // namespace corewise::elf
