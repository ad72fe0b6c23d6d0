// What Python children tell us, record by record (child.py).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "advice/finding.h"
#include "pools/pool_facts.h"

namespace corewise::cli {

struct FailedImport {
  std::string module;
  std::string reason;
};

struct Imported {
  std::vector<PoolFacts> pools;
  std::vector<Finding> findings;
  std::vector<std::string> libraries;  // known ones that are no runtime, such as "polars"; sorted
  std::vector<FailedImport> failed;
  std::string importing;  // the module that the child imported last
  std::string broke;      // why the child could not report; empty if it could
};

class RecordReader {
 public:
  Imported told;

  // The bytes may end anywhere; a record counts once it is complete.
  void add(std::string_view bytes) {
    text_ += bytes;
    while (take()) {
    }
  }
  // Whether the child said that it is done.
  bool done() const { return done_; }

 private:
  bool take();

  std::string text_;
  bool done_ = false;
};

}  // namespace corewise::cli
