// What every function of the C ABI does with its arguments, results and failures. This is the only
// place where an exception may arrive: bad_alloc becomes CW_OUT_OF_MEMORY, anything else
// CW_INTERNAL.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>

#include "base/error.h"
#include "corewise.h"
#include "os/uncancelled.h"

namespace corewise::c_api {

// The sentence about the calling thread's last failure; empty if there is none.
const char* last_error();
void clear_last_error();

// Each keeps the sentence, and returns the status.
cw_status fail(cw_status status, const std::string& what);
cw_status fail(const Error& error);
// With the general sentence of the status; needs no memory.
cw_status fail_plain(cw_status status);

template <class Body>
cw_status guarded(Body&& body) noexcept {
  const os::Uncancelled uncancelled;
  clear_last_error();
  const int callers_errno = errno;
  cw_status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = fail_plain(CW_OUT_OF_MEMORY);
  } catch (...) {
    status = fail_plain(CW_INTERNAL);
  }
  errno = callers_errno;
  return status;
}

// C callers may pass out-of-range numbers for enums, which C++ must not even read as enums.
template <class Enum>
unsigned raw(const Enum& value) {
  unsigned number;
  static_assert(sizeof number == sizeof value);
  std::memcpy(&number, &value, sizeof number);
  return number;
}

// No struct that carries its size will ever be this large: a larger size is uninitialised memory.
inline constexpr std::size_t kLargestStruct = 4096;

// Copies as much of a struct as the caller knows: the caller may be older or newer than the
// library. Fields that only a newer caller knows become zero.
template <class T>
bool hand_out(const T& made, T* out, std::size_t first) {
  if (out == nullptr || out->size < first || out->size > kLargestStruct) return false;
  constexpr std::size_t kHead = sizeof(std::size_t);
  const std::size_t n = std::min(out->size, sizeof(T));
  auto* to = reinterpret_cast<char*>(out);
  std::memcpy(to + kHead, reinterpret_cast<const char*>(&made) + kHead, n - kHead);
  std::memset(to + n, 0, out->size - n);
  return true;
}

// The caller's options; of a caller that passes none all are zero. `type` is their type's name.
template <class Options>
Result<Options> take_options(const Options* options, const char* type, std::uint32_t known_flags) {
  if (options == nullptr) return Options{};
  if (options->size < sizeof(Options) || options->size > kLargestStruct) {
    return Error{CW_BAD_ARGUMENT, "options.size was not set to sizeof(" + std::string(type) + ")"};
  }
  if ((options->flags & ~known_flags) != 0) {
    return Error{CW_BAD_ARGUMENT, "options.flags holds a flag that this version does not know"};
  }
  return *options;
}

// Copies what fits, and ends it with a zero. Returns the bytes that all of it needs.
std::size_t copy_out(const std::string& text, char* buffer, std::size_t capacity);

template <class Make>
std::size_t hand_out_text(char* buffer, std::size_t capacity, Make&& make) noexcept {
  std::size_t needed = 0;
  guarded([&] {
    needed = copy_out(make(), buffer, capacity);
    return CW_OK;
  });
  return needed;
}

// The same for a `make` that can fail: it returns a Result.
template <class Make>
cw_status hand_out_document(char* buffer, std::size_t capacity, std::size_t* needed,
                            Make&& make) noexcept {
  return guarded([&] {
    const Result<std::string> text = make();
    if (!text) return fail(text.error());
    const std::size_t bytes = copy_out(*text, buffer, capacity);
    if (needed != nullptr) *needed = bytes;
    return CW_OK;
  });
}

}  // namespace corewise::c_api
