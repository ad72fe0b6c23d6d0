// corewise top: the user's governed and controllable processes, live.
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

#include "commands.h"
#include "control_client.h"
#include "exit_codes.h"
#include "json.h"
#include "pool.h"
#include "terminal.h"
#include "text.h"
#include "thread_variables.h"
#include "top_screen.h"

namespace corewise::cli {
namespace {

constexpr int kPatienceMs = 5000;

struct Options {
  bool once = false;
  std::optional<std::string> interval;
};

// "blas=2 openmp=4" as a request; names that are no API are pools.
Result<std::string> limit_request(std::string_view text) {
  Json limits;
  Json pools;
  limits.open('{');
  pools.open('{');
  bool any = false;
  for (std::string_view rest = trim(text); !rest.empty(); rest = trim(rest)) {
    const std::string_view word = cut(rest, ' ');
    const std::size_t equals = word.rfind('=');
    if (equals == word.npos || equals == 0) {
      return Error{CW_BAD_ARGUMENT, fmt::format("'{}' is no NAME=N, as in blas=2", word)};
    }
    const std::string name(word.substr(0, equals));
    const auto count = parse_count(name, std::string(word.substr(equals + 1)));
    if (!count) return count.error();
    const bool api = std::ranges::find(kApiNames, name) != kApiNames.end();
    (api ? limits : pools).field(name, *count);
    any = true;
  }
  if (!any) return Error{CW_BAD_ARGUMENT, "nothing was limited"};
  Json json;
  json.open('{').field("request", "limit").key("limits").raw(limits.close('}').text());
  return json.key("pools").raw(pools.close('}').text()).close('}').text();
}

class Top {
 public:
  Top(const Context& context, int interval_ms) : context_(context), interval_ms_(interval_ms) {}

  int run() {
    const Terminal terminal;
    // Rates need two looks; the second comes soon.
    view_ = watch_.look();
    double next_s = view_.time_s + 0.3;
    for (;;) {
      keep_selection();
      Style style = style_for(context_.settings);
      // A line that is wider than the terminal would be two, however narrow that is.
      if (Terminal::columns() > 0) style.width = Terminal::columns();
      terminal.draw(top_screen(view_, state_, style, Terminal::rows()));
      std::array<pollfd, 2> all{{{STDIN_FILENO, POLLIN, 0}, {terminal.signals(), POLLIN, 0}}};
      const double left_ms = 1000 * (next_s - monotonic_s());
      const int ready = ::poll(all.data(), all.size(), std::max(0, static_cast<int>(left_ms)));
      if (ready < 0 && errno != EINTR) return kFailed;
      if ((all[1].revents & POLLIN) != 0 && ended(terminal.signals())) return kOk;
      if (all[0].revents != 0 && !take_keys()) return kOk;
      if (monotonic_s() < next_s) continue;
      view_ = watch_.look();
      next_s = monotonic_s() + interval_ms_ / 1000.0;
    }
  }

 private:
  static bool ended(int signals) {
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo != SIGWINCH) return true;
    }
    return false;
  }

  void keep_selection() {
    const auto& all = view_.processes;
    if (all.empty() || std::ranges::find(all, state_.selected, &WatchedProcess::pid) != all.end()) {
      return;
    }
    // The one that follows the one that is gone, if it was not the last.
    const auto next = std::ranges::upper_bound(all, state_.selected, {}, &WatchedProcess::pid);
    state_.selected = next != all.end() ? next->pid : all.back().pid;
    state_.prompt.clear();
  }

  void move(int by) {
    const auto& all = view_.processes;
    const auto at = std::ranges::find(all, state_.selected, &WatchedProcess::pid);
    const auto to = at - all.begin() + by;
    if (at != all.end() && to >= 0 && to < static_cast<std::ptrdiff_t>(all.size())) {
      state_.selected = all[static_cast<std::size_t>(to)].pid;
    }
  }

  // What each pool made of it, if it was a limit.
  std::optional<std::vector<JsonValue>> ask(const std::string& request, const std::string& done) {
    const auto answer = ask_process(state_.selected, request, kPatienceMs);
    state_.message = answer ? done : answer.error().what;
    view_ = watch_.look();
    if (!answer) return std::nullopt;
    return answer->value.items_at("outcomes");
  }

  void apply_limit() {
    const auto request = limit_request(state_.typed);
    const std::string text = state_.typed;
    state_.prompt.clear();
    if (!request) {
      state_.message = request.error().what;
      return;
    }
    const auto outcomes = ask(*request, fmt::format("limited {} to {}", state_.selected, text));
    if (!outcomes) return;
    if (outcomes->empty()) {
      state_.message = fmt::format("{}: no such pool is loaded yet, those to come get it", text);
    }
    for (const JsonValue& pool : *outcomes) {
      const std::string reason = pool.text_at("reason");
      if (!reason.empty()) state_.message = pool.text_at("runtime") + ": " + reason;
    }
  }

