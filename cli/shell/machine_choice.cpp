#include "machine_choice.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "output.h"

namespace corewise::cli {
namespace {

Error about_cap(const Error& error) { return {error.status, "--cap: " + error.what}; }

// A machine refuses nothing but a cap.
Result<Budget> budget_on(const os::Machine& machine, std::optional<double> cap) {
  auto budget = compute_budget(machine, cap);
  return budget ? budget : about_cap(budget.error());
}

}  // namespace

std::shared_ptr<MachineChoice> declare_machine(CLI::App& app) {
  auto choice = std::make_shared<MachineChoice>();
  app.add_option_function<std::string>(
         "--cap", [choice](const std::string& text) { choice->cap = text; },
         "Your own upper bound, in CPUs: 8, 1.5 or 500m")
      ->type_name("CPUS");
  app.add_option_function<std::string>(
         "--recorded", [choice](const std::string& text) { choice->recorded = text; },
         "A machine recorded in a folder with proc, sys and env, instead of this one")
      ->type_name("FOLDER");
  return choice;
}

Result<Budget> budget_of(const MachineChoice& choice) {
  std::optional<double> cap;
  if (choice.cap) {
    const Result<double> parsed = parse_cap(*choice.cap);
    if (!parsed) return about_cap(parsed.error());
    cap = *parsed;
  }
  if (!choice.recorded) return budget_on(os::LiveMachine(), cap);
  std::error_code unknown;
  if (!std::filesystem::is_directory(*choice.recorded + "/proc", unknown)) {
    return Error{CW_IO_ERROR, fmt::format("'{}' holds no recorded machine: it has no folder proc",
                                          printable(*choice.recorded, false))};
  }
  return budget_on(os::RecordedMachine(*choice.recorded), cap);
}

}  // namespace corewise::cli
