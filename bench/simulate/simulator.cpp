// All runnable threads share the cores evenly. So the clock of the events is the CPU time that each
// of them has had: it runs as fast as wall time while there is a core for each thread, and else
// slower, by cores / runnable. A thread's work ends at a fixed point of that clock.
#include "simulator.h"

#include <array>
#include <queue>
#include <vector>

namespace corewise::simulate {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
  }

 private:
  std::uint64_t state_;
};

// The workers of one pool of one process.
struct Workers {
  int present = 0;  // OpenMP only: the workers of the last team
  int spinning = 0;
  double until = 0;      // when they stop spinning
  bool watched = false;  // an event for that is queued
};

// The region that a process is in.
struct Running {
  int threads = 0;  // 0: none
  Team team;
  double work_s = 0;  // serial seconds that were left when this team began
  double began = 0;
  double ends = 0;
};

struct Process {
  std::size_t at = 0;        // step
  long long steps_left = 0;  // before it ends, or the next barrier
  int barriers_left = 0;
  std::uint64_t stamp = 0;  // of its next event; one with another stamp is out of date
  Running region;
  std::array<Workers, kPoolKinds> workers;
  // The pool whose workers have the CPUs that this process's pools share, and since when.
  PoolKind in_front = PoolKind::kNone;
  double since = 0;
};

enum class Happens { kStep, kRenewal, kSleep };

struct Event {
  double due = 0;
  std::uint64_t number = 0;
  int process = 0;
  Happens what = Happens::kStep;
  PoolKind pool = PoolKind::kNone;  // whose workers go to sleep
  std::uint64_t stamp = 0;

  bool operator<(const Event& other) const {  // for a queue whose top is the greatest
    return due != other.due ? due > other.due : number > other.number;
  }
};

class Simulation {
 public:
  Simulation(const Scenario& scenario, const Trace& trace, Policy& policy)
      : scenario_(scenario),
        trace_(trace),
        policy_(policy),
        processes_(static_cast<std::size_t>(scenario.processes)) {}

  Outcome run() {
    for (int i = 0; i < scenario_.processes; ++i) start(i);
    while (living_ > 0) {
      const Event event = events_.top();
      events_.pop();
      if (event.what != Happens::kSleep && event.stamp != of(event).stamp) continue;
      advance(event.due);
      if (event.what == Happens::kSleep) {
        stop_spinning(event);
      } else if (event.what == Happens::kRenewal) {
        renew_region(event.process);
      } else if (of(event).region.threads > 0) {
        end_region(event.process);
      } else {
        begin_region(event.process);
      }
    }
    outcome_.makespan_s = wall_;
    return outcome_;
  }

 private:
  Process& of(const Event& event) { return processes_[static_cast<std::size_t>(event.process)]; }

  void schedule(double cpu_seconds, int process) {
    const std::uint64_t stamp = processes_[static_cast<std::size_t>(process)].stamp;
    events_.push({cpu_ + cpu_seconds, numbers_++, process, Happens::kStep, PoolKind::kNone, stamp});
  }

  void schedule_sleep(double cpu_seconds, int process, PoolKind pool) {
    events_.push({cpu_ + cpu_seconds, numbers_++, process, Happens::kSleep, pool, 0});
  }

  double pace() const {
    return runnable_ > scenario_.cores
               ? static_cast<double>(scenario_.cores) / static_cast<double>(runnable_)
               : 1;
  }

  void advance(double due) {
    const double took = (due - cpu_) / pace();
    wall_ += took;
    outcome_.runnable_s += took * static_cast<double>(runnable_);
    cpu_ = due;
  }

  void add_runnable(long long more) {
    runnable_ += more;
    outcome_.most_runnable = std::max(outcome_.most_runnable, runnable_);
  }

