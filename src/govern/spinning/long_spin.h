// Which library's idle threads may spin for longer than it takes to wake one.
//
// They harm nobody while their caller has all the threads that it wanted. During the call those
// threads were granted anyway; shortly after it, spinning saves the next call a wake-up. So one
// library at a time may: the one with the last such call. That ends when the next library may, a
// region starts, or a call gets less than it wanted.
//
// docs/idle-pools.md has the numbers. Nothing here allocates, locks or waits.
#pragma once

#include "pools/spin_word.h"

namespace corewise::govern::long_spin {

// `word` must live for good. For a word without a longer time this is end().
void allow(const SpinWord& word);
void end();

}  // namespace corewise::govern::long_spin
