#include "pool_facts.h"

#include <algorithm>
#include <iterator>

#include "discover.h"

namespace corewise {
namespace {

constexpr std::array<const char*, 3> kScopeNames = {"process", "thread", "none"};

// The index of a name, or of the last name if it is none of them.
template <class Names>
std::ptrdiff_t index_of(const Names& names, const std::string& name) {
  const auto at = std::find(names.begin(), names.end(), name);
  return std::min(at - names.begin(), std::ssize(names) - 1);
}

}  // namespace

const char* scope_name(Scope scope) { return kScopeNames[static_cast<std::size_t>(scope)]; }

PoolFacts facts_of(const Pool& pool, int threads) {
  PoolFacts facts;
  facts.id = pool.id;
  facts.api = pool.runtime->api;
  facts.runtime = pool.runtime->name;
  facts.threads = std::max(0, threads);
  facts.scope = pool.scope;
  facts.ceiling = pool.ceiling;
  facts.caller_slots = pool.caller_slots;
  facts.prefix = pool.prefix;
  facts.path = pool.path;
  facts.version = pool.version;
  facts.layer = pool.layer;
  facts.architecture = pool.architecture;
  facts.detail = pool.shown_detail();
  facts.mkl_dynamic = pool.may_use_fewer;
  return facts;
}

void write_pool(Json& json, const PoolFacts& pool) {
  json.field("id", static_cast<int>(pool.id)).field("api", api_name(pool.api));
  json.field("runtime", pool.runtime).known("threads", pool.threads);
  json.field("scope", scope_name(pool.scope)).known("ceiling", pool.ceiling);
  json.known("caller_slots", pool.caller_slots);
  json.field("prefix", pool.prefix).field("path", pool.path);
  json.known("version", pool.version).known("layer", pool.layer);
  json.known("architecture", pool.architecture).known("detail", pool.detail);
}

PoolFacts read_pool(const JsonValue& object) {
  PoolFacts pool;
  pool.id = static_cast<std::uint32_t>(object.count_at("id"));
  pool.api = static_cast<Api>(index_of(kApiNames, object.text_at("api")));
  pool.runtime = object.text_at("runtime");
  pool.threads = object.count_at("threads");
  pool.scope = static_cast<Scope>(index_of(kScopeNames, object.text_at("scope")));
  pool.ceiling = object.count_at("ceiling");
  pool.caller_slots = object.count_at("caller_slots");
  pool.prefix = object.text_at("prefix");
  pool.path = object.text_at("path");
  pool.version = object.text_at("version");
  pool.layer = object.text_at("layer");
  pool.architecture = object.text_at("architecture");
  pool.detail = object.text_at("detail");
  return pool;
}

std::string info_json() {
  Json json;
  json.open('{').field("schema_version", 1).key("pools").open('[');
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    json.open('{');
    write_pool(json, facts_of(pool, pool.threads().value_or(0)));
    json.close('}');
  }
  json.close(']').close('}');
  return json.text();
}

}  // namespace corewise