  void start(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    const auto steps = static_cast<std::uint64_t>(trace_.steps.size());
    process.steps_left = static_cast<long long>(steps) * scenario_.rounds;
    if (scenario_.regions > 0) {
      Random random(scenario_.seed * 1'000'003 + static_cast<std::uint64_t>(number));
      const auto mean = static_cast<std::uint64_t>(scenario_.regions);
      process.at = random.below(steps);
      process.steps_left = 1 + scenario_.regions / 2;
      process.steps_left += static_cast<long long>(random.below(mean));
    }
    if (scenario_.barriers > 0) {
      process.barriers_left = scenario_.barriers;
      process.steps_left = steps_to_barrier(number);
    }
    ++living_;
    add_runnable(1);
    schedule(trace_.steps[process.at].before_s, number);
  }

  long long steps_to_barrier(int number) const {
    return static_cast<long long>(scenario_.regions) * (number == 0 ? scenario_.times_of_first : 1);
  }

  void begin_region(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    const Step& step = trace_.steps[process.at];
    if (step.pool == PoolKind::kNone) return next_step(number);
    const int granted = policy_.enter(number, scenario_.cores, wall_, runnable_);
    ++outcome_.regions;
    outcome_.granted += granted;
    process.region = {.threads = granted, .team = {}, .work_s = step.work_s, .began = cpu_};
    process.region.ends = cpu_ + gather(process, step);
    schedule(process.region.ends - cpu_, number);
    if (step.pool != PoolKind::kNone) schedule_renewal(number);
  }

  // Puts the team together. Returns the CPU seconds that each of its threads needs.
  double gather(Process& process, const Step& step) {
    const Costs& costs = scenario_.costs;
    Running& region = process.region;
    const bool openmp = step.pool == PoolKind::kOpenmp;
    region.team = {region.threads, trace_.pieces, 0, 0};
    Team& team = region.team;
    if (!openmp) {
      const double pieces = costs.least_call > 0 ? step.work_s / costs.least_call : 1e6;
      team.pieces = static_cast<int>(std::clamp(pieces, 1.0, 1e6));
      if (team.pieces == 1) team.threads = 1;
    }
    region.threads = team.threads;
    if (team.threads == 1) return step.work_s;
    Workers& workers = process.workers[static_cast<std::size_t>(step.pool)];
    const int wanted = team.threads - 1;
    if (openmp) {
      team.created = std::max(0, wanted - workers.present);
      workers.present = wanted;
    }
    team.woken = std::max(0, wanted - team.created - workers.spinning);
    set_spinning(workers, openmp, 0);
    add_runnable(wanted);
    return stall(process, step.pool) + team_seconds(costs, team, step.work_s);
  }

  void schedule_renewal(int number) {
    const double period = policy_.renewal_s();
    const Process& process = processes_[static_cast<std::size_t>(number)];
    if (period == 0 || process.region.ends - cpu_ < period * pace()) return;
    events_.push({cpu_ + period * pace(), numbers_++, number, Happens::kRenewal, PoolKind::kNone,
                  process.stamp});
  }

  // Work that is left goes on with what the region is granted now. Workers that leave sleep.
  void renew_region(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    Running& region = process.region;
    policy_.leave(number);
    const int granted = policy_.enter(number, scenario_.cores, wall_, runnable_);
    const int before = region.threads;
    const int now = region.team.pieces == 1 ? 1 : granted;
    if (now != before) {
      region.work_s *= (region.ends - cpu_) / (region.ends - region.began);
      region.threads = now;
      region.team = {now, region.team.pieces, std::max(0, now - before), 0};
      region.began = cpu_;
      region.ends = cpu_ + team_seconds(scenario_.costs, region.team, region.work_s);
      add_runnable(now - before);
      ++process.stamp;
      schedule(region.ends - cpu_, number);
    }
    schedule_renewal(number);
  }

