#include "top_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "screen/layout.h"
#include "screen/thread_product.h"
#include "shell/output.h"
#include "top_verdict.h"

namespace corewise::cli {
namespace {

// A process with fewer ready threads is not part of the cause.
constexpr double kBusy = 0.5;

double ready(const Rate& rate) { return rate.cpu + rate.delay; }

// Rounds, so that nearly equal processes are equal.
long in_tenths(const Rate& rate) { return std::lround(10 * ready(rate)); }

// The pool whose threads a process runs most; null: its own threads, or not known.
const WatchedPool* main_pool(const WatchedProcess& process) {
  const auto most = std::ranges::max_element(
      process.pools, {}, [](const WatchedPool& pool) { return in_tenths(pool.rate); });
  if (most == process.pools.end()) return nullptr;
  // A region on two threads is one worker and one thread of the program.
  return ready(most->rate) * 3 >= ready(process.rate) ? &*most : nullptr;
}

int threads_of(const WatchedPool& pool) {
  return pool.allowed > 0 ? pool.allowed : pool.workers + 1;
}

// If all processes have the same pool and count, that is the cause.
std::optional<std::string> product(const std::vector<const WatchedProcess*>& busy, const View& view,
                                   bool unicode) {
  const WatchedPool* first = main_pool(*busy.front());
  if (first == nullptr) return std::nullopt;
  const int each = threads_of(*first);
  for (const WatchedProcess* process : busy) {
    const WatchedPool* pool = main_pool(*process);
    if (pool == nullptr || pool->runtime != first->runtime || threads_of(*pool) != each) {
      return std::nullopt;
    }
  }
  const Product product{busy.size(), each, first->runtime, first->api};
  if (!explains(product, view.ready(), view.budget)) return std::nullopt;
  return in_words(product, view.budget, unicode);
}

// The busiest that can be told what to do; null if none of them answers.
const WatchedProcess* to_cure(const std::vector<const WatchedProcess*>& busy) {
  const auto found = std::ranges::find(busy, true, &WatchedProcess::answers);
  return found != busy.end() ? *found : nullptr;
}

bool is_governed(const WatchedProcess& process) {
  return process.governed || process.granted.has_value();
}

std::string cure_for(const WatchedProcess& one, std::size_t busy, const View& view) {
  if (is_governed(one)) {
    const WatchedPool* pool = main_pool(one);
    const auto share = static_cast<int>(view.budget / static_cast<double>(busy));
    return fmt::format("corewise limit --pid {} --{} {}", one.pid,
                       pool != nullptr ? pool->api : "openmp", std::max(1, share));
  }
  if (one.name.ends_with(".ipynb")) {
    return fmt::format("%govern on, in {}", printable(one.name, false));
  }
  const std::string govern = fmt::format("corewise govern --pid {}", one.pid);
  return busy == 1 ? govern : govern + "; do so for each, or start them with corewise run";
}

}  // namespace

Advice advice_for(const View& view, bool unicode) {
  if (verdict_of(view).situation != Situation::too_many) return {};
  std::vector<const WatchedProcess*> busy;
  for (const WatchedProcess& process : view.processes) {
    if (ready(process.rate) >= kBusy) busy.push_back(&process);
  }
  if (busy.empty()) return {};
  // Busiest first, equal ones in the order of their pids.
  std::ranges::sort(busy, {}, [](const WatchedProcess* process) {
    return std::pair(-in_tenths(process->rate), process);
  });
  const auto cause = product(busy, view, unicode);
  constexpr int kLongestName = 24;
  const WatchedProcess& most = *busy.front();
  const std::string name = cut_off(printable(most.name, unicode), kLongestName, unicode);
  const std::string words =
      busy.size() == 1 ? fmt::format("{} has {:.1f} threads ready.", name, ready(most.rate))
                       : fmt::format("{} processes; {} has most: {:.1f} threads.", busy.size(),
                                     name, ready(most.rate));
  const WatchedProcess* const one = to_cure(busy);
  if (one == nullptr) return {cause.value_or(words), "", '\0'};
  return {cause.value_or(words), cure_for(*one, busy.size(), view), is_governed(*one) ? 'l' : 'g'};
}

}  // namespace corewise::cli
