// corewise info --import: the pools that Python modules bring.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "exit_codes.h"
#include "import_child.h"
#include "info.h"
#include "json.h"
#include "library.h"

namespace corewise::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string python_for(const InfoOptions& options) {
  if (!options.python.empty()) return options.python;
  // The Python that this corewise was installed into, as its wheel's script says.
  std::string own = variable("COREWISE_PYTHON");
  if (!own.empty()) return own;
  const std::string environment = variable("VIRTUAL_ENV");
  return environment.empty() ? "python3" : environment + "/bin/python";
}

// One line that is written over and wiped; only where somebody watches.
class Progress {
 public:
  explicit Progress(const Settings& settings)
      : wanted_(!settings.quiet && ::isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r{:{}}\r", "", width_);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const std::string& module) {
    if (!wanted_) return;
    const std::string text =
        fmt::format("importing {} ...", shortened(printable(module, false), 50, false));
    width_ = std::max(width_, static_cast<int>(text.size()));
    fmt::print(stderr, "\r{:<{}}", text, width_);
    shown_ = true;
  }

 private:
  bool wanted_;
  bool shown_ = false;
  int width_ = 0;
};

std::string json_of(const Imported& imported, const std::string& python) {
  Json json;
  json.open('{').field("schema_version", 1).field("python", python);
  json.key("failed_imports").open('[');
  for (const FailedImport& failed : imported.failed) {
    json.open('{').field("module", failed.module).field("reason", failed.reason).close('}');
  }
  json.close(']').key("pools").raw(imported.pools_json).close('}');
  return json.text() + "\n";
}

std::string screen_of(const Imported& imported, const InfoOptions& options,
                      const Context& context) {
  const Style style = style_for(context.settings);
  if (imported.rows.empty()) return "No thread pools: no library of a known runtime is loaded.\n";
  std::string out = pool_table(imported.rows, style, options.wide);
  if (context.settings.quiet) return out;
  out += "\n" + scope_legend(imported.rows, "; shown is the main thread's", style);
  return out + remarks(imported.rows, style);
}

}  // namespace

int info_of_modules(const InfoOptions& options, const Context& context) {
  const auto library = find_library();
  if (!library) return fail(kFailed, library.error().what);
  const std::string python = python_for(options);
  const auto imported = [&] {
    Progress progress(context.settings);
    return import_in_child(python, *library, options.modules,
                           [&](const std::string& module) { progress.show(module); });
  }();
  if (!imported) {
    return fail(kFailed, printable(imported.error().what, false),
                "choose another with --python FILE");
  }
  for (const FailedImport& failed : imported->failed) {
    fail(kFailed, fmt::format("cannot import '{}': {}", printable(failed.module, false),
                              printable(failed.reason, false)));
  }
  if (!imported->broke.empty()) {
    return fail(kFailed, printable(imported->broke, false),
                fmt::format("the Python was {}, the library {}", printable(python, false),
                            printable(*library, false)));
  }
  write_out(context.settings.json ? json_of(*imported, python)
                                  : screen_of(*imported, options, context));
  if (imported->failed.empty()) return kOk;
  note(context.settings, fmt::format("the Python was {}; choose another with --python FILE",
                                     printable(python, false)));
  return kFailed;
}

}  // namespace corewise::cli
