// corewise.toml: limits and governing for every program started in a folder. Python's reader is
// python/corewise/_project.py; both must agree on every file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "thread_variables.h"

namespace corewise::cli {

struct Project {
  std::string path;
  TypedCounts limits;
  std::optional<bool> govern;  // no value: the file does not say
  std::optional<double> budget;
  std::optional<std::string> group;
  std::optional<int> weight;
  std::optional<std::string> share;  // govern::kShareMachine or kShareUser
  std::vector<std::string> bend;     // names of libraries, as in COREWISE_BEND
};

// The nearest corewise.toml, from `folder` upwards; no value if there is none. CW_BAD_ARGUMENT
// names file and line, and what was expected there.
Result<std::optional<Project>> find_project(const std::string& folder);

// Whether programs started here share the machine with other users: by COREWISE_SHARE, or by the
// nearest corewise.toml.
bool shares_machine();

}  // namespace corewise::cli
