#include "sentences.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "finding.h"

namespace corewise::rules {
namespace {

std::string cpus(double count) {
  std::array<char, 32> text;
  const auto rounded = std::round(count * 100) / 100;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), rounded);
  return error == std::errc{} ? std::string(text.data(), end) : "?";
}

}  // namespace

std::string n(int number) { return std::to_string(number); }

std::string plural(int count, const char* noun) {
  return grouped(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string in_cpus(double count) {
  const std::string number = cpus(count);
  return number + (number == "1" ? " CPU" : " CPUs");
}

std::string file(const PoolFacts& pool) { return std::string(file_name(pool.path)); }

const std::string* variable(const ProcessFacts& facts, const char* name) {
  const auto found = facts.environment.find(name);
  return found == facts.environment.end() || found->second.empty() ? nullptr : &found->second;
}

std::optional<int> number(const ProcessFacts& facts, const char* name) {
  const std::string* text = variable(facts, name);
  return text == nullptr ? std::nullopt : first_count(*text);
}

int openmp_threads(const ProcessFacts& facts) {
  int most = 0;
  for (const PoolFacts& pool : facts.pools) {
    if (pool.api == CW_API_OPENMP) most = std::max(most, pool.threads);
  }
  return most;
}

std::vector<std::string> paths(const Pools& pools) {
  std::vector<std::string> all;
  all.reserve(pools.size());
  for (const PoolFacts* pool : pools) all.push_back(pool->path);
  return all;
}

std::string copy(const PoolFacts& pool) { return copy_name(pool.path); }

std::string name(const PoolFacts& pool) {
  const bool wheel = pool.runtime != "openblas" && !package_of(pool.path).empty();
  return wheel ? name_with_package(pool.runtime, pool.path) : copy_name(pool.path, "OpenBLAS");
}

std::string each_runs(const Pools& pools) {
  return names(pools, name) + (pools.size() == 1 ? " runs " : " run ") +
         plural(pools.front()->threads, "thread") + (pools.size() == 1 ? "" : " each");
}

bool is_grant(const ProcessFacts& facts, const PoolFacts& pool) {
  return facts.from_outside && pool.governed;
}

bool has_runtime(const ProcessFacts& facts, std::string_view name) {
  return std::any_of(facts.pools.begin(), facts.pools.end(),
                     [&](const PoolFacts& pool) { return pool.runtime == name; });
}

}  // namespace corewise::rules
