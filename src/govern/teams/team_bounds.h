// What bounds a region's team besides the number that was asked for, as the runtime itself would
// say in the calling thread (OpenMP 5.2, 10.1.1: active levels and the thread limit). Only for
// regions: asking initialises a runtime that nobody has used.
#pragma once

#include <algorithm>

namespace corewise::govern {

class TeamBounds {
 public:
  TeamBounds() = default;

  // `symbol(name)`: the runtime's function, or null. A missing function bounds nothing.
  template <class Find>
  explicit TeamBounds(const Find& symbol)
      : level_(reinterpret_cast<Get*>(symbol("omp_get_active_level"))),
        most_levels_(reinterpret_cast<Get*>(symbol("omp_get_max_active_levels"))),
        most_threads_(reinterpret_cast<Get*>(symbol("omp_get_thread_limit"))) {}

  // Whether a region that starts here gets one thread, whatever it asks for.
  bool is_serial() const {
    return level_ != nullptr && most_levels_ != nullptr && level_() >= most_levels_();
  }

  int within_limit(int threads) const {
    return most_threads_ != nullptr ? std::min(threads, std::max(1, most_threads_())) : threads;
  }

 private:
  using Get = int();
  Get* level_ = nullptr;
  Get* most_levels_ = nullptr;
  Get* most_threads_ = nullptr;
};

}  // namespace corewise::govern
