#include "match.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "base/text.h"
#include "os/os.h"
#include "pools/discover.h"

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

bool is_prefix(std::string_view name, PoolList pools) {
  for (const Runtime* runtime : runtimes()) {
    for (const char* prefix : runtime->prefixes) {
      if (name == prefix) return true;
    }
  }
  return std::ranges::any_of(pools, [&](const Pool* pool) { return name == pool->prefix; });
}

// APIs, and what of the pools that are loaded may be named.
std::string known_names(PoolList pools) {
  std::vector<std::string_view> names(kApiNames.begin(), kApiNames.end());
  for (const Pool* pool : pools) {
    for (const std::string_view name : {std::string_view(pool->runtime->name),
                                        std::string_view(pool->prefix), package_of(pool->path)}) {
      if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  std::sort(names.begin() + std::size(kApiNames), names.end());
  std::string list;
  for (const std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

Error unknown(const std::string& what, PoolList pools) {
  return {CW_UNKNOWN_NAME, what + "; known here: " + known_names(pools)};
}

Error unknown(const Rule& rule, std::string_view what, PoolList pools) {
  return unknown("'" + rule.name + "' is not a known " + std::string(what), pools);
}

std::optional<Error> resolve_path(Rule& rule, PoolList pools) {
  for (const Pool* pool : pools) {
    if (!rule.name.empty() && (rule.name == pool->path || rule.name == pool->loader_path)) {
      rule.name = pool->path;
      return std::nullopt;
    }
  }
  std::string path = os::real_path(rule.name);
  if (path.empty()) return unknown(rule, "library file", pools);
  rule.name = std::move(path);
  return std::nullopt;
}

// A file name as tables show it, without its folders.
std::optional<Error> resolve_file_name(Rule& rule, PoolList pools) {
  std::string path;
  for (const Pool* pool : pools) {
    if (rule.name != file_name(pool->path) || pool->path == path) continue;
    if (!path.empty()) {
      return Error{CW_UNKNOWN_NAME, "two libraries have the name '" + rule.name + "', " + path +
                                        " and " + pool->path + ": give a path"};
    }
    path = pool->path;
  }
  if (path.empty()) return unknown("no pool is called '" + rule.name + "'", pools);
  rule.match = CW_MATCH_PATH;
  rule.name = std::move(path);
  return std::nullopt;
}

// A package means the files that it brought: a rule for each. The rule becomes the first of them,
// `more` gets the others. Returns whether it brought any.
bool resolve_package(Rule& rule, PoolList pools, std::vector<Rule>& more) {
  const std::string package = rule.name;
  if (package.empty()) return false;
  std::set<std::string> files;
  for (const Pool* pool : pools) {
    if (package_of(pool->path) == package) files.insert(pool->path);
  }
  for (const std::string& file : files) {
    Rule& one = file == *files.begin() ? rule : more.emplace_back(rule);
    one.match = CW_MATCH_PATH;
    one.name = file;
  }
  return !files.empty();
}

// `more`: rules that the names mean besides.
std::optional<Error> resolve_name(Rule& rule, PoolList pools, std::vector<Rule>& more) {
  switch (rule.match) {
    case CW_MATCH_ALL:
      return std::nullopt;
    case CW_MATCH_API:
      if (is_api(rule.name)) return std::nullopt;
      return unknown(rule, "API", pools);
    case CW_MATCH_RUNTIME:
      if (is_runtime(rule.name)) return std::nullopt;
      return unknown(rule, "runtime", pools);
    case CW_MATCH_PREFIX:
      if (is_prefix(rule.name, pools)) return std::nullopt;
      return unknown(rule, "library prefix", pools);
    case CW_MATCH_PATH:
      return resolve_path(rule, pools);
    case CW_MATCH_NAME:
      if (rule.name.find('/') != std::string::npos) {
        rule.match = CW_MATCH_PATH;
        return resolve_path(rule, pools);
      }
      if (is_api(rule.name)) {
        rule.match = CW_MATCH_API;
      } else if (is_runtime(rule.name)) {
        rule.match = CW_MATCH_RUNTIME;
      } else if (is_prefix(rule.name, pools)) {
        rule.match = CW_MATCH_PREFIX;
      } else if (!resolve_package(rule, pools, more)) {
        return resolve_file_name(rule, pools);
      }
      return std::nullopt;
    case CW_MATCH_ID:
      if (std::ranges::find(pools, rule.id, &Pool::id) != pools.end()) return std::nullopt;
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
      return rule.name == api_name(pool.runtime->api) ? 2 : 0;
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

std::vector<const Pool*> discovered_pools() {
  std::vector<const Pool*> pools(pool_count());
  for (std::size_t id = 0; id < pools.size(); ++id) pools[id] = &pool_at(id);
  return pools;
}

std::optional<Error> resolve_names(std::vector<Rule>& rules, PoolList pools) {
  std::vector<Rule> more;
  for (Rule& rule : rules) {
    if (rule.threads < 1 || rule.threads > CW_MAX_THREADS) {
      return Error{CW_BAD_COUNT, "a limit of " + std::to_string(rule.threads) +
                                     " threads: ask for a whole number from 1 to " +
                                     std::to_string(CW_MAX_THREADS)};
    }
    if (auto error = resolve_name(rule, pools, more)) return error;
  }
  rules.insert(rules.end(), more.begin(), more.end());
  return std::nullopt;
}

bool speaks_for(const Rule& rule, const Pool& pool) { return specificity(rule, pool) > 0; }

std::vector<std::string> names_without_pool(const std::vector<Rule>& asked,
                                            const std::vector<Rule>& resolved, PoolList pools) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto speaks = [&](const Pool* pool) { return speaks_for(resolved[i], *pool); };
    if (std::ranges::none_of(pools, speaks)) names.push_back(asked[i].name);
  }
  return names;
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
