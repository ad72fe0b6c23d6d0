#include "top_session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "limit_prompt.h"
#include "reach/question.h"
#include "screen/keys.h"
#include "screen/terminal.h"
#include "shell/exit_codes.h"
#include "top_screen.h"

namespace corewise::cli {
namespace {

using control::Request;

constexpr double kPatience_s = 30;

class Session {
 public:
  Session(const Settings& settings, int interval_ms)
      : settings_(settings), interval_s_(interval_ms / 1000.0) {}

  int run() {
    Terminal terminal;
    // Rates need two views; the second comes soon.
    take_view(0.3);
    for (;;) {
      take_answer();
      keep_selection();
      terminal.draw(top_screen(view_, state_, style_here(), Terminal::rows()));
      const int asked = question_ ? question_->fd() : -1;
      std::array<pollfd, 3> all{
          {{STDIN_FILENO, POLLIN, 0}, {terminal.signals(), POLLIN, 0}, {asked, POLLIN, 0}}};
      const double left_ms = 1000 * (next_s_ - now_s());
      const int ready = ::poll(all.data(), all.size(), std::max(0, static_cast<int>(left_ms)));
      if (ready < 0 && errno != EINTR) return kFailed;
      if ((all[1].revents & POLLIN) != 0 && ended(terminal)) return kOk;
      if (all[0].revents != 0 && !take_keys()) return kOk;
      if (now_s() >= next_s_) take_view(interval_s_);
    }
  }

