// Idle threads that spin take a core from whoever has work, and a ledger cannot see them. While
// this is installed, they spin for about as long as it takes to wake one, then sleep.
//
// docs/idle-pools.md has what was tried, and the numbers. Only ever shorter: what the program or
// its user set to less stays. The libraries read the words at each turn of their loops, so that
// threads which spin already stop too.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pools/pool.h"

namespace corewise::govern::idle_pools {

struct SpinReport {
  std::size_t shortened = 0;
  std::vector<std::string> left;  // a sentence for each pool that goes on as it was, and why
};

// Every pool loaded now; again whenever more were discovered. No lock may be held.
SpinReport install();

// Gives each library back what it had. A word that somebody else has set since is left so.
SpinReport remove();

// Where the pool keeps how long its idle threads spin; nothing if that was not found.
std::optional<SpinWord> word_of(const Pool& pool);

// What says the same to libraries that are not loaded yet, where the user has not set it.
struct Variable {
  const char* name;
  const char* value;
  const char* unless;  // where the user has said the same in other words; null: nowhere else
  const char* marker;  // set to the value too, so that it is not taken for the user's
};
std::span<const Variable> variables();

}  // namespace corewise::govern::idle_pools
