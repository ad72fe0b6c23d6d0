// Which library's idle threads may spin for longer than it takes to wake one.
//
// They harm nobody while their caller has all the threads that it wanted. During the call those
// threads were granted anyway; shortly after it, spinning saves the next call a wake-up. So one
// library at a time has the token: the one with the last such call. It loses the token to the next
// one, and as soon as a region starts or a call gets less than it wanted.
//
// docs/idle-pools.md has the numbers. Nothing here allocates, locks or waits.
#pragma once

#include "pools/spin_word.h"

namespace corewise::govern::spin_token {

// `word` must live for good. A word without a longer time gets no token: the holder loses it.
void take(const SpinWord& word);
void give_up();

}  // namespace corewise::govern::spin_token
