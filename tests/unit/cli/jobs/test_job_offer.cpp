#include <doctest/doctest.h>

#include "jobs/job_offer.h"

namespace corewise::cli::jobs {

TEST_CASE("a build that may want more is offered all that it is allowed") {
  CHECK(tokens_for({.allowed = 8}) == 8);
  CHECK(tokens_for({.taken = 3, .lately = 3, .allowed = 8}) == 8);
  CHECK(tokens_for({.allowed = 1}) == 1);
}

TEST_CASE("what clients hold stays, whatever is allowed by now") {
  CHECK(tokens_for({.taken = 5, .lately = 5, .allowed = 2}) == 6);
  CHECK(tokens_for({.taken = 5, .lately = 5, .allowed = 2, .spare_turns = 99}) == 6);
}

TEST_CASE("a build that leaves tokens keeps one more than it used") {
  CHECK(tokens_for({.taken = 2, .lately = 3, .allowed = 64, .spare_turns = kPatienceTurns}) == 5);
  CHECK(tokens_for({.taken = 2, .lately = 3, .allowed = 4, .spare_turns = kPatienceTurns}) == 4);
  CHECK(tokens_for({.allowed = 64, .spare_turns = kPatienceTurns}) == 2);
}

TEST_CASE("while others wait, one is on offer now and then alone") {
  JobState state{.allowed = 8, .spare_turns = kPatienceTurns, .others_wait = true};
  int offered = 0;
  for (state.turn = 0; state.turn < 4 * kTrialTurns; ++state.turn) offered += tokens_for(state) - 1;
  CHECK(offered == 4);
}

}  // namespace corewise::cli::jobs
