// The parts of `corewise info`, one per thing it can look at.
#pragma once

#include <memory>

#include "python/import_modules.h"
#include "shell/commands.h"
#include "shell/process_choice.h"

namespace corewise::cli {

struct InfoOptions {
  std::shared_ptr<ImportChoice> import;
  std::shared_ptr<ProcessChoice> process;
  bool wide = false;
};

int info_of_modules(const InfoOptions& options, const Context& context);
int info_of_process(const InfoOptions& options, const Context& context);
int info_of_machine(const InfoOptions& options, const Context& context);

}  // namespace corewise::cli
