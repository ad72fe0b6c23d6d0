#include "pool.h"

#include <array>
#include <atomic>

#include "os/threads.h"

namespace corewise {
namespace {

// By pool; 0: no thread of the program was seen. Pools beyond have none.
constinit std::array<std::atomic<int>, 256> seen_threads{};

std::optional<int> seen_threads_of(std::uint32_t pool) {
  const int seen = pool < seen_threads.size() ? seen_threads[pool].load() : 0;
  return seen != 0 ? std::optional(seen) : std::nullopt;
}

}  // namespace

AmidCall::AmidCall() : outer_(os::thread_flags.is_amid_call) {
  os::thread_flags.is_amid_call = true;
}
AmidCall::~AmidCall() { os::thread_flags.is_amid_call = outer_; }

bool is_amid_call() { return os::thread_flags.is_amid_call; }

OwnThread::OwnThread() : outer_(os::thread_flags.is_ours) { os::thread_flags.is_ours = true; }
OwnThread::~OwnThread() { os::thread_flags.is_ours = outer_; }

bool is_own_thread() { return os::thread_flags.is_ours; }

void note_threads(std::uint32_t pool, int threads) noexcept {
  if (pool >= seen_threads.size()) return;
  std::atomic<int>& seen = seen_threads[pool];
  if (seen.load(std::memory_order_relaxed) != threads) seen.store(threads);
}

Use use_by_word(const Pool& pool) { return use_by_word(pool.used_at); }

bool Pool::hides_from_caller() const {
  return os::thread_flags.is_ours && runtime->adopts_callers && scope == CW_SCOPE_THREAD;
}

bool Pool::may_be_asked() const {
  if ((os::thread_flags.is_amid_call && runtime->locks) || hides_from_caller()) return false;
  return asked || runtime->used(*this).value_or(Use::kUsed) == Use::kUsed;
}

std::optional<int> Pool::threads() const {
  if (hides_from_caller()) return seen_threads_of(id);
  return may_be_asked() ? ask_threads() : std::nullopt;
}

std::optional<int> Pool::ask_threads() const {
  const std::optional<int> told = runtime->get(*this);
  if (!told || *told < 1) return std::nullopt;
  if (runtime->adopts_callers && !os::thread_flags.is_ours) note_threads(id, *told);
  return told;
}

const char* Pool::shown_detail() const {
  if (!detail.empty() || may_be_asked()) return detail.c_str();
  if (hides_from_caller() && runtime->used(*this).value_or(Use::kUsed) == Use::kUsed) {
    return seen_threads_of(id) ? "" : "each thread has its own count; none was seen yet";
  }
  return runtime->used(*this) == Use::kNotYet ? "not used yet"
                                              : "not asked: nothing shows whether it was used";
}

}  // namespace corewise
