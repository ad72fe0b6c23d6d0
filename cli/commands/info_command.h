// The parts of `corewise info`, one per thing it can look at.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "python/import_modules.h"
#include "screen/layout.h"
#include "shell/commands.h"
#include "shell/process_choice.h"

namespace corewise::cli {

struct InfoOptions {
  std::shared_ptr<ImportChoice> import;
  std::shared_ptr<ProcessChoice> process;
  bool wide = false;
};

// Libraries whose threads we only see, and how to limit each; "" if there are none.
std::string other_libraries(const std::vector<std::string>& libraries, const Style& style);
void write_other_libraries(Json& json, const std::vector<std::string>& libraries);

int info_of_modules(const InfoOptions& options, const Context& context);
int info_of_process(const InfoOptions& options, const Context& context);
int info_of_machine(const InfoOptions& options, const Context& context);

}  // namespace corewise::cli
