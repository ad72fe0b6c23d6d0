// Idle threads that spin take a core from threads that have work, and a ledger cannot see them.
// While this is installed, they spin for about as long as it takes to wake one, then sleep.
//
// docs/idle-pools.md has what was tried, and the numbers. We only shorten: a lower value that the
// program or its user set stays. The libraries read the words at each turn of their loops, so
// threads that already spin stop too.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pools/pool.h"

namespace corewise::govern::idle_pools {

// Every pool known now; call it again when more were discovered. It asks libraries: the caller must
// not hold any lock but govern's (govern.cpp says why). Returns a sentence for each pool that goes
// on as it was, and why.
std::vector<std::string> install();

// Gives each library back what it had. A word that somebody else has set since stays as it is:
// returns a sentence for each.
std::vector<std::string> remove();

// Where the pool keeps how long its idle threads spin; nothing if that was not found.
std::optional<SpinWord> word_of(const Pool& pool);

// The variable that says the same to libraries not loaded yet, unless the user has set it.
struct SpinVariable {
  const char* name;
  const char* value;
  // Left alone if one of these is set: the user has said the same in other words, or lets the
  // library print the variable. Null: no more.
  std::array<const char*, 2> unless;
  const char* marker;  // set to the value too, so that we do not take it for the user's
};
std::span<const SpinVariable> variables();

}  // namespace corewise::govern::idle_pools
