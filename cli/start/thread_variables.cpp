#include "thread_variables.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "base/json.h"
#include "budget/preset_counts.h"
#include "pools/pool.h"
#include "shell/output.h"

namespace corewise::cli {
namespace {

struct Kind {
  const char* name;
  const char* text;
  const char* no_variable;  // why no variable can carry its count; empty where one can
};

constexpr std::array<Kind, 14> kKinds = {{
    {"openmp", "threads of each OpenMP loop", ""},
    {"blas", "threads of each BLAS library", ""},
    {"tbb", "",
     "oneTBB reads no environment variable: limit it inside the program "
     "(corewise.limits(tbb=...)), or give the program fewer CPUs with taskset"},
    {"arrow", "", "Arrow sizes its pool by OMP_NUM_THREADS: use --openmp"},
    {"numba", "threads that numba starts", ""},
    {"numexpr", "threads of NumExpr", ""},
    {"cpus", "CPUs that Python and joblib count: their pools start a process for each", ""},
    {"rayon", "threads of Rayon, as in tokenizers and other libraries in Rust", ""},
    {"polars", "threads of Polars", ""},
    {"opencv", "threads of OpenCV", ""},
    {"tensorflow", "threads of each TensorFlow operation, and operations at a time", ""},
    {"blosc", "threads of Blosc", ""},
    {"duckdb", "",
     "DuckDB reads no environment variable: say SET threads = N inside the program, or give the "
     "program fewer CPUs with taskset"},
    {"onnxruntime", "",
     "ONNX Runtime reads no environment variable: set SessionOptions.intra_op_num_threads inside "
     "the program, or give the program fewer CPUs with taskset"},
}};

struct Extra {
  const char* kind;
  const char* name;
};

// In addition to the runtimes' own rows: the name that OpenBLAS inherited from GotoBLAS, and
// Apple's Accelerate.
constexpr std::array<Extra, 2> kExtras = {{
    {"blas", "GOTO_NUM_THREADS"},
    {"blas", "VECLIB_MAXIMUM_THREADS"},
}};

// These override the variables above in the same library: one left over from a login script would
// undo the limit. They are MKL's counts by domain and BLIS's ways of each loop.
constexpr std::array<Extra, 6> kOverrules = {{
    {"blas", "MKL_DOMAIN_NUM_THREADS"},
    {"blas", "BLIS_JC_NT"},
    {"blas", "BLIS_PC_NT"},
    {"blas", "BLIS_IC_NT"},
    {"blas", "BLIS_JR_NT"},
    {"blas", "BLIS_IR_NT"},
}};

std::vector<std::string> names_of(std::string_view kind) {
  std::vector<std::string> names;
  const auto add = [&](const char* name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  };
  for (const Runtime* runtime : runtimes()) {
    for (const EnvVariable& variable : runtime->environment) {
      if (kind == api_name(variable.api)) add(variable.name);
    }
  }
  for (const Extra& extra : kExtras) {
    if (kind == extra.kind) add(extra.name);
  }
  for (const preset_counts::Preset& variable : preset_counts::all()) {
    if (kind == variable.kind) add(variable.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<int> parse_count(const std::string& option, const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size() && value >= 1 &&
      value <= CW_MAX_THREADS) {
    return value;
  }
  return Error{CW_BAD_COUNT, fmt::format("--{} takes a whole number from 1 to {}, not '{}'", option,
                                         CW_MAX_THREADS, printable(text, false))};
}

std::vector<std::string> overruling_names() {
  std::vector<std::string> names;
  for (const Extra& overrule : kOverrules) names.emplace_back(overrule.name);
  return names;
}

std::shared_ptr<TypedCounts> declare_counts(CLI::App& app) {
  auto counts = std::make_shared<TypedCounts>();
  for (const Kind& kind : kKinds) {
    auto* option = app.add_option_function<std::string>(
        fmt::format("--{}", kind.name),
        [counts, name = kind.name](const std::string& text) { (*counts)[name] = text; }, kind.text);
    option->type_name("N");
    // Keep it out of the help: it only says what to do instead.
    if (*kind.no_variable != '\0') option->group("");
  }
  return counts;
}

Result<Changes> changes_for(const TypedCounts& counts) {
  Changes changes;
  for (const Kind& kind : kKinds) {
    const auto asked = counts.find(kind.name);
    if (asked == counts.end()) continue;
    const Result<int> count = parse_count(kind.name, asked->second);
    if (!count) return count.error();
    if (*kind.no_variable != '\0') {
      return Error{CW_NOT_AVAILABLE, fmt::format("--{}: {}", kind.name, kind.no_variable)};
    }
    for (std::string& name : names_of(kind.name)) {
      changes.set.push_back({std::move(name), std::to_string(*count)});
    }
    for (const Extra& overrule : kOverrules) {
      if (asked->first == overrule.kind) changes.remove.emplace_back(overrule.name);
    }
  }
  return changes;
}

std::string how_to_limit(std::string_view library) {
  const std::string_view wanted = library == "tokenizers" ? "rayon" : library;
  const auto* const kind = std::ranges::find(kKinds, wanted, &Kind::name);
  if (kind == kKinds.end()) {
    return "no variable is known: give the program fewer CPUs with taskset";
  }
  if (*kind->no_variable != '\0') return kind->no_variable;
  return fmt::format("corewise run --{} N sets {}", kind->name,
                     fmt::join(names_of(kind->name), ", "));
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    const auto more = names_of(kind.name);
    names.insert(names.end(), more.begin(), more.end());
  }
  const auto overruling = overruling_names();
  names.insert(names.end(), overruling.begin(), overruling.end());
  return names;
}

bool concerns_threads(const std::string& name) {
  constexpr std::array<const char*, 8> kFamilies = {"OMP_", "KMP_",  "GOMP_",  "OPENBLAS_",
                                                    "MKL_", "BLIS_", "NUMBA_", "NUMEXPR_"};
  constexpr std::array<const char*, 4> kSingles = {"FLEXIBLAS", "ARROW_IO_THREADS",
                                                   "TBB_NUM_THREADS", "TOKENIZERS_PARALLELISM"};
  static const std::vector<std::string> kNames = all_names();
  return std::ranges::any_of(kFamilies,
                             [&](const char* family) { return name.starts_with(family); }) ||
         std::ranges::find(kSingles, name) != kSingles.end() ||
         std::ranges::find(kNames, name) != kNames.end();
}

std::vector<Variable> thread_variables(const std::vector<std::string>& environment) {
  std::vector<Variable> found;
  for (const std::string& entry : environment) {
    const std::size_t equals = entry.find('=');
    if (equals == entry.npos || !concerns_threads(entry.substr(0, equals))) continue;
    found.push_back({entry.substr(0, equals), entry.substr(equals + 1)});
  }
  std::sort(found.begin(), found.end(),
            [](const Variable& a, const Variable& b) { return a.name < b.name; });
  return found;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    all.emplace_back(*entry);
  }
  return all;
}

std::string changes_json(const Changes& changes, const std::optional<RunStart>& run) {
  Json json;
  json.open('{').field("schema_version", 1);
  if (run) json.field("governed", run->budget > 0).field("budget", run->budget);
  json.key("set").open('{');
  for (const Variable& variable : changes.set) json.field(variable.name, variable.value);
  json.close('}').key("remove").open('[');
  for (const std::string& name : changes.remove) json.value(name);
  json.close(']');
  if (run) {
    json.key("notes").open('[');
    for (const std::string& note : run->notes) json.value(note);
    json.close(']');
  }
  json.close('}');
  return json.text() + "\n";
}

}  // namespace corewise::cli
