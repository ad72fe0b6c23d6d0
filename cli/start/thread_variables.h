// The environment variables that thread pool runtimes read when they load, and what a count asked
// for on the command line makes of them.
#pragma once

#include <CLI/App.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace corewise::cli {

// Counts as they were typed, by kind of pool ("openmp").
using TypedCounts = std::map<std::string, std::string>;

// Adds --openmp, --blas... to a command; their values come to stand in the result.
std::shared_ptr<TypedCounts> declare_counts(CLI::App& app);

struct Variable {
  std::string name;
  std::string value;
};

struct Changes {
  std::vector<Variable> set;
  std::vector<std::string> remove;  // inherited, and would overrule what is set
};

// A count as typed after --option: 1 to CW_MAX_THREADS, or CW_BAD_COUNT and what is right.
Result<int> parse_count(const std::string& option, const std::string& text);

// What the counts mean; CW_BAD_COUNT or CW_NOT_AVAILABLE names the option that is wrong.
Result<Changes> changes_for(const TypedCounts& counts);

// Variables that overrule those of BLAS in the same library, so that a limit removes them.
std::vector<std::string> overruling_names();

// Every name that changes_for may set or remove.
std::vector<std::string> all_names();

// Whether a variable of the environment has to do with threads, for showing it.
bool concerns_threads(const std::string& name);

// "NAME=value" strings, such as environ's, of those that concern threads, sorted by name.
std::vector<Variable> thread_variables(const std::vector<std::string>& environment);

// Of this process.
std::vector<std::string> own_environment();

// {"set":{...},"remove":[...]} with the schema's version, and of `run` the budget; 0: not governed.
std::string changes_json(const Changes& changes, std::optional<int> budget = std::nullopt);

}  // namespace corewise::cli
