#include "answer.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "answer_records.h"
#include "govern/govern.h"
#include "govern/grants/gate.h"
#include "govern/other_copy.h"
#include "limits/limit.h"
#include "limits/match.h"
#include "observe/sample.h"
#include "os/fork.h"
#include "pools/discover.h"
#include "request.h"

namespace corewise::control {
namespace {

// The count that the next region or call finds: the pool's own, or what its gate lowers it to. 0:
// each thread has a count of its own, which only that thread can read.
int effective(const Pool& pool) {
  if (pool.scope == CW_SCOPE_THREAD) return 0;
  const int own = pool.threads().value_or(0);
  const int cap = govern::gate::cap_of(pool.id);
  return cap == 0 ? own : std::min(own, cap);
}

std::vector<int> effective_counts() {
  std::vector<int> counts;
  for (std::size_t id = 0; id < pool_count(); ++id) counts.push_back(effective(pool_at(id)));
  return counts;
}

int at(const std::vector<int>& counts, std::uint32_t pool) {
  return pool < counts.size() ? counts[pool] : 0;
}

// `before` and `after`: what the next region or call gets, by pool.
PoolOutcome outcome_of(const govern::Capped& capped, const std::vector<int>& before,
                       const std::vector<int>& after) {
  const Pool& pool = pool_at(capped.pool);
  PoolOutcome outcome;
  outcome.pool = static_cast<int>(capped.pool);
  outcome.api = api_name(pool.runtime->api);
  outcome.runtime = pool.runtime->name;
  outcome.path = pool.path;
  outcome.asked = capped.most;
  outcome.before = at(before, capped.pool);
  outcome.after = at(after, capped.pool);
  if (pool.scope == CW_SCOPE_THREAD && capped.finding.empty()) outcome.at_most = capped.most;
  return outcome;
}

const char* reach_of(const govern::Capped& capped) {
  if (capped.by_thread) {
    return "every thread, from its next region without a num_threads clause on, until the thread "
           "sets a count itself; in libraries that bend, every region";
  }
  if (capped.gate) return "every thread, from its next region or call on";
  return capped.finding.empty() ? "the whole process, until the program sets it" : "nothing";
}

// What was asked for so far. Two threads may answer: after a change of the user that of the session
// before may be amid its last request. So this has a lock, of which a fork knows; we take no other
// one while we hold it.
struct InForce {
  os::ForkLock& lock = os::fork_lock(os::ForkRank::kAnswers);
  std::vector<Rule> rules;
  // The `govern`, so that `ungovern` ends that and nothing else.
  std::optional<govern::GovernOptions> governing;
};

// Never destroyed: the thread may answer while the process exits.
InForce& in_force() {
  static auto* const kMade = new InForce;
  return *kMade;
}

// While this library is loaded: a fork would leave one half-made for ever.
[[maybe_unused]] const InForce& made_early = in_force();

template <class T>
T swap_in(T InForce::* member, T value) {
  const std::lock_guard guard(in_force().lock);
  return std::exchange(in_force().*member, std::move(value));
}

std::optional<govern::GovernOptions> governing() {
  const std::lock_guard guard(in_force().lock);
  return in_force().governing;
}

// Each name has one count: the latest. Of two that are asked for at once one may be lost.
std::vector<Rule> merged(const std::vector<Rule>& with) {
  const std::lock_guard guard(in_force().lock);
  std::vector<Rule> all = in_force().rules;
  std::erase_if(all, [&](const Rule& old) {
    return std::ranges::any_of(
        with, [&](const Rule& rule) { return rule.match == old.match && rule.name == old.name; });
  });
  all.insert(all.end(), with.begin(), with.end());
  return all;
}

std::string limit(const Request& request) {
  if (auto error = govern::another_copy_governs()) return refusal(error->status, error->what);
  synchronise();
  std::vector<Rule> own = request.rules;
  const std::vector<const Pool*> pools = discovered_pools();
  if (auto error = resolve_names(own, pools)) return refusal(error->status, error->what);
  std::vector<Rule> all = merged(own);
  const std::vector<int> before = effective_counts();
  auto made = request.dry_run ? govern::try_cap(all) : govern::cap(all);
  if (!made) return refusal(made.error().status, made.error().what);
  if (!request.dry_run) swap_in(&InForce::rules, std::move(all));
  std::erase_if(*made, [&](const govern::Capped& capped) {
    return wanted_by(own, pool_at(capped.pool)) == 0;
  });
  std::vector<int> after = effective_counts();
  for (const govern::Capped& capped : *made) {
    int& count = after[capped.pool];
    if (request.dry_run && capped.finding.empty()) count = std::min(count, capped.most);
  }
  LimitAnswer answer{::getpid(), request.dry_run, false, {}, {}};
  for (const govern::Capped& capped : *made) {
    PoolOutcome& outcome = answer.outcomes.emplace_back(outcome_of(capped, before, after));
    outcome.reach = reach_of(capped);
    const bool kept = !request.dry_run && outcome.after > capped.most;
    outcome.reason =
        capped.finding.empty() && kept ? "the library kept another count" : capped.finding;
  }
  answer.not_loaded = names_without_pool(request.rules, own, pools);
  return answer.json();
}

std::string restore() {
  std::vector<govern::Capped> ended = govern::caps();
  const std::vector<int> before = effective_counts();
  const auto none = govern::cap({});
  if (!none) return refusal(none.error().status, none.error().what);
  swap_in(&InForce::rules, {});
  const std::vector<int> after = effective_counts();
  RestoreAnswer answer{::getpid(), {}};
  for (const govern::Capped& capped : ended) {
    answer.restored.push_back(outcome_of(capped, before, after));
  }
  return answer.json();
}

// `ended`: this request ended something that was begun over the socket.
std::string say_governed(bool ended = false) {
  return governed_json(::getpid(), govern::is_governed(), ended, govern::report_json());
}

std::string start_governing(const Request& request) {
  if (auto error = govern::another_copy_governs()) return refusal(error->status, error->what);
  govern::GovernOptions options;
  options.budget = request.budget;
  const auto before = governing();
  if (before) govern::ungovern();
  if (const auto error = govern::govern(options)) {
    // What was accepted before stays in force.
    if (before && govern::govern(*before)) swap_in(&InForce::governing, {});
    return refusal(error->status, error->what);
  }
  swap_in(&InForce::governing, {options});
  return say_governed();
}

std::string stop_governing() {
  const bool ended = swap_in(&InForce::governing, {}).has_value();
  if (!ended && govern::is_governed()) {
    return refusal(CW_NOT_AVAILABLE,
                   "the program governs itself, or `corewise run` started it; --off ends only what "
                   "`corewise govern` began");
  }
  if (ended) govern::ungovern();
  return say_governed(ended);
}

std::string info() {
  synchronise();
  const std::vector<govern::Capped> caps = govern::caps();
  InfoAnswer answer{::getpid(), COREWISE_VERSION, govern::is_governed(), limits_in_force(), {}};
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    const auto cap = std::ranges::find(caps, pool.id, &govern::Capped::pool);
    const bool limited = cap != caps.end() && cap->finding.empty();
    answer.pools.push_back({facts_of(pool, pool.threads().value_or(0)), limited ? cap->most : 0});
  }
  return answer.json();
}

}  // namespace

std::string answer(std::string_view line) {
  const auto request = read_request(line);
  if (!request) return refusal(request.error().status, request.error().what);
  switch (request->command) {
    case Request::Command::kInfo:
      return info();
    case Request::Command::kLimit:
      return limit(*request);
    case Request::Command::kRestore:
      return restore();
    case Request::Command::kGovern:
      return start_governing(*request);
    case Request::Command::kUngovern:
      return stop_governing();
    case Request::Command::kReport:
      return say_governed();
    case Request::Command::kSample:
      return observe::to_json(observe::take_sample(request->each));
  }
  return refusal(CW_INTERNAL, "a request without an answer");
}

}  // namespace corewise::control
