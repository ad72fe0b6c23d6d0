#include "idle_pools.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>

#include "os/os.h"
#include "pools/discover.h"

namespace corewise::govern::idle_pools {
namespace {

struct Held {
  const Pool* pool = nullptr;
  std::optional<SpinWord> word;
  std::string why;  // there is none
  std::uint64_t before = 0;
  bool shortened = false;
};

std::mutex& lock() {
  static std::mutex mutex;
  [[maybe_unused]] static const bool registered = [] {
    os::at_fork([] { lock().lock(); }, [] { lock().unlock(); }, [] { lock().unlock(); });
    return true;
  }();
  return mutex;
}

// Never freed: a thread may be here while the process ends.
std::vector<Held>& held() {
  static auto* const all = new std::vector<Held>;
  return *all;
}

void shorten(Held& entry, SpinReport& report) {
  if (!entry.word) return;
  const std::uint64_t now = entry.word->load();
  if (now <= entry.word->brief || now == entry.word->patient) return;
  entry.before = now;
  entry.shortened = true;
  entry.word->store(entry.word->brief);
  ++report.shortened;
}

// Looks only once: what cannot be found now cannot be found later.
Held& entry_of(const Pool& pool) {
  const auto known =
      std::ranges::find_if(held(), [&](const Held& entry) { return entry.pool == &pool; });
  if (known != held().end()) return *known;
  Held& entry = held().emplace_back();
  entry.pool = &pool;
  const std::optional<Result<SpinWord>> word = pool.runtime->spin_word(pool);
  if (word && *word) {
    entry.word = **word;
  } else if (word && word->error().status != CW_OK) {
    entry.why = word->error().what;
  }
  return entry;
}

// GOMP_SPINCOUNT would win over OMP_WAIT_POLICY.
constexpr std::array<Variable, 2> kVariables = {{
    {"OPENBLAS_THREAD_TIMEOUT", "16", nullptr, "COREWISE_THREAD_TIMEOUT"},
    {"GOMP_SPINCOUNT", "30000", "OMP_WAIT_POLICY", "COREWISE_SPINCOUNT"},
}};

}  // namespace

SpinReport install() {
  discover();
  SpinReport report;
  const std::lock_guard guard(lock());
  for (std::size_t id = 0; id < pool_count(); ++id) {
    Held& entry = entry_of(pool_at(id));
    if (!entry.why.empty()) report.left.push_back(entry.why);
    shorten(entry, report);
  }
  return report;
}

SpinReport remove() {
  SpinReport report;
  const std::lock_guard guard(lock());
  for (Held& entry : held()) {
    if (!std::exchange(entry.shortened, false)) continue;
    const SpinWord& word = *entry.word;
    if (word.exchange(word.brief, entry.before) ||
        (word.patient != 0 && word.exchange(word.patient, entry.before))) {
      ++report.shortened;
    } else {
      report.left.push_back("somebody else has set how long the idle threads of " +
                            entry.pool->path + " spin");
    }
  }
  return report;
}

std::optional<SpinWord> word_of(const Pool& pool) {
  const std::lock_guard guard(lock());
  return entry_of(pool).word;
}

std::span<const Variable> variables() { return kVariables; }

}  // namespace corewise::govern::idle_pools
