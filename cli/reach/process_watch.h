// The processes that `corewise top` and `record` show: those of this user with a control socket,
// and those in a ledger; and what they did since the last view.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "govern/ledger/ledger.h"
#include "observe/tasks.h"
#include "question.h"

namespace corewise::cli {

// Rates between two views.
struct Rate {
  double cpu = 0;    // CPUs used on average
  double delay = 0;  // threads that were ready to run and had no CPU, on average
};

struct WatchedPool {
  int id = 0;
  std::string api;
  std::string runtime;  // or the name of a library that is none
  std::string library;  // file name
  std::string name;     // "openblas (numpy)", or the runtime
  int allowed = 0;      // 0: not known
  int limit = 0;        // 0: none
  int workers = 0;
  int running = 0;
  std::optional<int> spinning;  // of the running ones; no value: not known
  double cpu_s = 0, delay_s = 0;
  Rate rate;
};

struct WatchedProcess {
  int pid = 0;
  std::string command;
  std::string name;       // what a person calls it (process_name.h)
  bool answers = false;   // over its control socket: else the pools are not known
  bool stopped = false;   // by a signal or a debugger: it cannot answer
  bool debugged = false;  // by a debugger: no signal makes it go on
  double silent_s = 0;    // how long ago we asked, if it has not answered yet
  double time_s = 0;      // when the numbers below were taken
  bool governed = false;
  std::optional<int> granted;  // by the ledger, now
  int threads = 0;
  int running = 0;
  double cpu_s = 0, delay_s = 0;
  Rate rate;
  std::optional<double> throttled_s;  // by a CPU quota, so far
  std::string sample;                 // its answer, JSON; empty if there is none
  std::vector<WatchedPool> pools;
  std::vector<WatchedPool> libraries;  // that are no runtime: only their threads are known
};

struct View {
  double time_s = 0;
  double budget = 0;  // CPUs that are ours
  int ledgers = 0;    // with a process of ours
  int ledger_budget = 0;
  int granted = 0;
  bool has_rates = false;
  std::optional<double> others_ready;     // threads of other programs that run or are ready to
  double throttled_share = 0;             // of the time since the last view, the quota paused us
  std::vector<WatchedProcess> processes;  // by pid

  int running() const;
  double throttled_s() const;
  // Threads that ran or were ready to since the last view, on average; now, until there are rates.
  double ready() const;
  // Those of them that had no CPU.
  double delayed() const;
};

class ProcessWatch {
 public:
  // Rates are since the last view; the first view has none. Asks all processes at once and waits at
  // most half a second for all the answers. A process that has not answered appears as the kernel
  // sees it; later views take its answer when it arrives and do not wait for it again.
  View next();

 private:
  using Questions = std::map<int, std::unique_ptr<Question>>;

  void ask(const std::set<int>& pids);
  void take_answers(View& view);
  void set_others(View& view);
  std::string name_now(const WatchedProcess& process) const;

  std::optional<View> last_;
  Questions asked_;  // by pid, without an answer yet
  std::optional<double> others_;
};

// The view as JSON (docs/json.md).
std::string view_json(const View& view);

}  // namespace corewise::cli
