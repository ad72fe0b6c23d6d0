// Takes the whole terminal while the object lives, and gives it back as it was.
#pragma once

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

// Sets the terminal up for top and restores it. Signals that end or stop us arrive as bytes.
class Terminal {
 public:
  Terminal() {
    ::tcgetattr(STDIN_FILENO, &before_);
    enter();
    sigset_t watched;
    ::sigemptyset(&watched);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) {
      ::sigaddset(&watched, signal);
    }
    ::sigprocmask(SIG_BLOCK, &watched, &mask_);
    signals_ = ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~Terminal() {
    leave();
    ::close(signals_);
    ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int signals() const { return signals_; }

  // Stops this process as Ctrl-Z does, with the shell's screen back while it is stopped.
  void stop() {
    leave();
    ::raise(SIGSTOP);
    enter();
  }

  // One write for each frame, so that the user never sees half of one.
  static void draw(const std::vector<std::string>& lines) {
    std::string frame = "\x1b[?2026h\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i) {
      frame += lines[i] + "\x1b[K" + (i + 1 < lines.size() ? "\r\n" : "");
    }
    write_out(frame + "\x1b[J\x1b[?2026l");
  }

  static int rows() {
    const winsize size = seen();
    return size.ws_row > 0 ? size.ws_row : 24;
  }

  // 0 if the terminal does not tell.
  static int columns() { return seen().ws_col; }

 private:
  static winsize seen() {
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size : winsize{};
  }
  void enter() {
    termios raw = before_;
    raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write_out("\x1b[?1049h\x1b[?25l");
  }
  void leave() {
    write_out("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

  termios before_{};
  sigset_t mask_{};
  int signals_ = -1;
};

}  // namespace corewise::cli
