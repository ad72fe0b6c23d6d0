// What people see of a ledger: `corewise top` and the report at exit.
#include <algorithm>
#include <string_view>

#include "base/clock.h"
#include "ledger.h"

namespace corewise::govern {

LedgerSnapshot read_ledger(const Shared& shared, const RecentCallersPolicy& recent) {
  LedgerSnapshot snapshot;
  const auto& key = shared.header.key;
  snapshot.key.assign(key.begin(), std::find(key.begin(), key.end(), '\0'));
  snapshot.budget = budget_in(shared);
  const std::uint64_t epoch = now_ms() / std::max(1U, recent.epoch_ms) + 1;
  snapshot.recent_callers = std::max(shared.recent.at(epoch), shared.recent.at(epoch - 1));
  for (std::size_t place = 0; place < kPlaces; ++place) {
    const Word word = shared.words[place].load();
    if (word == 0) continue;
    const Record& record = shared.records[place];
    snapshot.entries.push_back({.pid = identity(word).pid,
                                .tokens = tokens(word),
                                .since_ms = record.since_ms.load(std::memory_order_relaxed),
                                .regions = record.regions.load(std::memory_order_relaxed),
                                .shortened = record.shortened.load(std::memory_order_relaxed),
                                .withheld = record.withheld.load(std::memory_order_relaxed)});
  }
  return snapshot;
}

std::vector<LedgerSnapshot> read_ledgers(const std::string& directory) {
  std::vector<LedgerSnapshot> ledgers;
  for (const std::string& path : ledger_files(directory)) {
    const Shared* shared = map_for_reading(path);
    if (!shared) continue;
    ledgers.push_back(read_ledger(*shared, {}));
    ledgers.back().path = path;
    unmap(shared);
  }
  return ledgers;
}

}  // namespace corewise::govern
