// corewise info: which pools are loaded, how many threads each has, and how far a setter reaches.
#include "info_command.h"

#include <fmt/format.h>

#include "screen/layout.h"
#include "shell/exit_codes.h"
#include "start/thread_variables.h"

namespace corewise::cli {
namespace {

int info(const InfoOptions& options, const Context& context) {
  const bool imports = !options.import->modules.empty();
  const int asked =
      (imports ? 1 : 0) + (options.process->pid ? 1 : 0) + (options.process->recorded ? 1 : 0);
  if (asked > 1) {
    return fail(kUsage, "info: give only one of --import, --pid and --recorded");
  }
  if (const auto why = python_without_modules(*options.import)) {
    return fail(kUsage, fmt::format("info: {}", *why));
  }
  if (imports) return info_of_modules(options, context);
  if (asked == 1) return info_of_process(options, context);
  return info_of_machine(options, context);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<InfoOptions>();
  options->import =
      declare_import(app, "Import these modules in a Python of their own and show its pools");
  options->process =
      declare_process(app, "Show the pools of a running process",
                      "Show the pools of a process recorded in a folder laid out like /proc/PID");
  app.add_flag("--wide", options->wide, "Never shorten paths");
  return [options](const Context& context) { return info(*options, context); };
}

}  // namespace

const Command kInfo = {
    .name = "info",
    .summary = "Show the thread pools of Python modules or of a process",
    .about =
        "With --import, imports Python modules in a child process and shows the thread pools "
        "that they bring. That Python does not need corewise. What the modules print goes to "
        "standard error.\n"
        "\n"
        "With --pid, reads a running process from outside, without stopping it or running "
        "code in it. It says what it cannot know that way: for example, each thread keeps its "
        "own OpenMP count.\n"
        "\n"
        "With neither, shows this machine's CPUs and the variables set here that thread pools "
        "read.",
    .example =
        "corewise info -i numpy scipy sklearn\n"
        "corewise info --pid 4711\n"
        "corewise info -i torch --json | jq '.pools[].threads'",
    .declare = declare,
};

std::string other_libraries(const std::vector<std::string>& libraries, const Style& style) {
  if (libraries.empty()) return {};
  std::vector<std::vector<std::string>> rows;
  for (const std::string& library : libraries) rows.push_back({library, how_to_limit(library)});
  const std::string said = folded(
      "corewise sees the threads of these libraries ('corewise top') and does not limit them:", 0,
      0, style.width);
  return said + "\n" + table({{"library"}, {"how you limit them"}}, rows, style);
}

void write_other_libraries(Json& json, const std::vector<std::string>& libraries) {
  json.key("libraries").open('[');
  for (const std::string& library : libraries) {
    json.open('{').field("library", library).field("cure", how_to_limit(library)).close('}');
  }
  json.close(']');
}

}  // namespace corewise::cli
