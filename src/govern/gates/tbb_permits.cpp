#include "tbb_permits.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <span>
#include <utility>

#include "govern/grants/gate.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/threads.h"
#include "pools/pool.h"

struct cw_tcm_permit {
  corewise::govern::tbb::PermitClient client;
  void* argument = nullptr;
  const void* owner = nullptr;  // the thread that made it
  // The last request's, in workers.
  int least = 1;
  int most = 0;
  std::int32_t priority = 0;
  bool lacks = false;
  corewise::govern::gate::Tenancy tenancy;
  std::atomic<std::uint32_t> workers{0};
  cw_tcm_permit* next = nullptr;
};

namespace corewise::govern::tbb {
namespace {

constexpr std::chrono::milliseconds kPeriod{10};
constexpr std::uint32_t kNewConcurrency = 1;

struct Permits {
  cw_tcm_permit* first = nullptr;
  std::condition_variable_any changed;
  bool has_thread = false;
  bool wants_thread = true;
};

void forget_thread();

// Never destroyed: our thread runs until the process ends.
Permits& permits() {
  static Permits* const made = [] {
    os::at_fork(os::ForkRank::kTbbPermits, {.in_child = forget_thread});
    return new Permits;
  }();
  return *made;
}

void forget_thread() {
  permits().has_thread = false;
  // The parent's thread waited at it.
  new (&permits().changed) std::condition_variable_any;
}

class Lock : public std::unique_lock<os::ForkLock> {
 public:
  Lock() : std::unique_lock<os::ForkLock>(os::fork_lock(os::ForkRank::kTbbPermits)) {}
};

bool is_active(const cw_tcm_permit& permit) { return permit.workers.load() != 0; }

template <class Condition>
bool any_permit(Condition holds) {
  for (const cw_tcm_permit* each = permits().first; each != nullptr; each = each->next) {
    if (holds(*each)) return true;
  }
  return false;
}

// While an arena that comes first lacks workers, the others keep their minimum.
int most_beside_others(const cw_tcm_permit& permit) {
  const bool waits = any_permit([&](const cw_tcm_permit& other) {
    return is_active(other) && other.lacks && other.priority > permit.priority;
  });
  return waits ? permit.least : permit.most;
}

// One worker at least: workers notice that an arena has no more work.
void grant(cw_tcm_permit& permit, int threads) {
  const int cap = gate::cap_of(permit.client.pool);
  const int useful = cap == 0 ? permit.most : std::min(permit.most, cap - 1);
  const int workers = std::clamp(threads - 1, permit.least, permit.most);
  permit.lacks = workers < useful;
  permit.workers.store(static_cast<std::uint32_t>(workers));
}

void renew_all() {
  for (cw_tcm_permit* each = permits().first; each != nullptr; each = each->next) {
    if (!is_active(*each)) continue;
    const std::uint32_t before = each->workers.load();
    const auto threads = each->tenancy.renew(most_beside_others(*each) + 1, each->client.pool);
    if (!threads) continue;
    grant(*each, *threads);
    if (each->workers.load() == before || each->client.callback == nullptr) continue;
    each->client.callback(each, each->argument, kNewConcurrency);
  }
}

// Ends with the last permit. In a program that has confined itself it waits for good: a futex is
// what oneTBB's own threads wait at, and any other system call may be fatal.
void* run(void*) {
  const OwnThread ours;
  ::pthread_setname_np(::pthread_self(), "corewise");
  Lock lock;
  Permits& all = permits();
  while (all.first != nullptr || os::is_known_confined()) {
    if (any_permit(is_active) && !os::is_known_confined()) {
      all.changed.wait_for(lock, kPeriod);
      renew_all();
    } else {
      all.changed.wait(lock);
    }
  }
  all.has_thread = false;
  return nullptr;
}

// Without it a permit stays as it was granted.
void start_thread(Permits& all) {
  if (all.has_thread || !all.wants_thread || os::is_confined()) return;
  pthread_t thread{};
  if (os::start_own_thread(thread, run, nullptr) != 0) return;
  ::pthread_detach(thread);
  all.has_thread = true;
}

// Of a request and its constraints, which also hold.
std::pair<int, int> bounds_of(const cw_tcm_request& request) {
  if (request.constraints == nullptr) return {request.least, request.most};
  std::pair sum{0, 0};
  for (const auto& [least, most, mask, node, type, per_core] :
       std::span(request.constraints, request.constraint_count)) {
    sum.first += std::max(0, least);
    sum.second += most < 0 ? request.most : std::min(most, request.most);
  }
  return {std::max(request.least, sum.first), std::min(request.most, sum.second)};
}

}  // namespace

cw_tcm_permit* make_permit(const PermitClient& client, void* argument, const void* owner) {
  auto* const made = new (std::nothrow) cw_tcm_permit;
  if (made == nullptr) return nullptr;
  made->client = client;
  made->argument = argument;
  made->owner = owner;
  const Lock lock;
  made->next = std::exchange(permits().first, made);
  return made;
}

void request_permit(cw_tcm_permit& permit, const cw_tcm_request& request, const void* asker,
                    bool nested) {
  const Lock lock;
  const auto [least, most] = bounds_of(request);
  permit.most = std::max(1, most);
  permit.least = std::clamp(least, 1, permit.most);
  permit.priority = request.priority;
  if (nested) {
    permit.tenancy.leave();
    permit.lacks = false;
    permit.workers.store(static_cast<std::uint32_t>(permit.least));
    return;
  }
  // Workers ask too, when their arena starts again: then they are not callers of their own.
  const bool again = permit.owner != asker;
  grant(permit, permit.tenancy.enter(most_beside_others(permit) + 1, permit.client.pool, again));
  start_thread(permits());
  permits().changed.notify_one();
}

void deactivate_permit(cw_tcm_permit& permit) {
  const Lock lock;
  permit.tenancy.leave();
  permit.workers.store(0);
}

void release_permit(cw_tcm_permit* permit) {
  const Lock lock;
  permit->tenancy.leave();
  cw_tcm_permit** at = &permits().first;
  while (*at != permit) at = &(*at)->next;
  *at = permit->next;
  permits().changed.notify_one();
  delete permit;
}

std::uint32_t workers_of(const cw_tcm_permit& permit) { return permit.workers.load(); }

void renew_permits() {
  const Lock lock;
  renew_all();
}

void renew_by_itself(bool wanted) {
  const Lock lock;
  permits().wants_thread = wanted;
}

}  // namespace corewise::govern::tbb
