// The doctor: reads the same picture as everybody else and says what is wrong with it.
//
// examine() is a pure function of what is known about a process, so that live processes, processes
// read from outside and recorded ones get the same diagnosis. Each finding says what, why, and the
// exact remedy.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pools/pool.h"

namespace corewise {

enum class Severity { kNote, kWarning, kDanger };

// The remedy as it is typed in one place. Empty where `remedy` says it for all.
struct Cures {
  std::string shell;     // "start it as: corewise run -- ..."
  std::string notebook;  // "%govern on"
  std::string python;    // "corewise.govern()"
};

// One cause is one finding, which lists all pools that it is about.
struct Finding {
  std::string id;  // stable, for programs: "openblas-slots"
  Severity severity = Severity::kNote;
  std::string what;
  std::string why;
  std::string remedy;  // for a reader in any place
  Cures cures = {};
  std::vector<std::string> pools = {};  // paths
};

// A pool as far as the place it was read from tells.
struct PoolFacts {
  Api api = CW_API_BLAS;
  std::string runtime;
  std::string prefix;
  std::string path;
  std::string version;
  std::string layer;
  std::string architecture;
  int threads = 0;  // 0: unknown
  int ceiling = 0;
  int caller_slots = 0;  // 0: unbounded or unknown
  bool mkl_dynamic = false;
  bool governed = false;  // its regions and calls are granted; OpenBLAS's buffers are ours
  bool dynamic = false;   // OpenMP may make the teams of the calling thread smaller (dyn-var)
  int spinning = 0;  // workers that ran though nobody was in a region or call; 0 also if not known
};

enum class HolderState { kRuns, kStopped, kFrozen, kGone };

// A process in a ledger (govern/ledger/ledger_holders.h).
struct Holder {
  int pid = 0;
  int tokens = 0;
  HolderState state = HolderState::kRuns;
  std::string program;
  std::optional<double> idle_s;  // since a thread of it was last on a CPU; none: not known
};

// One ledger, and who holds threads of it now.
struct HeldLedger {
  std::string path;
  int budget = 0;
  std::vector<int> members;  // processes that have a place in it
  std::vector<Holder> holders;
};

// Everything the rules look at.
struct ProcessFacts {
  std::vector<PoolFacts> pools;
  double budget = 1;          // CPUs that are really ours
  std::string budget_reason;  // what binds it: "cgroup quota", "affinity"
  std::map<std::string, std::string> environment;
  std::string best_architecture;  // the best kernels this CPU can run (kernels.h); "" if unknown
  bool corewise_limits_open = false;
  bool from_outside = false;  // limits that are open inside cannot be told from leaked ones
  bool forked_after_openmp = false;
  std::vector<std::string> sets_dynamic;  // files that call omp_set_dynamic
  std::vector<HeldLedger> ledgers;
};

// In order of severity, then of the rule table. Empty: nothing to say.
std::vector<Finding> examine(const ProcessFacts& facts);

// Most severe first, otherwise in the order given.
std::vector<Finding> by_severity(const std::vector<Finding>& findings);

const char* severity_name(Severity severity);
Severity severity_named(std::string_view name);  // kNote for what is none

// The cure for crashes and for spinning that is corewise's own, first in each place, `does` what it
// does. Then another one for each place; empty where there is none.
void govern_first(Finding& finding, const std::string& does, const Cures& others);

// "numpy's copy" of an OpenBLAS in that wheel, "libopenblas.so.0" of one that no wheel brought.
// Where the sentence does not speak of OpenBLAS already: "numpy's OpenBLAS".
std::string copy_name(std::string_view path, const char* noun = "copy");

// [{"id": ..., "severity": ..., ...}, ...]
void write_findings(Json& json, const std::vector<Finding>& findings);
// {"schema_version": 1, "findings": [...]}
std::string findings_json(const std::vector<Finding>& findings);
// The findings of such a document. CW_BAD_ARGUMENT if the text is none.
Result<std::vector<Finding>> findings_from_json(std::string_view text);

}  // namespace corewise
