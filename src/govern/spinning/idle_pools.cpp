#include "idle_pools.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>

#include "os/fork.h"
#include "os/os.h"
#include "pools/discover.h"

namespace corewise::govern::idle_pools {
namespace {

struct IdlePool {
  std::uint32_t pool = 0;  // its number: a fuller Pool may take its place
  std::optional<SpinWord> word;
  std::string why;  // why there is no word
  std::uint64_t before = 0;
  bool shortened = false;
};

os::ForkLock& lock() { return os::fork_lock(os::ForkRank::kIdlePools); }

// Never freed: a thread may be here while the process ends.
std::vector<IdlePool>& known_pools() {
  static auto* const all = new std::vector<IdlePool>;
  return *all;
}

void shorten(IdlePool& idle) {
  if (!idle.word) return;
  const std::uint64_t now = idle.word->load();
  if (now <= idle.word->brief || now == idle.word->long_spin) return;
  idle.before = now;
  idle.shortened = true;
  idle.word->store(idle.word->brief);
}

// Searches only once: what cannot be found now cannot be found later.
IdlePool& idle_pool_of(const Pool& pool) {
  const auto known = std::ranges::find(known_pools(), pool.id, &IdlePool::pool);
  if (known != known_pools().end()) return *known;
  IdlePool& idle = known_pools().emplace_back();
  idle.pool = pool.id;
  const std::optional<Result<SpinWord>> word = pool.runtime->spin_word(pool);
  if (!word) return idle;
  if (!*word) {
    idle.why = word->error().what;
  } else if ((*word)->at != 0) {
    idle.word = **word;
  }
  return idle;
}

// GOMP_SPINCOUNT would win over OMP_WAIT_POLICY. OMP_DISPLAY_ENV=verbose prints it.
constexpr std::array<SpinVariable, 2> kVariables = {{
    {"OPENBLAS_THREAD_TIMEOUT", "16", {}, "COREWISE_THREAD_TIMEOUT"},
    {"GOMP_SPINCOUNT", "30000", {"OMP_WAIT_POLICY", "OMP_DISPLAY_ENV"}, "COREWISE_SPINCOUNT"},
}};

}  // namespace

std::vector<std::string> install() {
  std::vector<std::string> left;
  const std::lock_guard guard(lock());
  for (std::size_t id = 0; id < pool_count(); ++id) {
    IdlePool& idle = idle_pool_of(pool_at(id));
    if (!idle.why.empty()) left.push_back(idle.why);
    shorten(idle);
  }
  return left;
}

std::vector<std::string> remove() {
  std::vector<std::string> left;
  const std::lock_guard guard(lock());
  for (IdlePool& idle : known_pools()) {
    if (!std::exchange(idle.shortened, false)) continue;
    const SpinWord& word = *idle.word;
    if (word.exchange(word.brief, idle.before)) continue;
    if (word.long_spin != 0 && word.exchange(word.long_spin, idle.before)) continue;
    left.push_back("somebody else has set how long the idle threads of " + pool_at(idle.pool).path +
                   " spin");
  }
  return left;
}

std::optional<SpinWord> word_of(const Pool& pool) {
  const std::lock_guard guard(lock());
  return idle_pool_of(pool).word;
}

std::span<const SpinVariable> variables() { return kVariables; }

}  // namespace corewise::govern::idle_pools
