// How many job tokens a build should have, as a pure function of what its clients did with those
// that it had.
//
// The ledger counts a job token as a thread, whether a job runs on it or it lies in the fifo. So a
// build that leaves tokens there for a while keeps one more than it lately used, and none while
// others wait for threads: then one is on offer now and then, to learn that it wants more again.
#pragma once

#include <algorithm>

namespace corewise::cli::jobs {

inline constexpr int kPatienceTurns = 10;
inline constexpr int kTrialTurns = 5;

struct JobState {
  int taken = 0;        // tokens that clients hold
  int lately = 0;       // the most that they held in the last turns
  int allowed = 1;      // the build's share, and what its user allows
  int spare_turns = 0;  // turns in a row in which clients left tokens that they could have
  int turn = 0;
  bool others_wait = false;
};

// Whether the build may want more tokens than it has.
constexpr bool may_want_more(const JobState& s) { return s.spare_turns < kPatienceTurns; }

// With the implicit token of the command itself. Never below what is in use: a client cannot be
// made to return its token.
constexpr int tokens_for(const JobState& s) {
  const int used = 1 + s.taken;
  if (may_want_more(s)) return std::max(used, s.allowed);
  const int spare = !s.others_wait || s.turn % kTrialTurns == 0 ? 1 : 0;
  return std::max(used, std::min(s.allowed, 1 + s.lately + spare));
}

}  // namespace corewise::cli::jobs
