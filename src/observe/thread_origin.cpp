#include "thread_origin.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

#include "base/blocked_signals.h"
#include "base/text.h"
#include "os/descriptor.h"
#include "os/os.h"
#include "pools/discover.h"

namespace corewise::observe {
namespace {

// More than any glibc's block has been, and more threads than one process has.
constexpr std::size_t kBlock = 4096;
constexpr std::size_t kMostThreads = 65536;

using Bytes = std::array<std::byte, kBlock>;

class OwnMemory {
 public:
  // How much could be read.
  std::size_t read(std::uintptr_t at, void* to, std::size_t size) const {
    const int fd = file_.number();
    const ssize_t n = fd < 0 ? -1 : ::pread(fd, to, size, static_cast<off_t>(at));
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

 private:
  os::Descriptor file_{::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)};
};

template <class T>
T value_in(const Bytes& block, std::size_t offset) {
  T value;
  std::memcpy(reinterpret_cast<void*>(&value), block.data() + offset, sizeof value);
  return value;
}

// Offsets into the block; the links of the list stand just before the id.
struct Layout {
  std::size_t tid = 0;
  std::size_t function = 0;
  std::size_t links() const { return tid - 2 * sizeof(std::uintptr_t); }
};

struct Probe {
  std::optional<Layout> layout;
  std::uintptr_t list = 0;  // the address of the list's own links, which belong to no thread
};

struct Node {
  std::uintptr_t next = 0;
  int tid = 0;
  std::uintptr_t function = 0;
  std::uintptr_t argument = 0;
};

std::optional<Node> node_at(const OwnMemory& memory, const Layout& layout, std::uintptr_t links) {
  Bytes block{};
  const std::size_t first = std::min(layout.links(), layout.function);
  const std::size_t argument = layout.function + sizeof(std::uintptr_t);
  const std::size_t size = std::max(layout.tid, argument) + sizeof(std::uintptr_t) - first;
  if (memory.read(links - layout.links() + first, block.data() + first, size) != size) {
    return std::nullopt;
  }
  return Node{value_in<std::uintptr_t>(block, layout.links()), value_in<int>(block, layout.tid),
              value_in<std::uintptr_t>(block, layout.function),
              value_in<std::uintptr_t>(block, argument)};
}

bool is_libstdcxx(std::uintptr_t address, const std::vector<os::LoadedModule>& all) {
  return std::ranges::any_of(all, [&](const os::LoadedModule& module) {
    return file_name(module.path).starts_with("libstdc++.so") && module.contains(address);
  });
}

bool lies_in_a_module(std::uintptr_t address, const std::vector<os::LoadedModule>& all) {
  return std::ranges::any_of(
      all, [&](const os::LoadedModule& module) { return module.contains(address); });
}

void* find_own_record(void* argument);

std::optional<Layout> layout_of(const OwnMemory& memory, std::uintptr_t self,
                                const void* argument) {
  Bytes block{};
  const std::size_t size = memory.read(self, block.data(), block.size());
  Layout layout;
  for (std::size_t at = 2 * sizeof(std::uintptr_t); at + sizeof(int) <= size; at += sizeof(int)) {
    if (value_in<int>(block, at) != os::own_thread_id()) continue;
    layout.tid = at;
    const auto next = value_in<std::uintptr_t>(block, layout.links());
    std::array<std::uintptr_t, 2> theirs{};
    const bool linked = memory.read(next, theirs.data(), sizeof theirs) == sizeof theirs &&
                        theirs[1] == self + layout.links();
    if (linked) break;
    layout.tid = 0;
  }
  if (layout.tid == 0) return std::nullopt;
  constexpr std::size_t kWord = sizeof(std::uintptr_t);
  for (std::size_t at = 0; at + 2 * kWord <= size; at += kWord) {
    if (value_in<std::uintptr_t>(block, at) != reinterpret_cast<std::uintptr_t>(&find_own_record) ||
        value_in<const void*>(block, at + kWord) != argument) {
      continue;
    }
    layout.function = at;
    return layout;
  }
  return std::nullopt;
}

// Runs in our own thread.
void* find_own_record(void* argument) {
  auto& probe = *static_cast<Probe*>(argument);
  const OwnMemory memory;
  const auto self = static_cast<std::uintptr_t>(::pthread_self());
  const auto layout = layout_of(memory, self, argument);
  if (!layout) return nullptr;
  const std::vector<os::LoadedModule> all = modules();
  const std::uintptr_t own = self + layout->links();
  std::uintptr_t links = own;
  for (std::size_t i = 0; i < kMostThreads; ++i) {
    std::uintptr_t next = 0;
    if (memory.read(links, &next, sizeof next) != sizeof next || next == own) return nullptr;
    links = next;
    if (!lies_in_a_module(links, all)) continue;
    probe.list = links;
    probe.layout = layout;
    return nullptr;
  }
  return nullptr;
}

Probe find_out() {
  Probe probe;
  const BlockedSignals blocked;
  pthread_t thread{};
  if (::pthread_create(&thread, nullptr, find_own_record, &probe) == 0) {
    ::pthread_join(thread, nullptr);
  }
  return probe;
}

}  // namespace

std::unordered_map<int, std::uintptr_t> thread_origins() {
  static const Probe kProbe = find_out();
  std::unordered_map<int, std::uintptr_t> origins;
  if (!kProbe.layout) return origins;
  const OwnMemory memory;
  const std::vector<os::LoadedModule> all = modules();
  std::uintptr_t links = 0;
  if (memory.read(kProbe.list, &links, sizeof links) != sizeof links) return origins;
  for (std::size_t i = 0; i < kMostThreads && links != kProbe.list; ++i) {
    const auto node = node_at(memory, *kProbe.layout, links);
    if (!node) break;
    links = node->next;
    if (node->tid <= 0 || node->function == 0) continue;
    std::uintptr_t& origin = origins[node->tid];
    origin = node->function;
    std::uintptr_t table = 0;
    if (is_libstdcxx(origin, all) &&
        memory.read(node->argument, &table, sizeof table) == sizeof table &&
        lies_in_a_module(table, all)) {
      origin = table;
    }
  }
  return origins;
}

}  // namespace corewise::observe
