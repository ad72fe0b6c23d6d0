#include "scene.h"

#include "base/json.h"
#include "pools/discover.h"
#include "pools/module_names.h"

namespace corewise::death {
namespace {

const int* number(const ModuleNames& names, const char* name) {
  if (name == nullptr) return nullptr;
  const std::uintptr_t at = names.anywhere(name).address;
  return at % alignof(int) == 0 ? reinterpret_cast<const int*>(at) : nullptr;
}

ScenePool draw(const Pool& pool) {
  const ModuleNames names(pool);
  ScenePool drawn;
  Json json;
  json.field("runtime", pool.runtime->name).field("path", pool.path);
  json.field("version", pool.version).field("layer", pool.layer);
  json.field("threads_before", pool.threads().value_or(0));
  json.field("caller_slots", pool.caller_slots);
  drawn.fields = json.text();
  drawn.code = govern::CodeRange(names.module());
  const Runtime::AtDeath& at_death = pool.runtime->at_death;
  if (pool.layer != "openmp") {
    drawn.threads = number(names, at_death.threads);
    drawn.ran_out = number(names, at_death.ran_out);
  }
  drawn.used = reinterpret_cast<const std::uint8_t*>(pool.used_at);
  drawn.exits = at_death.exits;
  drawn.raises_sigterm =
      at_death.raises_sigterm != nullptr && pool.layer == at_death.raises_sigterm;
  return drawn;
}

}  // namespace

const Scene* draw_scene(const Scene& before) {
  auto* scene = new Scene(before);
  scene->before = &before;
  while (scene->pools.size() < pool_count()) {
    scene->pools.push_back(draw(pool_at(scene->pools.size())));
  }
  return scene;
}

}  // namespace corewise::death
