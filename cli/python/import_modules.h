// The options -i and --python, and what commands do with the modules that they name.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "import_child.h"
#include "shell/output.h"

namespace corewise::cli {

struct ImportChoice {
  std::vector<std::string> modules;
  std::string python;
};

// `text` says what -i is for.
std::shared_ptr<ImportChoice> declare_import(CLI::App& app, const char* text);

// The error if --python is given without a module.
std::optional<std::string> python_without_modules(const ImportChoice& choice);

// "failed_imports": [{"module": ..., "reason": ...}, ...], into an open object.
void write_failed_imports(Json& json, const Imported& imported);

// Imports the modules and hands what the child told to `show`, whose exit code it returns. Says on
// standard error what failed, and then returns `failed`.
int with_imports(const ImportChoice& choice, ImportTask task, const Settings& settings, int failed,
                 const std::function<int(const Imported&, const std::string& python)>& show);

}  // namespace corewise::cli
