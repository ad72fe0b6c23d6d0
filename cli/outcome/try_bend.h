// `corewise run --try-bend`: whether a library's regions give the same results from smaller teams.
//
// The program runs whole, twice, then several times with the teams of that library, and nothing
// else, cut at random. Each run's standard output and exit code are compared with the whole one's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

inline constexpr int kTries = 5;

struct Trial {
  std::string library;                // its name, as in COREWISE_BEND
  std::optional<int> tries;           // runs with cut teams; no value: kTries
  std::optional<std::uint32_t> seed;  // of the first run with cut teams; each further run adds 1
  bool verbose = false;               // what the program prints goes to standard error

  // A file or variable, with the names in it that bend even without the trial.
  struct Source {
    std::string where;
    std::vector<std::string> names;
  };
  std::vector<Source> named_by;
};

// Runs the program in this environment, which loads the agent, and prints the findings, the verdict
// first. Returns the exit code. `become` runs in a child, as in run_captured; `words` name the
// program in messages.
int try_bend(const Trial& trial, const std::vector<std::string>& words,
             const std::function<int()>& become, const Settings& settings);

}  // namespace corewise::cli
