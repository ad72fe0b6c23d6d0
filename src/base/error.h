// Failure, as a value: one enum (the C ABI's own), one message table (error.cpp), and Result<T>.
// The core throws nothing itself; c_api/marshal.h catches what libstdc++ throws (bad_alloc).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "corewise.h"

namespace corewise {

using Status = cw_status;

// What failed, in one sentence that names the pool, file or number and says what to do.
struct Error {
  Status status = CW_INTERNAL;
  std::string what;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const Error& error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_{CW_OK, {}};
};

// The system's words for an errno.
std::string system_says(int error);

const char* status_name(Status status);
const char* status_message(Status status);

}  // namespace corewise
