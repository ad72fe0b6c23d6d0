// The processes that `corewise top` and `record` show: those of this user with a control socket,
// and those in a ledger. What they did since the last look.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "govern/ledger.h"
#include "observe/tasks.h"

namespace corewise::cli {

// Between two looks at something that adds up.
struct Rate {
  double cpu = 0;    // CPUs used on average
  double delay = 0;  // threads that were ready to run and had no CPU, on average
};

struct WatchedPool {
  int id = 0;
  std::string api;
  std::string runtime;
  std::string library;  // file name
  int allowed = 0;      // 0: not known
  int limit = 0;        // 0: none
  int workers = 0;
  int running = 0;
  std::optional<int> spinning;  // of those that run; nothing: cannot be told
  double cpu_s = 0, delay_s = 0;
  Rate rate;
};

struct WatchedProcess {
  int pid = 0;
  std::string command;
  bool answers = false;  // over its control socket: else the pools are not known
  bool governed = false;
  std::optional<int> granted;  // by the ledger, now
  int threads = 0;
  int running = 0;
  double cpu_s = 0, delay_s = 0;
  Rate rate;
  std::optional<double> throttled_s;  // by a CPU quota, so far
  std::string sample;                 // as it answered, JSON; empty if it did not
  std::vector<WatchedPool> pools;
};

struct View {
  double time_s = 0;
  double budget = 0;  // CPUs that are ours
  int ledger_budget = 0;
  int granted = 0;
  std::vector<WatchedProcess> processes;  // by pid

  int running() const;
  double throttled_s() const;
};

class ProcessWatch {
 public:
  // Rates are since the last look; none at the first.
  View look();

 private:
  std::optional<View> last_;
};

// The view as JSON (docs/json.md).
std::string view_json(const View& view);

bool is_there(int pid);

// The arguments of a process, separated by spaces; its short name where it has none.
std::string command_of(int pid);

double monotonic_s();

}  // namespace corewise::cli
