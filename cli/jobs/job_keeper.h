// Keeps a jobserver's pool filled with as many job tokens as the ledger has for the build, until
// the build's command has ended. It is a process of its own beside the command (jobserver.h).
//
// The ledger counts every token that lies in the pool or is with a client, and the command's
// implicit one. The keeper takes back what lies in the pool when the build's share falls; what is
// with a client, only once the client returns it. A client that dies with its token, or never
// returns it, leaves that one counted until the command has ended; the other tokens, and the
// implicit one, go on.
#pragma once

#include <array>
#include <cstdint>

#include "govern/ledger/ledger.h"
#include "job_offer.h"

namespace corewise::cli {

// The keeper's ends of the pool. None of them blocks.
struct PoolEnds {
  int take = -1;  // tokens that no client has
  int put = -1;
  // Where clients return tokens, if that is another pipe: then the keeper, and not the next client,
  // is the first to get what is returned. With a fifo, clients return to where they take from.
  int back = -1;
};

class JobKeeper {
 public:
  // `most`: jobs that the build's user allows; `bound` and `hard` as in OwnBudget: `most`, `hard`.
  JobKeeper(govern::Ledger& ledger, PoolEnds ends, int most, int bound, int hard);

  // Looks at what the clients did and at the ledger, and fills or empties the pool.
  void turn();

  // Whether clients hold more than the build's share: then whatever is returned should be taken.
  bool is_owed() const { return owed_; }

  static constexpr int kTurnMs = 20;

 private:
  void see_clients();
  void count_turn(int lately_taken);
  int allowed(const govern::Standing& standing) const;
  void take_out(int tokens);
  void put_in(int tokens);

  govern::Ledger& ledger_;
  PoolEnds ends_;
  int most_;
  int bound_;
  int hard_;
  govern::Grant grant_;
  int out_ = 0;      // tokens in the pool or with clients
  int offered_ = 0;  // of these, in the pool
  int left_ = 0;     // in the pool at the end of the last turn
  bool owed_ = false;
  jobs::JobState state_;
  std::array<int, jobs::kPatienceTurns> taken_lately_{};
  std::uint64_t turned_at_ms_ = 0;
};

// Runs until the process has ended. `watch` is os::watch_end() of it, or -1; `began` are the clock
// ticks at which it started.
void keep_jobs(JobKeeper& keeper, const PoolEnds& ends, int pid, int watch, std::uint64_t began);

}  // namespace corewise::cli
