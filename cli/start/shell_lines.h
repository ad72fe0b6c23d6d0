// Changes of the environment as lines for a shell to evaluate.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "thread_variables.h"

namespace corewise::cli {

// Adds --shell to a command; parsing puts its value, empty for $SHELL, into the result.
std::shared_ptr<std::string> declare_shell(CLI::App& app);

std::string shell_lines(const Changes& changes, const std::string& shell);

}  // namespace corewise::cli
