// What a region costs on a machine: the formulas of docs/simulation.md, which says where each
// number comes from. Pure.
#pragma once

#include <algorithm>

namespace corewise::simulate {

// Seconds. "One worker" is the worker of a team of two threads.
struct Costs {
  double slice = 4e-3;        // for which a thread runs before another one gets its CPU
  double team = 0.6e-6;       // to start and join one worker that spins
  double member = 0.1e-6;     // each further worker
  double wake = 25e-6;        // one worker that sleeps
  double wake_more = 2e-6;    // each further sleeping worker
  double create = 7e-6;       // a worker that libgomp's pool does not have yet
  double least_call = 20e-6;  // the least work that OpenBLAS gives a thread
};

// How long workers without work spin before they sleep.
struct Spin {
  double openmp = 0;
  double blas = 0;
};

inline constexpr Spin kInstalled = {4.5e-3, 0.1};
inline constexpr Spin kUnderRun = {0.45e-3, 25e-6};

// A region's team as it starts.
struct Team {
  int threads = 1;
  int pieces = 1;  // into which the work can be divided
  int woken = 0;   // workers that were asleep
  int created = 0;
};

// CPU seconds of each thread of a team that does `work` serial seconds.
constexpr double team_seconds(const Costs& costs, const Team& team, double work) {
  if (team.threads <= 1) return work;
  double all = work / std::min(team.threads, team.pieces);
  all += costs.team + costs.member * (team.threads - 2);
  if (team.woken > 0) all += costs.wake + costs.wake_more * (team.woken - 1);
  return all + costs.create * team.created;
}

// The threads that a team meets, its own among those that work.
struct Runnable {
  long long working = 0;
  long long spinning = 0;
  double spin = 0;  // how long those spin before they sleep
};

// How long, in wall time, a team waits for a member that has no CPU: until all threads before it on
// that CPU have used up their slices, or sleep.
constexpr double stall_seconds(const Costs& costs, const Runnable& all, int cores) {
  const auto rounds = [cores](long long threads) {
    return std::max(1LL, (threads + cores - 1) / cores);
  };
  const long long of_work = rounds(all.working);
  const long long of_spin = rounds(all.working + all.spinning) - of_work;
  return costs.slice * static_cast<double>(of_work - 1) +
         std::min(costs.slice, all.spin) * static_cast<double>(of_spin);
}

}  // namespace corewise::simulate
