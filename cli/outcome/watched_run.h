// Runs a program to its end and examines its processes meanwhile.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "advice/finding.h"
#include "base/error.h"
#include "start/target.h"

namespace corewise::cli {

struct WatchedRun {
  std::vector<Finding> findings;
  int status = 0;         // as waitpid returns it
  int processes = 0;      // how many were examined
  std::set<int> members;  // the program and what it started, as far as we saw it
};

// Starts the program, which find_target() has found, with its standard output sent to standard
// error, and waits for it. Python programs, including those that it starts, report from inside as
// they end, through `library`. Those that die leave a report of their death, as under `corewise
// run`. Other processes, and those that end without a report, count as we last saw them from
// outside. An Error holds errno's sentence.
Result<WatchedRun> run_watched(const std::vector<std::string>& words, const Target& target,
                               const std::string& library);

}  // namespace corewise::cli
