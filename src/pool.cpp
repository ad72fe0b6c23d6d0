#include "pool.h"

namespace corewise {

bool Pool::may_be_asked() const {
  return asked || runtime->used(*this).value_or(Use::kUsed) == Use::kUsed;
}

std::optional<int> Pool::threads() const { return may_be_asked() ? ask_threads() : std::nullopt; }

std::optional<int> Pool::ask_threads() const {
  const std::optional<int> told = runtime->get(*this);
  return told && *told >= 1 ? told : std::nullopt;
}

const char* Pool::shown_detail() const {
  if (!detail.empty() || may_be_asked()) return detail.c_str();
  return runtime->used(*this) == Use::kNotYet ? "not used yet"
                                              : "not asked: nothing shows whether it was used";
}

}  // namespace corewise
