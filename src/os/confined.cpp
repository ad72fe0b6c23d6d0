#include "confined.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "fork.h"
#include "os.h"
#include "own_descriptor.h"
#include "uncancelled.h"

namespace corewise::os {
namespace {

struct Filters {
  int mode = 0;   // of /proc/PID/status: "Seccomp"
  int count = 0;  // "Seccomp_filters", from Linux 5.9 on: a container has some from the start
  friend bool operator==(const Filters&, const Filters&) = default;
};

constinit OwnDescriptor status{};
constinit std::atomic<bool> watched{false};
constinit std::atomic<bool> confined{false};
constinit Filters before{};

int number_after(std::string_view text, std::string_view name) noexcept {
  int value = 0;
  const std::size_t at = text.find(name);
  if (at != text.npos) {
    std::from_chars(text.data() + at + name.size(), text.data() + text.size(), value);
  }
  return value;
}

// False if the program has closed the file.
bool read(Filters& filters) noexcept {
  const Uncancelled uncancelled;
  std::array<char, 4096> text;
  const int reason = errno;
  const ssize_t size = ::pread(status.own(), text.data(), text.size(), 0);
  errno = reason;
  if (size <= 0) return false;
  const std::string_view all(text.data(), static_cast<std::size_t>(size));
  filters = {number_after(all, "\nSeccomp:\t"), number_after(all, "\nSeccomp_filters:\t")};
  return true;
}

// Opens the calling process's own file: the kernel resolves /proc/self at open().
void open_own() noexcept {
  const Uncancelled uncancelled;
  if (!status.adopt(::open("/proc/self/status", O_RDONLY | O_CLOEXEC))) return;
  watched.store(read(before));
}

}  // namespace

void watch_confinement() {
  static const bool kOnce = [] {
    open_own();
    const auto before_fork = [] { static_cast<void>(is_confined()); };
    const auto in_child = [] {
      if (!watched.load() || confined.load()) return;
      status.close();
      open_own();
    };
    os::at_fork(ForkRank::kConfinement, {.before = before_fork, .in_child = in_child});
    return true;
  }();
  static_cast<void>(kOnce);
}

bool is_confined() noexcept {
  if (!watched.load() || confined.load()) return confined.load();
  Filters now;
  if (read(now) && now == before) return false;
  confined.store(true);
  return true;
}

}  // namespace corewise::os
