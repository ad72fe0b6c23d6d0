#include "pool.h"

#include <utility>

namespace corewise {
namespace {

[[gnu::tls_model("initial-exec")]] constinit thread_local bool amid_call = false;

}  // namespace

AmidCall::AmidCall() : outer_(std::exchange(amid_call, true)) {}
AmidCall::~AmidCall() { amid_call = outer_; }

bool is_amid_call() { return amid_call; }

Use use_by_word(const Pool& pool) { return use_by_word(pool.used_at); }

bool Pool::may_be_asked() const {
  if (amid_call && runtime->locks) return false;
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
