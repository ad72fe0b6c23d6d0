// A sample as one record: what the threads of a process do now, by the pool that they belong to,
// and what the process has of the machine. docs/control.md has the keys of its JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pools/pool_facts.h"

namespace corewise::observe {

struct ThreadSum {
  int threads = 0;
  int running = 0;  // on a CPU, or would be if one were free
  double cpu_s = 0;
  double delay_s = 0;  // ready to run, and no CPU was free
};

struct SampledPool {
  PoolFacts facts;
  std::optional<int> limit;    // set over the control socket
  std::optional<int> limited;  // by the program's own limits
  std::optional<int> allowed;  // the count that the next region or call finds
  ThreadSum workers;
  std::optional<int> spinning;  // of the running workers; none: not known
};

// A library that is no runtime, and starts threads of its own.
struct SampledLibrary {
  std::string library;  // its name
  std::string path;
  ThreadSum workers;
};

struct SampledThread {
  int tid = 0;
  std::uint64_t start = 0;
  char state = '?';
  std::optional<int> pool;
  std::string module;  // in which it began; empty: not known
  double cpu_s = 0;
  double delay_s = 0;
};

struct Sample {
  struct OwnCpus {
    double cpus = 0;
    int threads = 0;
  };
  struct LedgerUse {
    int budget = 0;
    int granted = 0;
    int own = 0;
    int processes = 0;
    std::string key;
  };
  struct Throttling {
    std::int64_t periods = 0;
    std::int64_t throttled = 0;
    double seconds = 0;
  };

  using Threads = std::vector<SampledThread>;

  int pid = 0;
  double time_s = 0;
  bool governed = false;
  std::optional<OwnCpus> budget;
  std::optional<LedgerUse> ledger;
  std::optional<Throttling> throttled;
  ThreadSum all;
  std::vector<SampledPool> pools;
  std::vector<SampledLibrary> libraries;  // their threads are the program's, too
  ThreadSum program;
  ThreadSum unknown;
  std::optional<Threads> each;  // where asked for
};

std::string to_json(const Sample& sample);
Sample read_sample(const JsonValue& object);

}  // namespace corewise::observe
