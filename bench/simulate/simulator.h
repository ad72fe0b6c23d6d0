// Processes that run a recorded task on a machine of so many cores, under a policy. Goes event by
// event, and gives the same result for the same input to the last bit: no clocks, no threads, no
// library's random numbers.
#pragma once

#include <cstdint>

#include "model.h"
#include "policy.h"
#include "trace.h"

namespace corewise::simulate {

struct Scenario {
  int cores = 1;
  int processes = 1;
  // What each process does: the whole trace, so many times; or, if this is 0, so many regions, give
  // or take half, from a random place on, again and again through the trace.
  int rounds = 1;
  int regions = 0;
  // The processes wait for each other so many times, asleep, as ranks of MPI at a barrier; before
  // each of them each does `regions` regions, and the first process so many times as many.
  int barriers = 0;
  int times_of_first = 1;
  std::uint64_t seed = 1;
  Costs costs;
};

struct Outcome {
  double makespan_s = 0;
  double first_s = 0;     // when the first process had ended
  double work_s = 0;      // serial seconds of work done
  double runnable_s = 0;  // runnable threads, spinning ones included, summed over time
  long long most_runnable = 0;
  long long regions = 0;
  long long granted = 0;  // threads, summed over regions

  double utilisation(int cores) const { return work_s / (makespan_s * cores); }
  double runnable_per_core(int cores) const { return runnable_s / (makespan_s * cores); }
};

Outcome simulate(const Scenario& scenario, const Trace& trace, Policy& policy);

}  // namespace corewise::simulate
