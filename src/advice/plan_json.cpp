// The plan as JSON, for programs. Keys in docs/json.md.
#include "base/json.h"
#include "plan.h"

namespace corewise {

std::string plan_json(const Plan& plan) {
  Json json;
  json.open('{');
  json.field("schema_version", 1);
  json.field("cpus", plan.cpus);
  json.field("floor", plan.floor);
  json.field("threads", plan.threads);
  json.field("unused", plan.unused);
  json.key("levels").open('[');
  for (const PlanLevel* level : {&plan.processes, &plan.openmp, &plan.blas}) {
    json.open('{');
    json.field("level", level->level);
    json.field("count", level->count);
    json.field("reason", level->reason);
    json.close('}');
  }
  json.close(']');
  json.key("environment").open('{');
  for (const PlanVariable& variable : plan.environment) {
    json.field(variable.name, std::to_string(variable.value));
  }
  json.close('}');
  json.key("limits").open('[');
  for (const PlanLimit& limit : plan.limits) {
    json.open('{');
    json.field("pool", limit.pool);
    json.field("path", limit.path);
    json.field("api", api_name(limit.api));
    json.field("threads", limit.threads);
    json.field("reason", limit.reason);
    json.close('}');
  }
  json.close(']').close('}');
  return json.text();
}

}  // namespace corewise
