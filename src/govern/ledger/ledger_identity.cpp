#include "ledger_identity.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <span>

#include "base/keep_errno.h"
#include "base/text.h"
#include "os/confined.h"
#include "os/os.h"
#include "os/uncancelled.h"

namespace corewise::govern {
namespace {

// Fields of proc(5)'s stat, counted as there.
constexpr std::size_t kFieldState = 3;
constexpr std::size_t kFieldThreads = 20;
constexpr std::size_t kFieldStart = 22;
constexpr std::size_t kFieldStartCode = 26;
constexpr std::size_t kFieldEndCode = 27;
constexpr std::size_t kFieldStartStack = 28;

// Longest stat line: 52 numbers of at most 20 digits and a name of at most 64 bytes.
constexpr std::size_t kStatBytes = 1536;

constexpr std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ x >> 31) * 0x9e3779b97f4a7c15U;
  return x ^ x >> 29;
}

// The path of a process's file in /proc, written by hand: snprintf may lock and allocate.
class ProcPath {
 public:
  ProcPath(std::uint32_t pid, std::string_view file) {
    constexpr std::string_view kBefore = "/proc/";
    char* at = std::copy(kBefore.begin(), kBefore.end(), path_.data());
    at = std::to_chars(at, path_.data() + path_.size(), pid).ptr;
    *at++ = '/';
    at = std::copy(file.begin(), file.end(), at);
    *at = '\0';
  }
  const char* c_str() const { return path_.data(); }

 private:
  std::array<char, 32> path_{};
};

// For hooks: not where the program has confined itself, nor where its thread may be cancelled.
std::string_view read_carefully(const char* path, std::span<char> buffer) {
  if (os::is_confined()) return {};
  const os::Uncancelled uncancelled;
  return os::read_into(path, buffer);
}

ProcessStat read_stat(const char* path) {
  std::array<char, kStatBytes> text;
  return parse_stat(read_carefully(path, text));
}

// The kernel functions in which threads of a frozen cgroup wait (version 2, inlined or not, and 1).
// Their state in stat is that of sleep. A reader who may not know the name gets 0.
bool is_frozen(std::uint32_t pid) {
  constexpr std::array<std::string_view, 3> kPlaces = {"get_signal", "do_freezer_trap",
                                                       "__refrigerator"};
  std::array<char, 64> text;
  const std::string_view place = read_carefully(ProcPath(pid, "wchan").c_str(), text);
  return std::ranges::find(kPlaces, place) != kPlaces.end();
}

std::uint64_t namespace_of(const char* path) {
  const KeepErrno keep;
  struct stat info{};
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

// Whether /proc shows this process under the pid that it knows itself by. In a pid namespace that
// was entered without a /proc of its own (`unshare --pid --fork`, bwrap) it does not: there what
// /proc says of a pid is about another process. The answer is kept, with the pid that it is about.
bool is_proc_ours() {
  static constinit std::atomic<std::uint64_t> known{0};
  const auto pid = static_cast<std::uint32_t>(os::own_process());
  std::uint64_t answer = known.load(std::memory_order_relaxed);
  if (answer >> 1 != pid) {
    const std::uint32_t shown = read_stat("/proc/self/stat").identity.pid;
    if (shown == 0) return false;  // it could not be read, now
    answer = std::uint64_t{pid} << 1 | (shown == pid ? 1 : 0);
    known.store(answer, std::memory_order_relaxed);
  }
  return (answer & 1) != 0;
}

}  // namespace

ProcessStat parse_stat(std::string_view text) noexcept {
  // The name, in parentheses, may itself hold parentheses and spaces.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return {};
  std::array<std::string_view, kFieldStartStack + 1> fields{};
  std::size_t at = name_end + 1;
  for (std::size_t field = kFieldState; field < fields.size(); ++field) {
    at = text.find_first_not_of(' ', at);
    if (at == std::string_view::npos) return {};
    const std::size_t end = std::min(text.find(' ', at), text.size());
    fields[field] = text.substr(at, end - at);
    at = end;
  }

  ProcessStat stat;
  stat.identity.pid = static_cast<std::uint32_t>(leading_number(text.substr(0, text.find(' '))));
  const std::uint64_t start = leading_number(fields[kFieldStart]);
  stat.start_ticks = start;
  if (start != 0) stat.identity.start = static_cast<std::uint32_t>(start % 0x3ffff + 1);
  // Every exec draws a new address layout. A reader who may not know it gets a stack at 0.
  if (const std::uint64_t stack = leading_number(fields[kFieldStartStack])) {
    const std::uint64_t code =
        leading_number(fields[kFieldStartCode]) ^ leading_number(fields[kFieldEndCode]) << 1;
    const std::uint64_t image = scramble(stack ^ scramble(code));
    stat.identity.image = static_cast<std::uint32_t>(image % 0xff + 1);
  }
  // The state is the first thread's; others may live on after it.
  const bool zombie = fields[kFieldState] == "Z" || fields[kFieldState] == "X";
  stat.ended = zombie && leading_number(fields[kFieldThreads]) <= 1;
  stat.stopped = fields[kFieldState] == "T" || fields[kFieldState] == "t";
  stat.asleep = fields[kFieldState] == "S" || fields[kFieldState] == "D";
  return stat;
}

ProcessStat stat_of(std::uint32_t pid) noexcept { return read_stat(ProcPath(pid, "stat").c_str()); }

Identity own_identity() noexcept {
  const KeepErrno keep;
  Identity own = read_stat("/proc/self/stat").identity;
  const auto pid = static_cast<std::uint32_t>(os::own_process());
  if (own.pid != pid) own = {};
  own.pid = pid;
  return own;
}

Life life_of(Word word, bool closely) noexcept {
  const KeepErrno keep;
  const Identity who = identity(word);
  if (who.pid == 0) return Life::gone;
  // To ask may be fatal. Others in the group find out.
  if (os::is_confined()) return Life::runs;
  if (kill(static_cast<pid_t>(who.pid), 0) != 0 && errno == ESRCH) return Life::gone;
  if (!closely || !is_proc_ours()) return Life::runs;
  const ProcessStat now = stat_of(who.pid);
  if (now.identity.pid != who.pid) return Life::runs;
  const bool nobodys = who.start == 0 && now.identity.start != 0;
  if (now.ended || nobodys || contradict(now.identity, who)) return Life::gone;
  const bool stopped = now.stopped || (now.asleep && tokens(word) > 0 && is_frozen(who.pid));
  return stopped ? Life::stopped : Life::runs;
}

bool belongs_to(Word word, uid_t user) noexcept {
  const KeepErrno keep;
  struct stat info{};
  if (os::is_confined() || !is_proc_ours() ||
      stat(ProcPath(identity(word).pid, {}).c_str(), &info) != 0)
    return true;
  return info.st_uid == user;
}

std::uint64_t pid_namespace() noexcept { return namespace_of("/proc/self/ns/pid"); }
// Of the calling thread: a first thread that has ended has no time namespace any more.
std::uint64_t time_namespace() noexcept { return namespace_of("/proc/thread-self/ns/time"); }

}  // namespace corewise::govern
