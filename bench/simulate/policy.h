// Who decides how many threads a region gets: nobody, a fixed limit, or the product's own ledger.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "govern/grants/run_queue.h"
#include "govern/ledger/ledger_protocol.h"
#include "model.h"

namespace corewise::simulate {

class Policy {
 public:
  explicit Policy(const Spin& spin) : spin_(spin) {}
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  virtual ~Policy() = default;

  // A process starts a region. Returns how many of the wanted threads it gets, at least 1.
  virtual int enter(int process, int wanted, double now_s, long long runnable) = 0;
  virtual void leave(int /*process*/) {}
  // How often a running region asks again, as if a new one began; 0: never.
  virtual double renewal_s() const { return 0; }
  virtual void ended(int /*process*/) {}

  const Spin& spin() const { return spin_; }

 private:
  Spin spin_;
};

// What a process gets that sets nothing (`most` is the machine), or one limit for all.
class Fixed : public Policy {
 public:
  Fixed(int most, const Spin& spin) : Policy(spin), most_(most) {}
  int enter(int, int wanted, double, long long) override { return std::min(wanted, most_); }

 private:
  int most_;
};

// Each process its own limit, the first another than the rest.
class Shares : public Policy {
 public:
  Shares(int of_first, int of_others, const Spin& spin)
      : Policy(spin), of_first_(of_first), of_others_(of_others) {}
  int enter(int process, int wanted, double, long long) override {
    return std::min(wanted, process == 0 ? of_first_ : of_others_);
  }

 private:
  int of_first_;
  int of_others_;
};

// `corewise run`: the protocol, the recent callers and the neighbours are the product's code; only
// the clock, the deaths and /proc/loadavg are the simulator's.
class Governed : public Policy {
 public:
  struct Options {
    int budget = 1;
    int cores = 1;
    int processes = 1;
    govern::RecentCallersPolicy recent = {};
    bool sees_neighbours = true;  // if not, as with --budget beyond the machine
    int weight_of_first = govern::kUsualWeight;
    int part = 1;         // of each process, as of a rank of MPI
    bool renews = false;  // as an arena of oneTBB does
    // If not, only processes that asked lately count as callers: the rule before this simulator.
    bool counts_hungry = true;
  };
  Governed(const Options& options, const Spin& spin);
  ~Governed() override;

  int enter(int process, int wanted, double now_s, long long runnable) override;
  void leave(int process) override;
  void ended(int process) override;
  double renewal_s() const override { return options_.renews ? 0.01 : 0; }

  // Threads granted now, except those of processes without a place.
  int granted() const { return granted_; }
  // Regions that got fewer than they wanted while some were free.
  long long held_back() const { return held_back_; }

 private:
  struct Process;
  struct World {
    static void step() noexcept {}
    govern::Life life(govern::Word word, bool closely) const noexcept;
    std::uint64_t now_ms() const noexcept { return now; }
    std::uint64_t now = 0;
    const Process* processes = nullptr;
  };

  std::atomic<std::uint32_t>& hungry_of(const Process& process);
  int weight_of(int process) const {
    return process == 0 ? options_.weight_of_first : govern::kUsualWeight;
  }

  Options options_;
  std::unique_ptr<govern::Shared> shared_;
  std::unique_ptr<Process[]> processes_;
  World world_;
  govern::Protocol<World> protocol_;
  int granted_ = 0;
  long long held_back_ = 0;
};

}  // namespace corewise::simulate
