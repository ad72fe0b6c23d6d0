// Sleeping until a word changes, within the process. Takes no lock and allocates nothing, so that
// hooks may use it; after a fork there is nothing to put right.
#pragma once

#include <atomic>

namespace corewise::os {

// Returns when woken, when `word` no longer holds `value`, or for no reason.
void wait(const std::atomic<int>& word, int value);

// Wakes up to `threads` sleepers. Only the address is used: the word may be gone already.
void wake(const std::atomic<int>* word, int threads);

}  // namespace corewise::os
