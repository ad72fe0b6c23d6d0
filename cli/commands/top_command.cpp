// corewise top: the user's governed and controllable processes, live.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

#include "base/text.h"
#include "shell/commands.h"
#include "shell/exit_codes.h"
#include "top/node_screen.h"
#include "top/top_screen.h"
#include "top/top_session.h"

namespace corewise::cli {
namespace {

struct Options {
  bool once = false;
  bool all = false;
  std::optional<std::string> interval;
};

View view_over(int interval_ms) {
  ProcessWatch watch;
  watch.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
  return watch.next();
}

int top(const Options& options, const Context& context) {
  int interval_ms = 1000;
  if (options.interval) {
    const auto seconds = parse_positive(*options.interval);
    if (!seconds || *seconds < 0.1 || *seconds > 3600) {
      return fail(kUsage, fmt::format("top: --interval takes 0.1 to 3600 seconds, not '{}'",
                                      printable(*options.interval, false)));
    }
    interval_ms = static_cast<int>(*seconds * 1000);
  }
  if (options.all) {
    const NodeView view = watch_node(options.interval ? interval_ms : 500);
    write_out(context.settings.json ? node_json(view)
                                    : node_screen(view, style_for(context.settings)));
    return kOk;
  }
  if (context.settings.json) {
    write_out(view_json(view_over(options.interval ? interval_ms : 500)));
    return kOk;
  }
  if (options.once) {
    TopState state;
    const View view = view_over(options.interval ? interval_ms : 500);
    const Style style = style_for(context.settings);
    const auto all = listed(view, state.order, state.filter);
    if (!all.empty()) state.selected = all.front()->pid;
    std::string out;
    for (const std::string& line : top_screen(view, state, style, 0)) out += line + "\n";
    write_out(out);
    return kOk;
  }
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1) {
    return fail(kUsage, "top: there is no terminal to show it on",
                "corewise top --once, or --json");
  }
  const char* kind = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe)
  if (kind == nullptr || *kind == '\0' || std::string_view(kind) == "dumb") {
    return fail(kUsage, "top: the terminal cannot be drawn on (TERM)",
                "corewise top --once, or --json");
  }
  return run_top(context.settings, interval_ms);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_flag("--once", options->once, "Print the screen once, after half a second, and end");
  app.add_flag("--all", options->all,
               "Print once which users' programs, governed or not, have more threads ready to run "
               "than this machine has CPUs. For root; others see what /proc shows them");
  app.add_option_function<std::string>(
         "--interval", [options](const std::string& text) { options->interval = text; },
         "Seconds between looks (default: 1; with --all 0.5)")
      ->type_name("SECONDS");
  return [options](const Context& context) { return top(*options, context); };
}

}  // namespace

const Command kTop = {
    .name = "top",
    .summary = "Watch your processes: too many threads or not, by process and pool",
    .about =
        "Shows, once a second, your processes that were started by `corewise run`, that imported "
        "corewise, or that are governed. The first line says whether more of their threads want to "
        "run than you have CPUs, or whether other programs take the CPUs. Then a line for each "
        "process, the busiest first, with the name of its notebook or script: threads that run, "
        "CPUs used (100 is one), threads that were ready to run and had no CPU (DELAY%, 100 is one "
        "thread), threads granted by corewise, and limits set from outside. Below are the pools of "
        "the selected process. SPIN counts workers that run though the pool has nothing to do; it "
        "is known only where the process is governed or limited. A process that is stopped or "
        "does not answer is marked.\n"
        "\n"
        "With --all it prints, once, who is busy on the whole machine, by user. READY counts the "
        "threads that ran or were ready to run, on average; DELAY% how many of them had no CPU "
        "(100 is one thread). "
        "Programs that corewise does not govern count too; nothing is loaded into them or asked "
        "of them.\n"
        "\n"
        "Keys: up and down select, / filters, s sorts, l limits, u undoes limits, g governs, q "
        "quits, ? shows all keys and explains the columns.",
    .example =
        "corewise top\n"
        "corewise top --once\n"
        "sudo corewise top --all\n"
        "corewise top --json",
    .declare = declare,
};

}  // namespace corewise::cli
