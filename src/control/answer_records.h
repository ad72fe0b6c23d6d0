// What a process answers on its control socket, as records: the process writes them, and clients
// read them (docs/control.md). observe/sample_record.h has the answer to a sample.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_reader.h"
#include "pools/pool_facts.h"

namespace corewise::control {

// {"schema_version": 1, "error": {...}}: the request was refused.
std::string refusal(int status, std::string_view what);

// An answer, or the error that it tells.
Result<JsonValue> read_answer(std::string_view line);

struct InfoAnswer {
  struct InfoPool {
    PoolFacts facts;
    int limit = 0;  // set over the socket; 0: none
  };
  int pid = 0;
  std::string version;
  bool governed = false;
  bool limits_open = false;  // the program has limits of corewise in force
  std::vector<InfoPool> pools;

  std::string json() const;
  static InfoAnswer read(const JsonValue& answer);
};

// One pool in the answer to `limit` or `restore`. Counts are what the next region or call gets; 0:
// each thread has a count of its own.
struct PoolOutcome {
  int pool = 0;
  std::string api;
  std::string runtime;
  std::string path;
  int asked = 0;  // of `limit`
  int before = 0;
  int after = 0;
  int at_most = 0;     // where each thread has a count of its own; 0: does not apply
  std::string reach;   // of `limit`: whom it reaches
  std::string reason;  // of `limit`: why the pool was not limited; empty if it was
};

struct LimitAnswer {
  int pid = 0;
  bool dry_run = false;
  bool forced = false;  // nobody answered: it was written into the memory of the process
  std::vector<PoolOutcome> outcomes;
  std::vector<std::string> not_loaded;  // names that no pool has

  // Whether each pool took the limit. Force has nothing to limit later.
  bool taken() const;
  std::string json() const;
  static LimitAnswer read(const JsonValue& answer);
};

struct RestoreAnswer {
  int pid = 0;
  std::vector<PoolOutcome> restored;

  std::string json() const;
  static RestoreAnswer read(const JsonValue& answer);
};

// To `govern`, `ungovern` and `report`.
struct GovernAnswer {
  // The report has more keys (docs/json.md): these are what clients read.
  struct Report {
    struct ReportedPool {
      std::string path;
      std::string how;  // govern/pool_policy.h, name_of()
    };
    int budget = 0;
    std::vector<ReportedPool> pools;
    std::vector<std::string> findings;
  };
  bool governed = false;
  bool ended = false;  // the request ended something that was begun over the socket
  Report report;

  static GovernAnswer read(const JsonValue& answer);
};

// `report` is what govern::report_json() says.
std::string governed_json(int pid, bool governed, bool ended, std::string_view report);

}  // namespace corewise::control
