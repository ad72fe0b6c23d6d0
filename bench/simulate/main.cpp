// One run of the simulator:
//
//     simulate trace=FILE cores=128 processes=64 policy=POLICY
//              [regions=N | rounds=N] [barriers=N] [times_of_first=N] [weight_of_first=N] [seed=N]
//
// POLICY: default, one, plan (cores / processes), load (by each process's work), governed, recent
// (without the hungry callers), renewed (regions ask again every 10 ms), ranks (of one MPI job).
//
// prints one line of comma-separated values; `simulate fields` prints their names. Exit code 2: the
// arguments are invalid; 3: the file holds no trace.
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "simulator.h"

namespace {

namespace govern = corewise::govern;
using namespace corewise::simulate;

constexpr int kMostProcesses = 1 << 20;

int usage(const std::string& why) {
  std::fprintf(stderr,
               "simulate: %s\n"
               "usage: simulate trace=FILE cores=N processes=N [regions=N | rounds=N] [seed=N]\n"
               "                [barriers=N] [times_of_first=N] [weight_of_first=N]\n"
               "                policy=default|one|plan|load|governed|recent|renewed|ranks\n",
               why.c_str());
  return 2;
}

std::unique_ptr<Policy> make_policy(const std::string& name, const Scenario& scenario,
                                    int weight_of_first) {
  const int cores = scenario.cores;
  const int even = std::max(1, cores / scenario.processes);
  if (name == "default") return std::make_unique<Fixed>(cores, kInstalled);
  if (name == "one") return std::make_unique<Fixed>(1, kInstalled);
  if (name == "plan") return std::make_unique<Fixed>(even, kInstalled);
  if (name == "load") {
    const int parts = scenario.times_of_first + scenario.processes - 1;
    return std::make_unique<Shares>(std::max(1, cores * scenario.times_of_first / parts),
                                    std::max(1, cores / parts), kInstalled);
  }
  if (name != "governed" && name != "recent" && name != "renewed" && name != "ranks") {
    return nullptr;
  }
  Governed::Options options;
  options.counts_hungry = name != "recent";
  options.renews = name == "renewed";
  options.part = name == "ranks" ? even : 1;
  options.weight_of_first = weight_of_first;
  options.budget = options.cores = cores;
  options.processes = scenario.processes;
  return std::make_unique<Governed>(options, kUnderRun);
}

// Whether all of `text` is a number from 1 to `most`.
bool read_number(std::string_view text, int most, int& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc{} && end == text.data() + text.size() && into >= 1 && into <= most;
}

int run(const Scenario& scenario, const std::string& file, const std::string& policy_name,
        int weight_of_first) {
  std::ifstream stream(file);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  std::string why = "it cannot be read";
  const auto trace = stream ? parse_trace(text, why) : std::nullopt;
  if (!trace) {
    std::fprintf(stderr, "simulate: %s: %s\n", file.c_str(), why.c_str());
    return 3;
  }
  const auto policy = make_policy(policy_name, scenario, weight_of_first);
  if (!policy) return usage("no such policy: " + policy_name);
  const Outcome outcome = simulate(scenario, *trace, *policy);
  const auto* governed = dynamic_cast<const Governed*>(policy.get());
  std::printf("%.9g,%.9g,%.9g,%.9g,%.9g,%lld,%lld,%lld,%lld\n", outcome.makespan_s, outcome.first_s,
              outcome.work_s, outcome.utilisation(scenario.cores),
              outcome.runnable_per_core(scenario.cores), outcome.most_runnable, outcome.regions,
              outcome.granted, governed != nullptr ? governed->held_back() : 0);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string_view(words[1]) == "fields") {
    std::puts(
        "makespan_s,first_s,work_s,utilisation,runnable_per_core,most_runnable,regions,granted,"
        "held_back");
    return 0;
  }
  std::map<std::string, std::string, std::less<>> given = {
      {"trace", ""}, {"cores", ""}, {"processes", ""}, {"policy", "governed"}};
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return usage("what is " + word + "?");
    given[word.substr(0, equals)] = word.substr(equals + 1);
  }
  Scenario scenario;
  int seed = 1;
  int weight_of_first = govern::kUsualWeight;
  const struct {
    const char* name;
    int most;
    int* into;
  } numbers[] = {{"cores", govern::kMaxBudget, &scenario.cores},
                 {"processes", kMostProcesses, &scenario.processes},
                 {"regions", 1 << 30, &scenario.regions},
                 {"rounds", 1 << 30, &scenario.rounds},
                 {"barriers", 1 << 20, &scenario.barriers},
                 {"times_of_first", 1 << 10, &scenario.times_of_first},
                 {"weight_of_first", govern::kMostWeight, &weight_of_first},
                 {"seed", 1 << 30, &seed}};
  for (const auto& [name, most, into] : numbers) {
    const auto found = given.find(name);
    if (found == given.end()) continue;
    if (!read_number(found->second, most, *into)) {
      return usage(std::string(name) + " is a number from 1 to " + std::to_string(most));
    }
    given.erase(found);
  }
  scenario.seed = static_cast<std::uint64_t>(seed);
  const std::string file = given["trace"];
  const std::string policy = given["policy"];
  given.erase("trace");
  given.erase("policy");
  if (!given.empty()) return usage("what is " + given.begin()->first + "?");
  if (scenario.barriers > 0 && scenario.regions == 0) return usage("barriers needs regions");
  return run(scenario, file, policy, weight_of_first);
}