  // In CPU seconds of each thread. Beside the spinning workers of its other pools a process waits
  // when it turns to another pool, and whenever a slice is over; beside other processes it waits
  // at each region.
  double stall(Process& process, PoolKind pool) {
    const Costs& costs = scenario_.costs;
    std::array<long long, 2> spinning = spinning_;
    const bool in_front = pool == process.in_front && cpu_ - process.since < costs.slice;
    if (in_front) {
      for (std::size_t i = 0; i < process.workers.size(); ++i) {
        spinning[static_cast<PoolKind>(i) == PoolKind::kOpenmp] -= process.workers[i].spinning;
      }
    }
    Runnable all;
    all.working = runnable_ - spinning_[0] - spinning_[1];
    all.spinning = spinning[0] + spinning[1];
    all.spin = std::max(spinning[0] > 0 ? policy_.spin().blas : 0,
                        spinning[1] > 0 ? policy_.spin().openmp : 0);
    const double waits = stall_seconds(costs, all, scenario_.cores) * pace();
    if (!in_front) {
      process.in_front = pool;
      process.since = cpu_ + waits;
    }
    return waits;
  }

  void set_spinning(Workers& workers, bool openmp, int count) {
    spinning_[openmp] += count - workers.spinning;
    add_runnable(count - workers.spinning);
    workers.spinning = count;
  }

  void end_region(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    const Step& step = trace_.steps[process.at];
    policy_.leave(number);
    const int threads = process.region.threads;
    if (threads > 1) {
      Workers& workers = process.workers[static_cast<std::size_t>(step.pool)];
      const bool openmp = step.pool == PoolKind::kOpenmp;
      add_runnable(1 - threads);
      set_spinning(workers, openmp, threads - 1);
      workers.until = cpu_ + (openmp ? policy_.spin().openmp : policy_.spin().blas);
      if (!workers.watched) {
        schedule_sleep(workers.until - cpu_, number, step.pool);
        workers.watched = true;
      }
    }
    process.region = {};
    ++process.stamp;
    next_step(number);
  }

  void next_step(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    const Step& done = trace_.steps[process.at];
    outcome_.work_s += done.before_s + done.work_s;
    process.at = (process.at + 1) % trace_.steps.size();
    if (--process.steps_left > 0) return schedule(trace_.steps[process.at].before_s, number);
    if (process.barriers_left > 0) return wait_for_others(number);
    end(number);
  }

  // The last to come wakes all.
  void wait_for_others(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    --process.barriers_left;
    process.steps_left = steps_to_barrier(number);
    add_runnable(-1);
    if (++waiting_ < scenario_.processes) return;
    waiting_ = 0;
    const bool was_last = process.barriers_left == 0;
    for (int i = 0; i < scenario_.processes; ++i) {
      add_runnable(1);
      if (was_last) {
        end(i);
      } else {
        const Process& each = processes_[static_cast<std::size_t>(i)];
        schedule(trace_.steps[each.at].before_s, i);
      }
    }
  }

  void end(int number) {
    Process& process = processes_[static_cast<std::size_t>(number)];
    policy_.ended(number);
    if (number == 0) outcome_.first_s = wall_;
    --living_;
    for (std::size_t i = 0; i < process.workers.size(); ++i) {
      set_spinning(process.workers[i], static_cast<PoolKind>(i) == PoolKind::kOpenmp, 0);
    }
    add_runnable(-1);
  }

  void stop_spinning(const Event& event) {
    Workers& workers = of(event).workers[static_cast<std::size_t>(event.pool)];
    workers.watched = workers.spinning > 0 && workers.until > cpu_;
    if (workers.watched) return schedule_sleep(workers.until - cpu_, event.process, event.pool);
    set_spinning(workers, event.pool == PoolKind::kOpenmp, 0);
  }

  const Scenario& scenario_;
  const Trace& trace_;
  Policy& policy_;
  std::vector<Process> processes_;
  std::priority_queue<Event> events_;
  std::uint64_t numbers_ = 0;
  double cpu_ = 0;
  double wall_ = 0;
  long long runnable_ = 0;
  std::array<long long, 2> spinning_{};  // of these, workers of BLAS and of OpenMP without work
  int living_ = 0;
  int waiting_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome simulate(const Scenario& scenario, const Trace& trace, Policy& policy) {
  return Simulation(scenario, trace, policy).run();
}

}  // namespace corewise::simulate
