#include "policy.h"

#include <limits>
#include <optional>

namespace corewise::simulate {

using namespace govern;

// What the product keeps in a process: Ledger's claim and caller, Granter's neighbours.
struct Governed::Process {
  Claim claim = 0;
  std::uint64_t claim_again_ms = 0;
  Caller caller;
  Neighbours neighbours;
  int held = 0;
  bool hungry = false;
  bool ended = false;
};

namespace {
// Clocks of real machines do not start at 0 either.
constexpr std::uint64_t kBootedMs = 1000;
}  // namespace

Life Governed::World::life(Word word, bool) const noexcept {
  return (processes[identity(word).pid - 1].ended) ? Life::gone : Life::runs;
}

Governed::Governed(const Options& options, const Spin& spin)
    : Policy(spin),
      options_(options),
      shared_(std::make_unique<Shared>()),
      processes_(std::make_unique<Process[]>(static_cast<std::size_t>(options.processes))),
      protocol_(*shared_, world_) {
  shared_->budget.store(static_cast<std::uint32_t>(options.budget));
  world_.processes = processes_.get();
}

Governed::~Governed() = default;

std::atomic<std::uint32_t>& Governed::hungry_of(const Process& process) {
  return shared_->records[place_of(process.claim)].hungry;
}

int Governed::enter(int process, int wanted, double now_s, long long runnable) {
  if (wanted <= 1) return 1;  // as the gate does
  Process& me = processes_[static_cast<std::size_t>(process)];
  const std::uint64_t now = kBootedMs + static_cast<std::uint64_t>(now_s * 1e3);
  world_.now = now;
  int useful = std::min(wanted, options_.budget);
  if (options_.sees_neighbours) {
    const auto total = [this] { return protocol_.total(); };
    const auto told = [runnable]() -> std::optional<int> {
      return static_cast<int>(std::min<long long>(runnable, std::numeric_limits<int>::max()));
    };
    useful =
        std::min(useful, me.neighbours.left(now, options_.cores, options_.budget, total, told));
  }
  const int weight = weight_of(process);
  int callers = weight;
  if (options_.recent.enabled) {
    callers = shared_->recent.enter(me.caller, now, options_.recent, weight);
  }
  if (me.claim == 0 && now >= me.claim_again_ms) {
    const auto pid = static_cast<std::uint32_t>(process) + 1;
    me.claim = protocol_.claim(pack({pid, 0, 0}));
    if (me.claim == 0) {
      me.claim_again_ms = now + kClaimAgainMs;
    } else {
      shared_->records[place_of(me.claim)].weight.store(static_cast<std::uint32_t>(weight));
    }
  }
  int limit = useful;
  if (options_.recent.enabled && me.claim != 0) {
    if (options_.counts_hungry) callers = std::max(callers, protocol_.hungry() + weight);
    limit = std::min(limit, options_.recent.share(options_.budget, callers, weight));
  }
  int got = 1;
  if (me.claim != 0) {
    const int least = std::min(useful, protocol_.left_of(me.claim, options_.part));
    me.held = got = protocol_.take(me.claim, limit, least, kMaxBudget, options_.part);
    granted_ += got;
    me.hungry = got < useful;
    hungry_of(me) += me.hungry ? 1 : 0;
  }
  me.neighbours.got(got);
  if (got < std::min(wanted, options_.budget) && granted_ < options_.budget) ++held_back_;
  return got;
}

void Governed::leave(int process) {
  Process& me = processes_[static_cast<std::size_t>(process)];
  if (me.held == 0) return;
  protocol_.give_back(me.claim, me.held);
  granted_ -= me.held;
  hungry_of(me) -= me.hungry ? 1 : 0;
  me.held = 0;
}

void Governed::ended(int process) { processes_[static_cast<std::size_t>(process)].ended = true; }

}  // namespace corewise::simulate
