// An entry of a table that a row may lack. Calling a missing entry is safe: it answers "nothing",
// so that no caller has to remember to check first.
#pragma once

#include <cstddef>
#include <optional>

namespace corewise {

template <class Signature>
class Entry;

template <class R, class... Args>
class Entry<R(Args...)> {
 public:
  using Pointer = R (*)(Args...);

  constexpr Entry(std::nullptr_t = nullptr) {}
  constexpr Entry(Pointer function) : function_(function) {}

  constexpr explicit operator bool() const { return function_ != nullptr; }

  // What the function returns; nothing if the row lacks it.
  std::optional<R> operator()(Args... args) const {
    return function_ != nullptr ? std::optional<R>(function_(static_cast<Args>(args)...))
                                : std::nullopt;
  }

 private:
  Pointer function_ = nullptr;
};

template <class... Args>
class Entry<void(Args...)> {
 public:
  using Pointer = void (*)(Args...);

  constexpr Entry(std::nullptr_t = nullptr) {}
  constexpr Entry(Pointer function) : function_(function) {}

  constexpr explicit operator bool() const { return function_ != nullptr; }

  // False if the row lacks it: nothing was done.
  bool operator()(Args... args) const {
    if (function_ == nullptr) return false;
    function_(static_cast<Args>(args)...);
    return true;
  }

 private:
  Pointer function_ = nullptr;
};

}  // namespace corewise
