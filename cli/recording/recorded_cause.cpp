#include "recorded_cause.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "pools/pool.h"
#include "screen/thread_product.h"

namespace corewise::cli {
namespace {

// A process with fewer ready threads is not part of the cause.
constexpr double kBusy = 0.5;

double ready_at(const LaneGroup& group, std::size_t bin) {
  double ready = 0;
  for (const auto& [tid, lane] : group.lanes) {
    ready += static_cast<double>(lane.cpu[bin]) + static_cast<double>(lane.delay[bin]);
  }
  return ready;
}

struct Crowd {
  std::vector<const LaneGroup*> groups;
  double ready = 0;
};

// Takes the moment when most processes were busy, and among those when most threads were ready.
Crowd largest_crowd(const Recording& recording) {
  Crowd largest;
  for (std::size_t bin = 0; bin < recording.wanted.size(); ++bin) {
    Crowd now{{}, static_cast<double>(recording.wanted[bin])};
    if (now.ready <= recording.budget + kTolerance) continue;
    for (const LaneGroup& group : recording.groups) {
      if (ready_at(group, bin) >= kBusy) now.groups.push_back(&group);
    }
    if (std::pair(now.groups.size(), now.ready) > std::pair(largest.groups.size(), largest.ready)) {
      largest = std::move(now);
    }
  }
  return largest;
}

std::string api_of(std::string_view runtime) {
  for (const Runtime* known : runtimes()) {
    if (runtime == known->name) return api_name(known->api);
  }
  return {};
}

// The pool whose threads a process ran most, and its size; no value: its own threads, or not known.
std::optional<std::pair<std::string, int>> main_pool(const LaneGroup& group) {
  std::map<std::string, std::pair<double, int>> pools;
  double all_s = 0;
  for (const auto& [tid, lane] : group.lanes) {
    const double ready_s = lane.busy_s + lane.delay_s;
    all_s += ready_s;
    if (ready_s <= 0 || lane.pool.empty() || lane.pool == "program") continue;
    pools[lane.pool].first += ready_s;
    ++pools[lane.pool].second;
  }
  const auto most =
      std::ranges::max_element(pools, {}, [](const auto& pool) { return pool.second.first; });
  // A region on two threads is one worker and one thread of the program.
  if (most == pools.end() || most->second.first * 3 < all_s) return std::nullopt;
  return std::pair(most->first, most->second.second + 1);
}

// If all processes have the same pool and count, that is the cause.
std::optional<Product> product_of(const Crowd& crowd, double budget) {
  const auto first = main_pool(*crowd.groups.front());
  if (!first) return std::nullopt;
  for (const LaneGroup* group : crowd.groups) {
    if (main_pool(*group) != first) return std::nullopt;
  }
  const Product product{crowd.groups.size(), first->second, first->first, api_of(first->first)};
  return explains(product, crowd.ready, budget) ? std::optional(product) : std::nullopt;
}

bool is_governed(std::string_view command) {
  return file_name(cut(command, ' ')) == "corewise" && cut(command, ' ') == "run";
}

std::string cure_for(const std::string& command) {
  if (is_governed(command)) return {};
  if (command.find("ipykernel_launcher") != command.npos) return "%govern on, in the notebook";
  return "corewise run -- " + command;
}

}  // namespace

RecordedCause cause_of(const Recording& recording, bool unicode) {
  if (fits(recording)) return {};
  const Crowd crowd = largest_crowd(recording);
  if (crowd.groups.empty()) return {};
  const auto product = product_of(crowd, recording.budget);
  return {product ? in_words(*product, recording.budget, unicode) : "",
          cure_for(recording.command)};
}

std::string advice_of(const Recording& recording, bool unicode) {
  const auto [cause, cure] = cause_of(recording, unicode);
  return cause + (cause.empty() || cure.empty() ? "" : " ") +
         (cure.empty() ? "" : "What to do: " + cure);
}

}  // namespace corewise::cli
