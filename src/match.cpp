#include "match.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "discover.h"
#include "os/os.h"

namespace corewise {
namespace {

bool is_api(std::string_view name) {
  return std::any_of(kApiNames.begin(), kApiNames.end(),
                     [&](const char* api) { return name == api; });
}

bool is_runtime(std::string_view name) {
  return std::any_of(runtimes().begin(), runtimes().end(),
                     [&](const Runtime* runtime) { return name == runtime->name; });
}

bool is_prefix(std::string_view name) {
  for (const Runtime* runtime : runtimes()) {
    for (const char* prefix : runtime->prefixes) {
      if (name == prefix) return true;
    }
  }
  for (std::size_t id = 0; id < pool_count(); ++id) {
    if (name == pool_at(id).prefix) return true;
  }
  return false;
}

std::string known_names() {
  std::string names;
  const auto add = [&](std::string_view name) {
    if (!names.empty()) names += ", ";
    names += name;
  };
  for (const char* api : kApiNames) add(api);
  for (const Runtime* runtime : runtimes()) {
    if (!is_api(runtime->name)) add(runtime->name);
  }
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    if (names.find(pool.prefix) == std::string::npos) add(pool.prefix);
  }
  return names;
}

Error unknown(const Rule& rule, std::string_view what) {
  return {CW_UNKNOWN_NAME, "'" + rule.name + "' is no " + std::string(what) +
                               ". Known here: " + known_names() + "; or the path of a library"};
}

std::optional<Error> settle_name(Rule& rule) {
  switch (rule.match) {
    case CW_MATCH_ALL:
      return std::nullopt;
    case CW_MATCH_API:
      if (is_api(rule.name)) return std::nullopt;
      return unknown(rule, "API");
    case CW_MATCH_RUNTIME:
      if (is_runtime(rule.name)) return std::nullopt;
      return unknown(rule, "runtime");
    case CW_MATCH_PREFIX:
      if (is_prefix(rule.name)) return std::nullopt;
      return unknown(rule, "library prefix");
    case CW_MATCH_PATH: {
      for (std::size_t id = 0; id < pool_count(); ++id) {
        const Pool& pool = pool_at(id);
        if (!rule.name.empty() && (rule.name == pool.path || rule.name == pool.loader_path)) {
          rule.name = pool.path;
          return std::nullopt;
        }
      }
      std::string path = os::real_path(rule.name);
      if (path.empty()) return unknown(rule, "library file");
      rule.name = std::move(path);
      return std::nullopt;
    }
    case CW_MATCH_NAME:
      rule.match = rule.name.find('/') != std::string::npos ? CW_MATCH_PATH
                   : is_api(rule.name)                      ? CW_MATCH_API
                   : is_runtime(rule.name)                  ? CW_MATCH_RUNTIME
                                                            : CW_MATCH_PREFIX;
      if (rule.match == CW_MATCH_PREFIX && !is_prefix(rule.name)) {
        return unknown(rule, "API, runtime or library prefix");
      }
      return settle_name(rule);
    case CW_MATCH_ID:
      if (rule.id < pool_count()) return std::nullopt;
      return Error{CW_UNKNOWN_NAME, "there is no pool with id " + std::to_string(rule.id)};
  }
  return Error{CW_BAD_ARGUMENT, "a rule's match has no meaning here"};
}

// Higher is more specific; 0 does not match.
int specificity(const Rule& rule, const Pool& pool) {
  switch (rule.match) {
    case CW_MATCH_ALL:
      return 1;
    case CW_MATCH_API:
      return rule.name == kApiNames[static_cast<std::size_t>(pool.runtime->api)] ? 2 : 0;
    case CW_MATCH_RUNTIME:
      return rule.name == pool.runtime->name ? 3 : 0;
    case CW_MATCH_PREFIX:
      return rule.name == pool.prefix ? 4 : 0;
    case CW_MATCH_PATH:
      return rule.name == pool.path ? 5 : 0;
    case CW_MATCH_ID:
      return rule.id == pool.id ? 6 : 0;
    case CW_MATCH_NAME:
      break;
  }
  return 0;
}

}  // namespace

std::optional<Error> settle_names(std::vector<Rule>& rules) {
  for (Rule& rule : rules) {
    if (rule.threads < 1 || rule.threads > CW_MAX_THREADS) {
      return Error{CW_BAD_COUNT, "a limit of " + std::to_string(rule.threads) +
                                     " threads: ask for a whole number from 1 to " +
                                     std::to_string(CW_MAX_THREADS)};
    }
    if (auto error = settle_name(rule)) return error;
  }
  return std::nullopt;
}

int wanted_by(const std::vector<Rule>& rules, const Pool& pool) {
  int best = 0;
  int threads = 0;
  for (const Rule& rule : rules) {
    const int score = specificity(rule, pool);
    if (score == 0 || score < best) continue;
    threads = score > best ? rule.threads : std::min(threads, rule.threads);
    best = score;
  }
  return threads;
}

}  // namespace corewise
