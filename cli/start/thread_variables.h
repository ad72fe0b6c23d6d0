// The environment variables that thread pool runtimes read when they load, and how a count on the
// command line changes them.
#pragma once

#include <CLI/App.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace corewise::cli {

// Counts as they were typed, by kind of pool ("openmp").
using TypedCounts = std::map<std::string, std::string>;

// Adds --openmp, --blas... to a command; parsing puts their values into the result.
std::shared_ptr<TypedCounts> declare_counts(CLI::App& app);

struct Variable {
  std::string name;
  std::string value;
};

struct Changes {
  std::vector<Variable> set;
  std::vector<std::string> remove;  // inherited, and would override what we set
};

// A count as typed after --option: 1 to CW_MAX_THREADS, or CW_BAD_COUNT and what is right.
Result<int> parse_count(const std::string& option, const std::string& text);

// What the counts mean; CW_BAD_COUNT or CW_NOT_AVAILABLE names the option that is wrong.
Result<Changes> changes_for(const TypedCounts& counts);

// For a library that known_library() names: the variables that carry its count, and the option that
// sets them; or what else helps.
std::string how_to_limit(std::string_view library);

// Variables that override those of BLAS in the same library, so that a limit removes them.
std::vector<std::string> overruling_names();

// Every name that changes_for may set or remove.
std::vector<std::string> all_names();

// Whether a variable of the environment concerns threads, and so is shown.
bool concerns_threads(const std::string& name);

// The "NAME=value" strings, such as environ's, that concern threads, sorted by name.
std::vector<Variable> thread_variables(const std::vector<std::string>& environment);

// The environment of this process.
std::vector<std::string> own_environment();

// What `run` says beside the variables.
struct RunStart {
  int budget = 0;  // 0: not governed
  std::vector<std::string> notes;
};

// {"set":{...},"remove":[...]} with the schema's version.
std::string changes_json(const Changes& changes, const std::optional<RunStart>& run = std::nullopt);

}  // namespace corewise::cli
