#include "report.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/fixed_text.h"
#include "govern/grants/gate.h"
#include "govern/patch/code.h"
#include "govern/teams/bends.h"
#include "machine_state.h"
#include "os/descriptor.h"
#include "os/os.h"
#include "os/private_folder.h"

namespace corewise::death {
namespace {

constexpr std::size_t kStack = std::size_t{64} << 10;
constexpr std::size_t kTail = 2048;

// Too large for a short stack, as those of sigaltstack() are; one report is written at a time.
constinit FixedText<32768> text;
constinit std::array<char, kStack> buffer{};
constinit std::array<char, 4608> line{};  // of a maps file: addresses and the longest path
constinit std::array<char, 4096> working_folder{};

class InputFile {
 public:
  explicit InputFile(const char* path) noexcept
      : file_(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {}
  int fd() const noexcept { return file_.number(); }
  std::string_view read(std::size_t most) const noexcept {
    const ssize_t got = fd() < 0 ? -1 : ::read(fd(), buffer.data(), std::min(most, buffer.size()));
    return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
  }

 private:
  os::Descriptor file_;
};

std::uint64_t threads_of_process() noexcept {
  const std::string_view status = InputFile("/proc/self/status").read(8192);
  constexpr std::string_view kName = "\nThreads:\t";
  const std::size_t at = status.find(kName);
  std::uint64_t count = 0;
  if (at != status.npos) {
    std::from_chars(status.data() + at + kName.size(), status.data() + status.size(), count);
  }
  return count;
}

// Calls visit(begin, end, path) for each mapping.
template <class Visit>
void each_mapping(Visit visit) noexcept {
  const InputFile maps("/proc/self/maps");
  std::size_t size = 0;
  for (std::string_view part = maps.read(kStack); !part.empty(); part = maps.read(kStack)) {
    for (const char c : part) {
      if (c != '\n') {
        if (size < line.size()) line[size++] = c;
        continue;
      }
      std::uintptr_t begin = 0;
      std::uintptr_t end = 0;
      const char* const last = line.data() + size;
      const auto dash = std::from_chars(line.data(), last, begin, 16).ptr;
      if (dash < last && *dash == '-') std::from_chars(dash + 1, last, end, 16);
      const std::string_view all(line.data(), size);
      const std::size_t path = all.find('/');
      visit(begin, end, path == all.npos ? std::string_view() : all.substr(path));
      size = 0;
    }
  }
}

void name_module(std::uintptr_t code) noexcept {
  bool named = false;
  each_mapping([&](std::uintptr_t begin, std::uintptr_t end, std::string_view path) {
    if (named || code < begin || code >= end || path.empty()) return;
    named = true;
    text.field("module", path);
  });
}

// A stack may hold anything: a half-overwritten word points into a large library once in 150
// deaths.
bool is_return_address(std::uintptr_t word) noexcept {
  const auto* const machine = govern::code::native();
  if (machine == nullptr) return true;
  std::array<std::uint8_t, 8> before{};
  const iovec here{before.data(), before.size()};
  const iovec there{reinterpret_cast<void*>(word - before.size()), before.size()};
  return ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == ssize_t{before.size()} &&
         machine->ends_in_call(before);
}

// Lists the pools whose code the thread was in: every pool that a return address on its stack
// points into. Stale ones make this a hint.
void list_inside(const Scene& scene, const MachineState& state) noexcept {
  text.raw("inside", "[");
  const iovec here{buffer.data(), buffer.size()};
  const iovec there{reinterpret_cast<void*>(state.stack), buffer.size()};
  const ssize_t got = state.stack == 0 ? 0 : ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0);
  bool first = true;
  for (std::size_t id = 0; id < scene.pools.size(); ++id) {
    const ScenePool& pool = scene.pools[id];
    bool inside = pool.code.holds(state.code);
    for (ssize_t at = 0; !inside && at + 8 <= got; at += 8) {
      std::uintptr_t word = 0;
      std::memcpy(&word, buffer.data() + at, sizeof word);
      inside = pool.code.holds(word) && is_return_address(word);
    }
    if (!inside) continue;
    if (!first) text.add(",");
    first = false;
    text.digits(id);
  }
  text.add("]");
}

void list_pools(const Scene& scene) noexcept {
  text.raw("pools", "[");
  for (std::size_t id = 0; id < scene.pools.size(); ++id) {
    const ScenePool& pool = scene.pools[id];
    if (id > 0) text.add(",");
    text.add("{");
    text.add(pool.fields);
    if (pool.threads != nullptr)
      text.field("threads", static_cast<std::uint64_t>(std::max(0, *pool.threads)));
    if (pool.ran_out != nullptr) text.field("ran_out", *pool.ran_out != 0);
    if (pool.used != nullptr) text.field("used", *pool.used != 0);
    text.add("}");
  }
  text.add("]");
}

// Teams that got fewer threads than they asked for, and the libraries whose regions bend.
void list_bent(const MachineState& state) noexcept {
  const govern::gate::Tally tally = govern::gate::tally();
  if (tally.bent == 0) return;
  text.add(",\"bent\":{\"regions\":");
  text.digits(tally.bending);
  text.field("bent", tally.bent);
  text.field("from", tally.bent_from);
  text.field("to", tally.bent_to);
  text.raw("libraries", "[");
  bool first = true;
  for (const govern::Bending& bending : govern::bending_now()) {
    text.add(first ? "{\"path\":" : ",{\"path\":");
    first = false;
    text.quoted(bending.path);
    text.field("why", bending.why);
    text.field("inside", bending.code.holds(state.code));
    text.add("}");
  }
  text.add("]}");
}

// The end of standard error, if that is a file.
void quote_stderr() noexcept {
  struct stat seen{};
  if (::fstat(STDERR_FILENO, &seen) != 0 || !S_ISREG(seen.st_mode)) return;
  const InputFile file("/proc/self/fd/2");
  const auto size = static_cast<std::size_t>(seen.st_size);
  if (file.fd() < 0) return;
  ::lseek(file.fd(), static_cast<off_t>(size - std::min(size, kTail)), SEEK_SET);
  text.field("stderr", file.read(kTail));
}

// Makes PID.json in the first folder that takes it.
os::Descriptor create(const std::vector<Folder>& folders) noexcept {
  FixedText<32> name;
  name.digits(static_cast<std::uint64_t>(::getpid()));
  name.add(std::string_view(".json\0", 6));
  for (const Folder& folder : folders) {
    const os::Descriptor in(
        os::open_private_folder(folder.path.c_str(), folder.given, os::Missing::make));
    if (!in.is_open()) continue;
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    os::Descriptor made(::openat(in.number(), name.view().data(), kFlags, 0600));
    if (made.is_open()) return made;
  }
  return {};
}

}  // namespace

bool is_ended_by_a_pool(const Scene& scene, const MachineState& caller) noexcept {
  bool by_some = false;
  for (const ScenePool& pool : scene.pools) {
    if (!pool.raises_sigterm) continue;
    by_some = true;
    if (pool.code.holds(caller.code)) return true;
  }
  bool in_a_file = !by_some;
  if (!in_a_file) {
    each_mapping([&](std::uintptr_t begin, std::uintptr_t end, std::string_view path) {
      in_a_file = in_a_file || (caller.code >= begin && caller.code < end && !path.empty());
    });
  }
  return !in_a_file;
}

bool is_exit_of_a_pool(const Scene& scene, const MachineState& caller) noexcept {
  return std::ranges::any_of(scene.pools, [&](const ScenePool& pool) {
    return pool.exits && pool.code.holds(caller.code);
  });
}

bool write_report(const Scene& scene, int signal, const DeathPoint& point) noexcept {
  text.clear();
  text.add("{\"schema_version\":1");
  text.field("pid", static_cast<std::uint64_t>(::getpid()));
  text.field("program", scene.program);
  if (!scene.notebook.empty()) {
    text.field("notebook", scene.notebook);
    text.field("kernel", scene.kernel == ::getpid());
  }
  if (::syscall(SYS_getcwd, working_folder.data(), working_folder.size()) > 0) {
    text.field("folder", std::string_view(working_folder.data()));
  }
  text.field("time", static_cast<std::uint64_t>(::time(nullptr)));
  text.field("signal", static_cast<std::uint64_t>(signal));
  if (point.address) text.field("address", *point.address);
  if (point.sent) text.field("sent", true);
  std::array<char, 16> name{};
  if (::prctl(PR_GET_NAME, name.data()) == 0) text.field("thread", std::string_view(name.data()));
  text.field("threads", threads_of_process());
  text.field("governed", govern::gate::is_open());
  name_module(point.state.code);
  list_inside(scene, point.state);
  list_pools(scene);
  list_bent(point.state);
  quote_stderr();
  text.add("}\n");
  if (!text.fits() || !os::has_room(-1, text.view().size())) return false;
  const os::Descriptor file = create(scene.folders);
  return file.is_open() && ::write(file.number(), text.view().data(), text.view().size()) ==
                               static_cast<ssize_t>(text.view().size());
}

}  // namespace corewise::death
