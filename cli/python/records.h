// What Python children tell us, record by record (child.py).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "advice/finding.h"
#include "advice/plan.h"
#include "screen/pool_table.h"

namespace corewise::cli {

struct FailedImport {
  std::string module;
  std::string reason;
};

struct Imported {
  std::vector<ShownPool> rows;
  std::vector<PlannedPool> planned_pools;  // the same pools, for a plan
  std::string pools_json;                  // empty when the child did not come that far
  std::vector<Finding> findings;
  std::vector<FailedImport> failed;
  std::string importing;  // the module it was at last
  std::string broke;      // why it could not tell; empty if it could
};

class RecordReader {
 public:
  Imported told;

  // Bytes may end anywhere; a record counts once it is whole.
  void add(std::string_view bytes) {
    text_ += bytes;
    while (take()) {
    }
  }
  // Whether it said that this is all.
  bool done() const { return done_; }

 private:
  bool take();

  std::string text_;
  bool done_ = false;
};

}  // namespace corewise::cli
