// The parts of `corewise info`, one per thing it can look at.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands.h"

namespace corewise::cli {

struct InfoOptions {
  std::vector<std::string> modules;
  std::string python;
  std::optional<std::string> pid;
  std::optional<std::string> recorded;
  bool wide = false;
};

int info_of_modules(const InfoOptions& options, const Context& context);
int info_of_process(const InfoOptions& options, const Context& context);
int info_of_machine(const InfoOptions& options, const Context& context);

}  // namespace corewise::cli
