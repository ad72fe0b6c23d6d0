// Fact (driver/others/memory.c): memory_overflowed is 0 until all buffers were taken at once; then
// the warning is printed and auxiliary ones are made.
#include "scene.h"

#include <algorithm>

#include "../discover.h"
#include "../govern/module_names.h"
#include "../json.h"
#include "../os/os.h"
#include "../runtimes/table.h"

namespace corewise::postmortem {
namespace {

constexpr std::size_t kLongestProgram = 300;

std::string own_program() {
  auto text = os::read_file("/proc/self/cmdline");
  if (!text) return {};
  while (!text->empty() && text->back() == '\0') text->pop_back();
  std::ranges::replace(*text, '\0', ' ');
  if (text->size() > kLongestProgram) text->replace(kLongestProgram, text->npos, "...");
  return *text;
}

const int* number(const govern::ModuleNames& names, const char* name) {
  const std::uintptr_t at = names.anywhere(name).address;
  return at % alignof(int) == 0 ? reinterpret_cast<const int*>(at) : nullptr;
}

ScenePool draw(const Pool& pool) {
  const govern::ModuleNames names(pool);
  ScenePool drawn;
  Json json;
  json.field("runtime", pool.runtime->name).field("path", pool.path);
  json.field("version", pool.version).field("layer", pool.layer);
  json.field("threads_before", std::max(0, pool.runtime->get(pool)));
  json.field("caller_slots", pool.caller_slots);
  drawn.fields = json.text();
  for (const os::Segment& segment : names.module().segments) {
    drawn.begin = drawn.begin == 0 ? segment.begin : std::min(drawn.begin, segment.begin);
    drawn.end = std::max(drawn.end, segment.end);
  }
  if (pool.runtime == &kOpenblas && pool.layer != "openmp") {
    drawn.threads = number(names, "blas_cpu_number");
    drawn.ran_out = number(names, "memory_overflowed");
  }
  return drawn;
}

}  // namespace

const Scene* draw_scene(const std::string& folder) {
  auto* scene = new Scene{own_program(), folder, {}};
  for (std::size_t id = 0; id < pool_count(); ++id) scene->pools.push_back(draw(pool_at(id)));
  return scene;
}

}  // namespace corewise::postmortem
