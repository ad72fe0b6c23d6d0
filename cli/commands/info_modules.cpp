// corewise info --import: the pools that Python modules bring.
#include <fmt/format.h>

#include "base/json.h"
#include "info_command.h"
#include "python/import_modules.h"
#include "screen/layout.h"
#include "screen/pool_table.h"
#include "shell/exit_codes.h"

namespace corewise::cli {
namespace {

std::string json_of(const Imported& imported, const std::string& python) {
  Json json;
  json.open('{').field("schema_version", 1).field("python", python);
  write_failed_imports(json, imported);
  json.key("pools").open('[');
  for (const PoolFacts& pool : imported.pools) {
    json.open('{');
    write_pool(json, pool);
    json.close('}');
  }
  json.close(']');
  write_other_libraries(json, imported.libraries);
  json.close('}');
  return json.text() + "\n";
}

std::string screen_of(const Imported& imported, const InfoOptions& options,
                      const Context& context) {
  const Style style = style_for(context.settings);
  std::string others = other_libraries(imported.libraries, style);
  if (imported.pools.empty()) {
    // Of a module that was not imported nobody knows.
    if (!others.empty() || !imported.failed.empty()) return others;
    return folded("No thread pools: no library of a known runtime is loaded.", 0, 0, style.width) +
           "\n";
  }
  std::string out = pool_table(imported.pools, style, options.wide);
  if (!context.settings.quiet) {
    out += "\n" + scope_legend(imported.pools, "; shown is the main thread's", style) +
           remarks(imported.pools, style);
  }
  return out + (others.empty() ? "" : "\n") + others;
}

}  // namespace

int info_of_modules(const InfoOptions& options, const Context& context) {
  return with_imports(*options.import, ImportTask::kPools, context.settings, kFailed,
                      [&](const Imported& imported, const std::string& python) {
                        write_out(context.settings.json ? json_of(imported, python)
                                                        : screen_of(imported, options, context));
                        return static_cast<int>(kOk);
                      });
}

}  // namespace corewise::cli
