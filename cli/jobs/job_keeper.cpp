#include "job_keeper.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "govern/ledger/ledger_identity.h"

namespace corewise::cli {
namespace {

// GNU make writes this one; clients return what they got.
constexpr char kToken = '+';

int bytes_in(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// Reads up to `most` bytes away; how many.
int drain(int fd, int most) {
  std::array<char, 256> bytes;
  int all = 0;
  while (all < most) {
    const auto room = std::min(bytes.size(), static_cast<std::size_t>(most - all));
    const ssize_t got = ::read(fd, bytes.data(), room);
    if (got <= 0) break;
    all += static_cast<int>(got);
  }
  return all;
}

bool has_ended(int pid, std::uint64_t began) {
  const auto stat = govern::stat_of(static_cast<std::uint32_t>(pid));
  return stat.identity.pid == 0 || stat.ended || stat.start_ticks != began;
}

}  // namespace

JobKeeper::JobKeeper(govern::Ledger& ledger, PoolEnds ends, int most, int bound, int hard)
    : ledger_(ledger),
      ends_(ends),
      most_(most),
      bound_(bound),
      hard_(hard),
      grant_(ledger.change({}, 1)) {}

// Counts what is in the pool and what clients hold. They go on meanwhile: whatever they take from
// now on is counted already.
void JobKeeper::see_clients() {
  if (ends_.back >= 0) out_ -= drain(ends_.back, govern::kMaxBudget);
  offered_ = bytes_in(ends_.take);
  // Somebody returned more than was taken.
  if (offered_ > out_ && ends_.back < 0)
    offered_ -= drain(ends_.take, offered_ - std::max(0, out_));
  out_ = std::max(out_, offered_);
  state_.taken = out_ - offered_;
}

// What clients did since the last turn of the clock. Turns between, at a returned token, do not
// count.
void JobKeeper::count_turn(int lately_taken) {
  const std::uint64_t now = now_ms();
  int& slot = taken_lately_[static_cast<std::size_t>(state_.turn) % taken_lately_.size()];
  slot = std::max(slot, lately_taken);
  // An empty pool says that they may want more only if there was something in it.
  if (left_ > 0 && offered_ == 0) state_.spare_turns = 0;
  if (now < turned_at_ms_ + kTurnMs) return;
  turned_at_ms_ = now;
  if (offered_ > 0) ++state_.spare_turns;
  ++state_.turn;
  taken_lately_[static_cast<std::size_t>(state_.turn) % taken_lately_.size()] = lately_taken;
}

int JobKeeper::allowed(const govern::Standing& standing) const {
  return std::min({standing.share, most_, ledger_.has_chosen_budget() ? hard_ : bound_});
}

void JobKeeper::turn() {
  see_clients();
  count_turn(state_.taken);
  state_.lately = *std::ranges::max_element(taken_lately_);
  const bool asks = jobs::may_want_more(state_) || state_.lately > 0;
  const govern::Standing standing = ledger_.standing(grant_, asks);
  state_.allowed = allowed(standing);
  state_.others_wait = standing.others_wait;
  const int wanted = jobs::tokens_for(state_);
  // Out of the pool before the ledger has them back, and into it only once the ledger gave them.
  take_out(1 + out_ - wanted);
  grant_ = ledger_.change(grant_, std::max(wanted, 1 + out_));
  put_in(grant_.threads - 1 - out_);
  left_ = offered_;
  owed_ = 1 + out_ > state_.allowed;
}

void JobKeeper::take_out(int tokens) {
  if (tokens <= 0) return;
  const int got = drain(ends_.take, tokens);
  out_ -= got;
  offered_ = std::max(0, offered_ - got);
}

void JobKeeper::put_in(int tokens) {
  for (; tokens > 0 && ::write(ends_.put, &kToken, 1) == 1; --tokens) {
    ++out_;
    ++offered_;
  }
}

void keep_jobs(JobKeeper& keeper, const PoolEnds& ends, int pid, int watch, std::uint64_t began) {
  while (true) {
    keeper.turn();
    const int returned = ends.back >= 0 ? ends.back : keeper.is_owed() ? ends.take : -1;
    std::array<pollfd, 2> wait = {{{watch, POLLIN, 0}, {returned, POLLIN, 0}}};
    ::poll(wait.data(), wait.size(), JobKeeper::kTurnMs);
    if (watch >= 0 ? wait[0].revents != 0 : has_ended(pid, began)) return;
  }
}

}  // namespace corewise::cli
