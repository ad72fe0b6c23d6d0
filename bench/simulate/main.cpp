// One run of the simulator:
//
//     simulate trace=FILE cores=128 processes=64 policy=default|one|plan|governed|recent
//              [regions=N | rounds=N] [seed=N]
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

using namespace corewise::simulate;

constexpr int kMostProcesses = 1 << 20;

int usage(const std::string& why) {
  std::fprintf(stderr,
               "simulate: %s\n"
               "usage: simulate trace=FILE cores=N processes=N [regions=N | rounds=N] [seed=N]\n"
               "                policy=default|one|plan|governed|recent\n",
               why.c_str());
  return 2;
}

std::unique_ptr<Policy> make_policy(const std::string& name, const Scenario& scenario) {
  const int cores = scenario.cores;
  if (name == "default") return std::make_unique<Fixed>(cores, kInstalled);
  if (name == "one") return std::make_unique<Fixed>(1, kInstalled);
  if (name == "plan") {
    return std::make_unique<Fixed>(std::max(1, cores / scenario.processes), kInstalled);
  }
  if (name != "governed" && name != "recent") return nullptr;
  Governed::Options options;
  options.counts_hungry = name == "governed";
  options.budget = options.cores = cores;
  options.processes = scenario.processes;
  return std::make_unique<Governed>(options, kUnderRun);
}

// Whether all of `text` is a number from 1 to `most`.
bool read_number(std::string_view text, int most, int& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc{} && end == text.data() + text.size() && into >= 1 && into <= most;
}

int run(const Scenario& scenario, const std::string& file, const std::string& policy_name) {
  std::ifstream stream(file);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  std::string why = "it cannot be read";
  const auto trace = stream ? parse_trace(text, why) : std::nullopt;
  if (!trace) {
    std::fprintf(stderr, "simulate: %s: %s\n", file.c_str(), why.c_str());
    return 3;
  }
  const auto policy = make_policy(policy_name, scenario);
  if (!policy) return usage("no such policy: " + policy_name);
  const Outcome outcome = simulate(scenario, *trace, *policy);
  const auto* governed = dynamic_cast<const Governed*>(policy.get());
  std::printf("%.9g,%.9g,%.9g,%.9g,%lld,%lld,%lld,%lld\n", outcome.makespan_s, outcome.work_s,
              outcome.utilisation(scenario.cores), outcome.runnable_per_core(scenario.cores),
              outcome.most_runnable, outcome.regions, outcome.granted,
              governed != nullptr ? governed->held_back() : 0);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string_view(words[1]) == "fields") {
    std::puts(
        "makespan_s,work_s,utilisation,runnable_per_core,most_runnable,regions,granted,held_back");
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
  const struct {
    const char* name;
    int most;
    int* into;
  } numbers[] = {{"cores", corewise::govern::kMaxBudget, &scenario.cores},
                 {"processes", kMostProcesses, &scenario.processes},
                 {"regions", 1 << 30, &scenario.regions},
                 {"rounds", 1 << 30, &scenario.rounds},
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
  return run(scenario, file, policy);
}
