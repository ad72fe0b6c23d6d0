// Whose CPUs a command counts: this machine's or a recorded one's, up to a cap of the user's.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "budget/budget.h"

namespace corewise::cli {

struct MachineChoice {
  std::optional<std::string> cap;
  std::optional<std::string> recorded;
};

// Adds --cap and --recorded to a command; parsing puts their values into the result.
std::shared_ptr<MachineChoice> declare_machine(CLI::App& app);

// CW_BAD_ARGUMENT for an invalid cap, CW_IO_ERROR for a folder that holds no recorded machine.
Result<Budget> budget_of(const MachineChoice& choice);

}  // namespace corewise::cli
