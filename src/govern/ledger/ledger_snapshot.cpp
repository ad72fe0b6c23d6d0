// What people see of a ledger: `corewise top` and the report at exit.
#include <algorithm>

#include "ledger.h"

namespace corewise::govern {

LedgerSnapshot read_ledger(const Shared& shared) {
  LedgerSnapshot snapshot;
  const auto& key = shared.header.key;
  snapshot.key.assign(key.begin(), std::find(key.begin(), key.end(), '\0'));
  snapshot.budget = budget_in(shared);
  for (const std::atomic<Word>& each : shared.words) {
    const Word word = each.load();
    if (word != 0) snapshot.entries.push_back({identity(word).pid, tokens(word)});
  }
  return snapshot;
}

std::vector<LedgerSnapshot> read_ledgers(const std::string& directory) {
  std::vector<LedgerSnapshot> ledgers;
  for (const std::string& path : ledger_files(directory)) {
    const Shared* shared = map_for_reading(path);
    if (!shared) continue;
    ledgers.push_back(read_ledger(*shared));
    ledgers.back().path = path;
    unmap(shared);
  }
  return ledgers;
}

}  // namespace corewise::govern
