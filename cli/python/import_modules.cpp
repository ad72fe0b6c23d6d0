#include "import_modules.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "screen/layout.h"
#include "shell/exit_codes.h"
#include "shell/variable.h"
#include "start/library.h"

namespace corewise::cli {
namespace {

std::string python_for(const ImportChoice& choice) {
  if (!choice.python.empty()) return choice.python;
  // The wheel's script names the Python that this corewise is installed in.
  std::string own = variable("COREWISE_PYTHON");
  if (!own.empty()) return own;
  const std::string environment = variable("VIRTUAL_ENV");
  return environment.empty() ? "python3" : environment + "/bin/python";
}

// A line that is overwritten and, at the end, erased; only on a terminal.
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

}  // namespace

std::shared_ptr<ImportChoice> declare_import(CLI::App& app, const char* text) {
  auto choice = std::make_shared<ImportChoice>();
  app.add_option("-i,--import", choice->modules, text)->type_name("MODULE...");
  app.add_option(
         "--python", choice->python,
         "The Python that imports (default: the one corewise was installed into with pip, else "
         "$VIRTUAL_ENV/bin/python, else python3 in PATH)")
      ->type_name("FILE");
  return choice;
}

std::optional<std::string> python_without_modules(const ImportChoice& choice) {
  if (choice.python.empty() || !choice.modules.empty()) return std::nullopt;
  return "--python is the Python that imports: it needs --import MODULE";
}

void write_failed_imports(Json& json, const Imported& imported) {
  json.key("failed_imports").open('[');
  for (const FailedImport& failed : imported.failed) {
    json.open('{').field("module", failed.module).field("reason", failed.reason).close('}');
  }
  json.close(']');
}

int with_imports(const ImportChoice& choice, ImportTask task, const Settings& settings, int failed,
                 const std::function<int(const Imported&, const std::string&)>& show) {
  const Result<std::string> library = find_library();
  if (!library) return fail(failed, library.error().what);
  const std::string python = python_for(choice);
  const auto imported = [&] {
    Progress progress(settings);
    return import_in_child(python, *library, task, choice.modules,
                           [&](const std::string& module) { progress.show(module); });
  }();
  if (!imported) {
    return fail(failed, printable(imported.error().what, false),
                "choose another with --python FILE");
  }
  for (const FailedImport& one : imported->failed) {
    fail(failed, fmt::format("cannot import '{}': {}", printable(one.module, false),
                             printable(one.reason, false)));
  }
  if (!imported->broke.empty()) {
    return fail(failed, printable(imported->broke, false),
                fmt::format("used Python {} and the library {}", printable(python, false),
                            printable(*library, false)));
  }
  const int code = show(*imported, python);
  if (imported->failed.empty()) return code;
  note(settings,
       fmt::format("used Python {}; use --python FILE for another", printable(python, false)));
  return failed;
}

}  // namespace corewise::cli
