// Facts (libgomp/libgomp.h, team.c, pool.h, GCC 4.4 to 15): a thread's `thread_pool` is null until
// its first region. A pool begins with the array of its threads, that array's size, and how many
// entries are in use; the first team of two or more makes the array, and only newer versions put
// the master into its first place. An idle worker keeps the pool in its own `thread_pool`. Nested
// teams, even inside teams of one, do not use the pool. Counts and tasks are not part of it. glibc
// keeps the dead workers' stacks, which hold these variables, for threads to come.
#include "dead_workers.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <span>

#include "govern/grants/gate.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/patch.h"

namespace corewise::govern::dead_workers {
namespace {

using Word = std::uintptr_t;

struct WatchedCopy {
  os::ThreadLocals variables;
  int (*level)() = nullptr;
  // In the child of a fork: the word that the forking thread could not clear yet.
  std::atomic<Word*> left_over{nullptr};
};
constinit std::array<WatchedCopy, kMostCopies> copies;

// How a pool begins.
struct LibgompPool {
  Word threads;
  std::uint32_t size;
  std::uint32_t used;
};

const Word* read(Word at) {
  if (at % sizeof(Word) != 0 || !os::is_readable(at)) return nullptr;
  return reinterpret_cast<const Word*>(at);
}

// The pool holds an address for each worker. Returns how many words behind that address the worker
// has the same word: at most as many as from the start of this thread's variables, since the
// worker's start there or before.
std::optional<std::size_t> distance_to_same(Word worker, const Word& word,
                                            std::span<const Word> variables) {
  const auto most = static_cast<std::size_t>(&word - variables.data());
  for (std::size_t i = 0; i <= most; ++i) {
    const Word* const own = read(worker + i * sizeof(Word));
    if (own == nullptr) return std::nullopt;
    if (*own == word) return i;
  }
  return std::nullopt;
}

// Checking more proves nothing more.
constexpr std::uint32_t kEnough = 64;

bool is_pool(const Word& word, std::span<const Word> variables) {
  if (read(word) == nullptr || read(word + sizeof(Word)) == nullptr) return false;
  const auto* const pool = reinterpret_cast<const LibgompPool*>(word);
  if (pool->used < 2 || pool->used >= pool->size) return false;
  for (std::size_t i = 0; i < std::min(pool->used, kEnough); ++i) {
    const Word* const thread = read(pool->threads + i * sizeof(Word));
    if (thread == nullptr) return false;
    const bool own = *thread >= reinterpret_cast<Word>(variables.data()) &&
                     *thread < reinterpret_cast<Word>(&word);
    if (own || distance_to_same(*thread, word, variables)) return true;
  }
  return false;
}

Word* find_pool(std::span<Word> variables) {
  for (Word& word : variables) {
    if (is_pool(word, variables)) return &word;
  }
  return nullptr;
}

// For a pool that is_pool() accepted: whether none of its workers is a live thread.
bool is_dead(const Word& word, std::span<const Word> variables) {
  const auto places = os::thread_places();
  if (!places) return false;
  const auto* const pool = reinterpret_cast<const LibgompPool*>(word);
  for (std::size_t i = 1; i < std::min(pool->used, kEnough); ++i) {
    const Word* const worker = read(pool->threads + i * sizeof(Word));
    const auto distance =
        worker != nullptr ? distance_to_same(*worker, word, variables) : std::nullopt;
    if (!distance) return false;
    const Word same = *worker + *distance * sizeof(Word);
    const Word place = same + (places->own - reinterpret_cast<Word>(&word));
    if (std::ranges::find(places->all, place) != places->all.end()) return false;
  }
  return true;
}

void leave(WatchedCopy& copy, Word* word) {
  const bool inside = copy.level() > 0;
  copy.left_over.store(inside ? word : nullptr, std::memory_order_relaxed);
  if (word != nullptr && !inside) *word = 0;
}

// Finds the word now, even where it cannot be cleared yet: threads that the child starts may get
// the stacks of the dead ones.
void in_child() {
  if (!gate::is_open()) return;
  for (WatchedCopy& copy : copies) {
    if (copy.level != nullptr) leave(copy, find_pool(os::own_copy(copy.variables)));
  }
}

}  // namespace

void watch(std::size_t index, std::uintptr_t base, int (*level)()) {
  os::at_fork(os::ForkRank::kLibgompPools, {.in_child = in_child});
  WatchedCopy& copy = copies[index];
  copy.variables = os::thread_locals(base);
  copy.level = level;
  // A child may be governed only from now on. Its main thread is the one that forked.
  if (level == nullptr || !os::is_main_thread()) return;
  const std::span<Word> variables = os::own_copy(copy.variables);
  Word* const word = find_pool(variables);
  if (word != nullptr && is_dead(*word, variables)) leave(copy, word);
}

void before_region(std::size_t index) {
  WatchedCopy& copy = copies[index];
  Word* const word = copy.left_over.load(std::memory_order_relaxed);
  if (word == nullptr || copy.level() > 0) return;
  const std::span<Word> variables = os::own_copy(copy.variables);
  if (word < variables.data() || word >= variables.data() + variables.size()) return;
  copy.left_over.store(nullptr, std::memory_order_relaxed);
  *word = 0;
}

}  // namespace corewise::govern::dead_workers
