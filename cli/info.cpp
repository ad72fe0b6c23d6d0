// corewise info: which pools there are, how many threads each has, and whom a setter reaches.
#include "info.h"

#include "exit_codes.h"

namespace corewise::cli {
namespace {

int info(const InfoOptions& options, const Context& context) {
  const int asked =
      (options.modules.empty() ? 0 : 1) + (options.pid ? 1 : 0) + (options.recorded ? 1 : 0);
  if (asked > 1) {
    return fail(kUsage, "info: --import, --pid and --recorded are looked at one at a time");
  }
  if (!options.python.empty() && options.modules.empty()) {
    return fail(kUsage, "info: --python is the Python that imports: it needs --import MODULE");
  }
  if (!options.modules.empty()) return info_of_modules(options, context);
  if (asked == 1) return info_of_process(options, context);
  return info_of_machine(options, context);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<InfoOptions>();
  app.add_option("-i,--import", options->modules,
                 "Import these modules in a Python of their own and show its pools")
      ->type_name("MODULE...");
  app.add_option(
         "--python", options->python,
         "The Python that imports (default: the one corewise was installed into with pip, else "
         "$VIRTUAL_ENV/bin/python, else python3 in PATH)")
      ->type_name("FILE");
  app.add_option_function<std::string>(
         "-p,--pid", [options](const std::string& text) { options->pid = text; },
         "Show the pools of a running process")
      ->type_name("PID");
  app.add_option_function<std::string>(
         "--recorded", [options](const std::string& text) { options->recorded = text; },
         "Show the pools of a process recorded in a folder laid out like /proc/PID")
      ->type_name("FOLDER");
  app.add_flag("--wide", options->wide, "Never shorten paths");
  return [options](const Context& context) { return info(*options, context); };
}

}  // namespace

const Command kInfo = {
    .name = "info",
    .summary = "Show thread pools: of Python modules, of a process, or what sets them here",
    .about =
        "With --import, imports Python modules in a child process and shows the pools that they "
        "bring. The Python needs no package of ours. What the modules print goes to standard "
        "error.\n"
        "\n"
        "With --pid, reads a running process from outside: it is not stopped and runs nothing for "
        "us. What cannot be known so is said: an OpenMP count, for one, belongs to each thread.\n"
        "\n"
        "With neither, shows this machine's CPUs and the variables set here that thread pools "
        "read.",
    .example =
        "corewise info -i numpy scipy sklearn\n"
        "corewise info --pid 4711\n"
        "corewise info -i torch --json | jq '.pools[].threads'",
    .declare = declare,
};

}  // namespace corewise::cli