 private:
  static bool ended(Terminal& terminal) {
    signalfd_siginfo info{};
    while (::read(terminal.signals(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGTSTP) {
        terminal.stop();
      } else if (info.ssi_signo != SIGWINCH) {
        return true;
      }
    }
    return false;
  }

  Style style_here() const {
    Style style = style_for(settings_);
    // A line wider than the terminal would take two rows, so use its width, however narrow.
    if (Terminal::columns() > 0) style.width = Terminal::columns();
    return style;
  }

  void take_view(double next_in_s) {
    view_ = watch_.next();
    next_s_ = now_s() + next_in_s;
    if (!view_.has_rates) return;
    constexpr double kMinute_s = 61;
    std::erase_if(state_.history,
                  [&](const Load& old) { return old.time_s < view_.time_s - kMinute_s; });
    state_.history.push_back(load_of(view_));
  }

  std::vector<const WatchedProcess*> rows() const {
    return listed(view_, state_.order, state_.filter);
  }

  // Until the user chooses, the first process is selected: it matters most.
  void keep_selection() {
    const auto all = rows();
    if (all.empty()) return;
    const auto at = std::ranges::find(all, state_.selected, &WatchedProcess::pid);
    if (at != all.end() && chosen_) return;
    if (state_.typing == TopState::Typing::limit) return;
    state_.selected = all.front()->pid;
    chosen_ = false;
  }

  // Of those that the screen shows.
  const WatchedProcess* selected() const {
    const auto all = rows();
    const auto at = std::ranges::find(all, state_.selected, &WatchedProcess::pid);
    return at != all.end() ? *at : nullptr;
  }

  // The selected process, if the user chose it. Until then another one may be the first as the key
  // is pressed: this key only chooses, and says what it `does` when it is pressed again.
  const WatchedProcess* chosen(const char* does) {
    const WatchedProcess* process = selected();
    if (process == nullptr || chosen_) return process;
    chosen_ = true;
    state_.message = fmt::format("press again to {} {} {}", does, process->pid, process->name);
    return nullptr;
  }

  void move(std::ptrdiff_t by) {
    const auto all = rows();
    const auto at = std::ranges::find(all, state_.selected, &WatchedProcess::pid);
    if (at == all.end()) return;
    const auto last = static_cast<std::ptrdiff_t>(all.size()) - 1;
    const auto to = std::clamp<std::ptrdiff_t>(at - all.begin() + by, 0, last);
    state_.selected = all[static_cast<std::size_t>(to)]->pid;
    chosen_ = true;
  }

  // One question at a time; `done` is the message once the process has answered.
  void ask(const Request& request, const std::string& done) {
    chosen_ = true;
    question_ = std::make_unique<Question>(state_.selected, request);
    done_ = done;
    state_.message = fmt::format("process {} is asked ...", state_.selected);
  }

  void take_answer() {
    if (!question_) return;
    const auto answer = question_->take();
    if (!answer && question_->age_s() < kPatience_s) return;
    question_.reset();
    if (!answer) {
      state_.message = "the process does not answer";
      return;
    }
    state_.message = *answer ? done_ : (*answer).error().what;
    if (*answer && !limited_.empty()) {
      const std::string else_said = outcome_of_limit(control::LimitAnswer::read((*answer)->value));
      if (!else_said.empty()) state_.message = else_said;
    }
    take_view(interval_s_);
  }

  void apply_limit() {
    const auto request = limit_request(state_.typed);
    state_.typing = TopState::Typing::nothing;
    if (!request) {
      state_.message = request.error().what;
      return;
    }
    limited_ = state_.typed;
    ask(*request, fmt::format("limited {} to {}", state_.selected, limited_));
  }

  void toggle_governing() {
    const WatchedProcess* process = selected();
    if (process == nullptr) return;
    if (chosen(process->governed ? "end governing" : "govern") == nullptr) return;
    limited_.clear();
    ask({.command = process->governed ? Request::Command::kUngovern : Request::Command::kGovern},
        fmt::format("process {} is {}", process->pid,
                    process->governed ? "not governed" : "governed"));
  }

  void undo_limits() {
    if (chosen("undo the limits of") == nullptr) return;
    limited_.clear();
    ask({.command = Request::Command::kRestore},
        fmt::format("undid the limits of {}", state_.selected));
  }

  void begin_typing(TopState::Typing what) {
    state_.typing = what;
    state_.typed = what == TopState::Typing::filter ? state_.filter : std::string();
  }

  void type(const Key& key) {
    const bool filters = state_.typing == TopState::Typing::filter;
    std::string& typed = state_.typed;
    const char c = key.kind == Key::Kind::character ? key.character : '\0';
    if (key.kind == Key::Kind::escape) {
      state_.typing = TopState::Typing::nothing;
      if (filters) state_.filter.clear();
      return;
    }
    if (c == '\r' || c == '\n') {
      if (!filters) return apply_limit();
      state_.typing = TopState::Typing::nothing;
      return;
    }
    if ((c == 0x7f || c == '\b') && !typed.empty()) typed.pop_back();
    if (c >= ' ' && c < 0x7f && typed.size() < 60) typed += c;
    if (filters) state_.filter = typed;
  }

  // Returns false to quit.
  bool take_character(char c) {
    switch (c) {
      case 'q':
      case 'Q':
        return false;
      case '?':
      case 'h':
        state_.help = 0;
        break;
      case 'k':
      case 'j':
        move(c == 'k' ? -1 : 1);
        break;
      case 's':
        state_.order = next_order(state_.order);
        state_.message = fmt::format("sorted by {}", words_for(state_.order));
        break;
      case '/':
        begin_typing(TopState::Typing::filter);
        break;
      case 'g':
        toggle_governing();
        break;
      case 'u':
        undo_limits();
        break;
      case 'l':
        if (selected() != nullptr) begin_typing(TopState::Typing::limit);
        break;
      default:
        break;
    }
    return true;
  }

  // Any other key goes back.
  void scroll_help(Key::Kind key) {
    const bool up = key == Key::Kind::up || key == Key::Kind::page_up;
    const bool down = key == Key::Kind::down || key == Key::Kind::page_down;
    const bool page = key == Key::Kind::page_up || key == Key::Kind::page_down;
    const std::size_t by = page ? static_cast<std::size_t>(page_of(Terminal::rows())) : 1;
    if (up) {
      *state_.help -= std::min(*state_.help, by);
    } else if (down) {
      *state_.help = std::min(*state_.help + by, last_help_line(style_here(), Terminal::rows()));
    } else {
      state_.help.reset();
    }
  }

  bool take_key(const Key& key) {
    constexpr std::ptrdiff_t kAll = 1 << 22;
    const std::ptrdiff_t page = page_of(Terminal::rows());
    if (state_.help) {
      scroll_help(key.kind);
      return true;
    }
    if (state_.typing != TopState::Typing::nothing) {
      type(key);
      return true;
    }
    state_.message.clear();
    switch (key.kind) {
      case Key::Kind::character:
        return take_character(key.character);
      case Key::Kind::up:
        move(-1);
        break;
      case Key::Kind::down:
        move(1);
        break;
      case Key::Kind::page_up:
        move(-page);
        break;
      case Key::Kind::page_down:
        move(page);
        break;
      case Key::Kind::home:
        move(-kAll);
        break;
      case Key::Kind::end:
        move(kAll);
        break;
      case Key::Kind::escape:
        state_.filter.clear();
        break;
      case Key::Kind::other:
        break;
    }
    return true;
  }

  // Returns false to quit.
  bool take_keys() {
    std::array<char, 64> bytes;
    const ssize_t n = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (n <= 0) return n < 0 && (errno == EINTR || errno == EAGAIN);
    std::string_view rest(bytes.data(), static_cast<std::size_t>(n));
    while (!rest.empty()) {
      if (!take_key(next_key(rest))) return false;
    }
    return true;
  }

  const Settings& settings_;
  double interval_s_;
  double next_s_ = 0;
  ProcessWatch watch_;
  View view_;
  TopState state_;
  bool chosen_ = false;  // the user chose the selected process
  std::unique_ptr<Question> question_;
  std::string done_;
  std::string limited_;  // the typed limit, if the question is about one
};

}  // namespace

int run_top(const Settings& settings, int interval_ms) {
  return Session(settings, interval_ms).run();
}

}  // namespace corewise::cli
