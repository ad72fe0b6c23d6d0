// How the threads of an OpenMP team wait for each other: while others want the CPUs, they sleep at
// once, and while the program is alone they spin. A team that is wider than its grant hurts only by
// how it waits: a thread that spins keeps the CPU from the one it waits for.
//
// libgomp has one word for all teams, which a thread reads at the start of each wait, and another
// that it reads instead while the process has more threads than CPUs. We set both before each
// region, so that of several threads the last one wins: a wrong word costs the next wait some time,
// never more. LLVM's runtimes have a number for each thread (an ICV), handed to the
// team at the fork; we lower it for one region, and restore it after. Threads that already wait do
// not see it.
//
// If the user said how to wait, we touch nothing. docs/idle-pools.md has the numbers. Except for
// add_word(), add_blocktime() and give_back(), nothing here allocates, locks or waits.
#pragma once

#include <cstddef>
#include <optional>

#include "govern/grants/gate.h"
#include "govern/teams/thread_caps.h"
#include "os/uncancelled.h"
#include "pools/spin_word.h"

namespace corewise::govern::waiting {

using thread_caps::kMostCopies;

// LLVM's functions for the number, in milliseconds.
using GetBlocktime = int();
using SetBlocktime = void(int);

// How copy number `copy` of the runtimes is told; without either, it waits as it likes. Before its
// first hook runs, and not at the same time as give_back(). Again for a copy: the same.
void add_word(std::size_t copy, const SpinWord& word);
struct BlocktimeCalls {
  GetBlocktime* get = nullptr;
  SetBlocktime* set = nullptr;
  int (*processors)() = nullptr;  // as the runtime counts them
};
void add_blocktime(std::size_t copy, const BlocktimeCalls& calls);

// Sets all words to what they hold for a program that is alone; no region changes them after this.
void give_back();

// What we show the program in place of the lowered number.
struct Blocktime {
  bool lowered = false;
  int own = 0;
};

// Sets the copy's words for a region that is about to start.
void turn_words(std::size_t copy, const gate::Visit& visit);

// Does the same, and lowers the forking thread's number until the region ends.
class Region {
 public:
  Region(std::size_t copy, const gate::Visit& visit) : copy_(copy) {
    turn_words(copy, visit);
    if (visit.governed && visit.crowded && visit.threads > 1) lower(visit.threads);
  }
  ~Region() {
    if (lowered_) raise();
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // For each thread of the team.
  const Blocktime& blocktime() const { return blocktime_; }

  // LLVM's runtimes sleep in a cancellation point, where the forking thread would have spun: for
  // the program's part of the region. Null: the thread waits as ever.
  os::Uncancelled* uncancelled() { return uncancelled_ ? &*uncancelled_ : nullptr; }

 private:
  void lower(int threads);
  void raise() const;

  std::size_t copy_;
  bool lowered_ = false;
  Blocktime blocktime_;
  std::optional<os::Uncancelled> uncancelled_;
};

// For the life of the object its thread is in a team that waits this way.
class Member {
 public:
  explicit Member(const Blocktime& team);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

 private:
  Blocktime before_;
};

// The calling thread's.
const Blocktime& blocktime();

// The program sets the calling thread's number, and is shown the true one from then on.
void number_set(std::size_t copy);

}  // namespace corewise::govern::waiting
