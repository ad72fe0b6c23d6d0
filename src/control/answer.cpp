#include "answer.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/json.h"
#include "govern/govern.h"
#include "govern/grants/gate.h"
#include "govern/other_copy.h"
#include "limits/match.h"
#include "pools/discover.h"
#include "pools/format.h"
#include "request.h"
#include "watch/sample.h"

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

Json begin() {
  Json json;
  json.open('{').field("schema_version", 1).field("pid", static_cast<int>(::getpid()));
  return json;
}

void count_or_null(Json& json, const char* key, int count) {
  json.key(key);
  count > 0 ? json.value(count) : json.null();
}

int at(const std::vector<int>& counts, std::uint32_t pool) {
  return pool < counts.size() ? counts[pool] : 0;
}

// `before` and `after`: what the next region or call gets, by pool.
void write_counts(Json& json, const govern::Capped& capped, const std::vector<int>& before,
                  const std::vector<int>& after) {
  count_or_null(json, "before", at(before, capped.pool));
  count_or_null(json, "after", at(after, capped.pool));
  const bool by_thread = pool_at(capped.pool).scope == CW_SCOPE_THREAD;
  count_or_null(json, "at_most", by_thread && capped.finding.empty() ? capped.most : 0);
}

const char* reach_of(const govern::Capped& capped) {
  if (capped.by_thread) {
    return "every thread, from its next region without a num_threads clause on, until the thread "
           "sets a count itself; in libraries that bend, every region";
  }
  if (capped.gate) return "every thread, from its next region or call on";
  return capped.finding.empty() ? "the whole process, until the program sets it" : "nothing";
}

// `not_loaded`: the names that no pool has.
std::string say_caps(const std::vector<govern::Capped>& all, const std::vector<int>& before,
                     const std::vector<int>& after, const std::vector<std::string>& not_loaded,
                     bool dry_run) {
  Json json = begin();
  json.field("dry_run", dry_run).key("outcomes").open('[');
  for (const govern::Capped& capped : all) {
    const Pool& pool = pool_at(capped.pool);
    json.open('{').field("pool", static_cast<int>(capped.pool));
    json.field("api", kApiNames[static_cast<std::size_t>(pool.runtime->api)]);
    json.field("runtime", pool.runtime->name).field("path", pool.path);
    json.field("asked", capped.most);
    write_counts(json, capped, before, after);
    json.field("reach", reach_of(capped));
    const bool refused = !dry_run && capped.finding.empty() && at(after, capped.pool) > capped.most;
    json.field("reason", refused ? "the library kept another count" : capped.finding).close('}');
  }
  json.close(']').array("not_loaded", not_loaded).close('}');
  return json.text();
}

// The rules asked for so far. Only the server's thread comes here, or one in its place.
std::vector<Rule> rules_in_force;

// Each name has one count: the latest.
std::vector<Rule> merged(const std::vector<Rule>& with) {
  std::vector<Rule> all = rules_in_force;
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
  if (auto error = settle_names(own, pools)) return refusal(error->status, error->what);
  std::vector<Rule> all = merged(own);
  const std::vector<int> before = effective_counts();
  auto made = request.dry_run ? govern::try_cap(all) : govern::cap(all);
  if (!made) return refusal(made.error().status, made.error().what);
  if (!request.dry_run) rules_in_force = std::move(all);
  std::erase_if(*made, [&](const govern::Capped& capped) {
    return wanted_by(own, pool_at(capped.pool)) == 0;
  });
  std::vector<int> after = effective_counts();
  for (const govern::Capped& capped : *made) {
    int& count = after[capped.pool];
    if (request.dry_run && capped.finding.empty()) count = std::min(count, capped.most);
  }
  return say_caps(*made, before, after, names_without_pool(request.rules, own, pools),
                  request.dry_run);
}

std::string restore() {
  std::vector<govern::Capped> ended = govern::caps();
  const std::vector<int> before = effective_counts();
  const auto none = govern::cap({});
  if (!none) return refusal(none.error().status, none.error().what);
  rules_in_force.clear();
  const std::vector<int> after = effective_counts();
  Json json = begin();
  json.key("restored").open('[');
  for (const govern::Capped& capped : ended) {
    const Pool& pool = pool_at(capped.pool);
    json.open('{').field("pool", static_cast<int>(capped.pool));
    json.field("api", kApiNames[static_cast<std::size_t>(pool.runtime->api)]);
    json.field("runtime", pool.runtime->name).field("path", pool.path);
    write_counts(json, capped, before, after);
    json.close('}');
  }
  json.close(']').close('}');
  return json.text();
}

// Whether a `govern` over the socket is in force, so that `ungovern` ends that and nothing else.
bool governs = false;

// `ended`: this request ended something that was begun over the socket.
std::string say_governed(bool ended = false) {
  Json json = begin();
  json.field("governed", govern::is_governed()).field("ended", ended);
  json.key("report").raw(govern::report_json());
  json.close('}');
  return json.text();
}

std::string start_governing(const Request& request) {
  if (auto error = govern::another_copy_governs()) return refusal(error->status, error->what);
  govern::GovernOptions options;
  options.budget = request.budget;
  if (governs) govern::ungovern();
  auto error = govern::govern(options);
  governs = !error;
  return error ? refusal(error->status, error->what) : say_governed();
}

std::string stop_governing() {
  if (!governs && govern::is_governed()) {
    return refusal(CW_NOT_AVAILABLE,
                   "the program governs itself, or was started by `corewise run`: only what was "
                   "begun over this socket can be ended here");
  }
  const bool ended = governs;
  if (governs) govern::ungovern();
  governs = false;
  return say_governed(ended);
}

std::string info() {
  synchronise();
  const std::vector<govern::Capped> caps = govern::caps();
  Json json = begin();
  json.field("version", COREWISE_VERSION).field("governed", govern::is_governed());
  json.key("pools").open('[');
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    json.open('{');
    write_pool(json, pool, pool.threads().value_or(0));
    const auto cap = std::ranges::find(caps, pool.id, &govern::Capped::pool);
    count_or_null(json, "limit", cap != caps.end() && cap->finding.empty() ? cap->most : 0);
    json.close('}');
  }
  json.close(']').close('}');
  return json.text();
}

}  // namespace

std::string refusal(int status, std::string_view what) {
  Json json;
  json.open('{').field("schema_version", 1).key("error").open('{');
  json.field("status", status).field("kind", status_name(static_cast<Status>(status)));
  json.field("message", what).close('}').close('}');
  return json.text();
}

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
      return observe::sample_json(request->each);
  }
  return refusal(CW_INTERNAL, "a request without an answer");
}

}  // namespace corewise::control
