#include "process_order.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <string_view>

namespace corewise::cli {
namespace {

constexpr std::array<const char*, 5> kWords = {"threads ready to run", "CPU time", "threads",
                                               "name", "pid"};

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

bool holds(std::string_view text, std::string_view part) {
  return !std::ranges::search(text, part, {}, lower, lower).empty() || part.empty();
}

// Rounds to steps, so that rows do not change places all the time.
long step(double threads) { return std::lround(10 * threads); }

bool before(const WatchedProcess& a, const WatchedProcess& b, Order order) {
  switch (order) {
    case Order::ready: {
      const long mine = step(a.rate.cpu + a.rate.delay);
      const long others = step(b.rate.cpu + b.rate.delay);
      if (mine != others) return mine > others;
      return a.running > b.running;
    }
    case Order::cpu:
      return step(a.rate.cpu) > step(b.rate.cpu);
    case Order::threads:
      return a.threads > b.threads;
    case Order::name:
      return a.name < b.name;
    case Order::pid:
      return a.pid < b.pid;
  }
  return false;
}

}  // namespace

const char* words_for(Order order) { return kWords[static_cast<std::size_t>(order)]; }

Order next_order(Order order) {
  return static_cast<Order>((static_cast<std::size_t>(order) + 1) % kWords.size());
}

std::vector<const WatchedProcess*> listed(const View& view, Order order,
                                          const std::string& filter) {
  std::vector<const WatchedProcess*> all;
  for (const WatchedProcess& process : view.processes) {
    if (holds(process.name, filter) || holds(process.command, filter) ||
        holds(std::to_string(process.pid), filter)) {
      all.push_back(&process);
    }
  }
  // Equal rows stay in the order of their pids.
  std::ranges::sort(all, [&](const WatchedProcess* a, const WatchedProcess* b) {
    return before(*a, *b, order) || (!before(*b, *a, order) && a < b);
  });
  return all;
}

}  // namespace corewise::cli
