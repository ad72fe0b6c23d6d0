// The budget as JSON, for programs. Keys in docs/json.md.
#include "base/json.h"
#include "budget.h"

namespace corewise {
namespace {

void write_topology(Json& json, const Topology& topology) {
  json.key("topology").open('{');
  json.field("cpus", topology.cpus);
  json.field("cores", topology.cores);
  json.field("threads_per_core", topology.threads_per_core);
  json.field("packages", topology.packages);
  json.field("numa_nodes", topology.numa_nodes);
  json.field("performance_cpus", topology.performance_cpus);
  json.field("efficiency_cpus", topology.efficiency_cpus);
  json.close('}');
}

}  // namespace

void write_budget(Json& json, const Budget& budget) {
  json.field("schema_version", 1);
  json.field("cpus", budget.cpus);
  json.field("floor", budget.floor);
  json.field("ceil", budget.ceil);
  json.field("allowed", budget.allowed.to_list());
  write_topology(json, budget.topology);
  json.key("constraints").open('[');
  for (const Constraint& one : budget.constraints) {
    json.open('{');
    json.field("source", source_name(one.source));
    json.field("where", one.where);
    json.field("cpus", one.cpus);
    json.field("binding", one.binding);
    json.field("detail", one.detail);
    json.close('}');
  }
  json.close(']');
  json.array("findings", budget.findings);
}

std::string budget_json(const Budget& budget) {
  Json json;
  json.open('{');
  write_budget(json, budget);
  return json.close('}').text();
}

}  // namespace corewise