  void toggle_governing() {
    const auto at = std::ranges::find(view_.processes, state_.selected, &WatchedProcess::pid);
    if (at == view_.processes.end()) return;
    ask(at->governed ? "{\"request\":\"ungovern\"}" : "{\"request\":\"govern\"}",
        fmt::format("process {} is {}", at->pid, at->governed ? "not governed" : "governed"));
  }

  void type(char key) {
    if (key == '\r' || key == '\n') return apply_limit();
    if (key == 0x1b) return state_.prompt.clear();
    if ((key == 0x7f || key == '\b') && !state_.typed.empty()) state_.typed.pop_back();
    if (key >= ' ' && key < 0x7f && state_.typed.size() < 60) state_.typed += key;
  }

  // False to end.
  bool take_keys() {
    std::array<char, 64> keys;
    const ssize_t n = ::read(STDIN_FILENO, keys.data(), keys.size());
    if (n <= 0) return n < 0 && (errno == EINTR || errno == EAGAIN);
    std::string_view rest(keys.data(), static_cast<std::size_t>(n));
    while (!rest.empty()) {
      const bool up = rest.starts_with("\x1b[A") || rest.starts_with("\x1bOA");
      const bool down = rest.starts_with("\x1b[B") || rest.starts_with("\x1bOB");
      if (up || down) {
        move(up ? -1 : 1);
        rest.remove_prefix(3);
        continue;
      }
      const char key = rest.front();
      rest.remove_prefix(1);
      if (!state_.prompt.empty()) {
        type(key);
        continue;
      }
      state_.message.clear();
      if (key == 'q' || key == 'Q') return false;
      if (key == 'k' || key == 'j') move(key == 'k' ? -1 : 1);
      if (view_.processes.empty()) continue;
      if (key == 'g') toggle_governing();
      if (key == 'u') {
        ask("{\"request\":\"restore\"}", fmt::format("undid the limits of {}", state_.selected));
      }
      if (key == 'l') {
        state_.prompt = fmt::format("limit {} (blas=N openmp=N): ", state_.selected);
        state_.typed.clear();
      }
    }
    return true;
  }

  const Context& context_;
  int interval_ms_;
  ProcessWatch watch_;
  View view_;
  TopState state_;
};

View look_twice(int interval_ms) {
  ProcessWatch watch;
  watch.look();
  std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
  return watch.look();
}

int top(const Options& options, const Context& context) {
  int interval_ms = 1000;
  if (options.interval) {
    const auto seconds = parse_cpus(*options.interval);
    if (!seconds || *seconds < 0.1 || *seconds > 3600) {
      return fail(kUsage, fmt::format("top: --interval wants 0.1 to 3600 seconds, not '{}'",
                                      printable(*options.interval, false)));
    }
    interval_ms = static_cast<int>(*seconds * 1000);
  }
  if (context.settings.json) {
    write_out(view_json(look_twice(std::min(interval_ms, 500))));
    return kOk;
  }
  if (options.once) {
    TopState state;
    const View view = look_twice(std::min(interval_ms, 500));
    const Style style = style_for(context.settings);
    for (const WatchedProcess& process : view.processes) {
      state.selected = process.pid;
      if (process.pid == view.processes.back().pid) break;
    }
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
  return Top(context, interval_ms).run();
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_flag("--once", options->once, "Print one look, after half a second, and end");
  app.add_option_function<std::string>(
         "--interval", [options](const std::string& text) { options->interval = text; },
         "Seconds between looks (default: 1)")
      ->type_name("SECONDS");
  return [options](const Context& context) { return top(*options, context); };
}

}  // namespace

const Command kTop = {
    .name = "top",
    .summary = "Watch your governed processes: threads by pool, grants, oversubscription",
    .about =
        "Shows, once a second, your processes that were started by `corewise run`, that imported "
        "corewise, or that are in a ledger: how many of their threads run, the CPUs they use (100 "
        "is one), how many threads are ready to run and get no CPU (DELAY%, 100 is one thread), "
        "what the ledger granted them, and the limits set from outside. Below the list stand the "
        "pools of the selected process. SPINNING are workers that run though no region or call is "
        "under way; it can be told only where the process is governed or limited.\n"
        "\n"
        "Keys: up and down, or k and j, select; l limits, g governs, u undoes limits, q ends.",
    .example =
        "corewise top\n"
        "corewise top --once\n"
        "corewise top --json",
    .declare = declare,
};

}  // namespace corewise::cli
