// Fact: se.exec_start of /proc/PID/sched, where the kernel has it, is when the thread last ran, in
// milliseconds since the machine was started.
#include "ledger_holders.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.h"
#include "ledger_identity.h"
#include "ledger_shm.h"
#include "os/machine.h"
#include "os/os.h"

namespace corewise::govern {
namespace {

std::string folder_of(int pid) { return "/proc/" + std::to_string(pid); }

std::optional<double> number_after(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == text.npos) return std::nullopt;
  std::string_view rest = text.substr(at + name.size());
  std::string_view number = cut(rest, '\n');
  // A file cut short may end before the number.
  number.remove_prefix(std::min(number.find_first_not_of(" :"), number.size()));
  return parse_positive(trim(number));
}

std::string program_of(const os::Machine& machine, int pid) {
  constexpr std::size_t kMost = 60;
  std::string text = machine.read(folder_of(pid) + "/cmdline").text;
  std::ranges::replace(text, '\0', ' ');
  text = std::string(trim(text));
  return text.size() > kMost ? text.substr(0, kMost - 3) + "..." : text;
}

Holder describe(const os::Machine& machine, Word word) {
  const int pid = static_cast<int>(identity(word).pid);
  const Life life = life_of(word, true);
  Holder holder{pid, tokens(word), HolderState::kRuns, {}, {}};
  if (life == Life::gone) {
    holder.state = HolderState::kGone;
    return holder;
  }
  holder.program = program_of(machine, pid);
  if (life == Life::stopped) {
    const bool stopped = parse_stat(machine.read(folder_of(pid) + "/stat").text).stopped;
    holder.state = stopped ? HolderState::kStopped : HolderState::kFrozen;
    holder.idle_s = idle_of(machine, pid);
  }
  return holder;
}

using Mapped = std::unique_ptr<const Shared, Unmap>;

bool has_living(const Shared& shared) {
  return std::ranges::any_of(shared.words, [](const std::atomic<Word>& word) {
    return word.load() != 0 && life_of(word.load(), true) != Life::gone;
  });
}

// Whether a line of /proc/PID/maps has both. Another folder may have a file of the same name.
bool maps_file(std::string_view maps, std::string_view name, std::uint64_t inode) {
  const std::string number = " " + std::to_string(inode) + " ";
  while (!maps.empty()) {
    const std::string_view line = cut(maps, '\n');
    if (line.ends_with(name) && line.find(number) != line.npos) return true;
  }
  return false;
}

}  // namespace

std::optional<double> idle_of(const os::Machine& machine, int pid) {
  std::string uptime = machine.read("/proc/uptime").text;
  uptime = uptime.substr(0, uptime.find(' '));
  const auto now_s = parse_positive(uptime);
  const auto ran_ms = number_after(machine.read(folder_of(pid) + "/sched").text, "se.exec_start");
  if (!now_s || !ran_ms) return std::nullopt;
  return std::max(0.0, *now_s - 1e-3 * *ran_ms);
}

std::optional<std::vector<UserProcess>> processes_with(const std::string& path) {
  std::vector<UserProcess> found;
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) return found;
  const std::vector<std::string> processes = os::names_in("/proc");
  if (processes.empty()) return std::nullopt;
  for (const std::string& name : processes) {
    struct stat info{};
    const std::string folder = "/proc/" + name;
    const auto pid = parse_integer(name);
    if (!pid || ::stat(folder.c_str(), &info) != 0 || info.st_uid != ::geteuid()) continue;
    const auto maps = os::read_file(folder + "/maps");
    if (!maps || !maps_file(*maps, file_name(path), file.st_ino)) continue;
    found.push_back(
        {static_cast<int>(*pid), stat_of(static_cast<std::uint32_t>(*pid)).start_ticks});
  }
  return found;
}

std::string program_name(int pid) { return program_of(os::LiveMachine(), pid); }

std::vector<HeldLedger> held_ledgers(const std::string& directory) {
  const os::LiveMachine machine;
  std::vector<HeldLedger> ledgers;
  for (const std::string& path : ledger_files(directory)) {
    const Mapped shared(map_for_reading(path));
    if (!shared || shared->header.pid_namespace != pid_namespace()) continue;
    HeldLedger ledger;
    ledger.path = path;
    ledger.budget = budget_in(*shared);
    for (const std::atomic<Word>& each : shared->words) {
      const Word word = each.load();
      if (word == 0) continue;
      ledger.members.push_back(static_cast<int>(identity(word).pid));
      if (tokens(word) == 0) continue;
      ledger.holders.push_back(describe(machine, word));
    }
    ledgers.push_back(std::move(ledger));
  }
  return ledgers;
}

void sweep_ledgers(const std::string& directory, std::string_view keep) {
  for (const std::string& path : ledger_files(directory)) {
    if (path == keep) continue;
    Mapped shared(map_for_reading(path));
    if (!shared || shared->header.pid_namespace != pid_namespace() || has_living(*shared)) continue;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      // processes_with() would find our own mapping: unmap it first.
      const bool used = has_living(*shared);
      shared.reset();
      const auto mapping = processes_with(path);
      if (!used && mapping && mapping->empty()) ::unlink(path.c_str());
    }
    ::close(fd);
  }
}

}  // namespace corewise::govern
