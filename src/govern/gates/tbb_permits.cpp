#include "tbb_permits.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
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
  const void* maker = nullptr;  // the thread that made it
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

constexpr int kPeriodMs = 10;
constexpr std::uint32_t kNewConcurrency = 1;
constexpr const char* kOwnName = "corewise";

struct Permits {
  cw_tcm_permit* first = nullptr;
  std::atomic<std::uint32_t> changes{0};  // what our thread waits at
  bool has_thread = false;
  bool wants_thread = true;
  // Of the thread that started ours.
  sigset_t signals{};
  std::array<char, 16> name{};

  void tell_thread() {
    changes.fetch_add(1);
    os::wake_one(changes);
  }
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

void forget_thread() { permits().has_thread = false; }

class Lock : public std::unique_lock<os::ForkLock> {
 public:
  Lock() : std::unique_lock<os::ForkLock>(os::fork_lock(os::ForkRank::kTbbPermits)) {}
};

bool is_active(const cw_tcm_permit& permit) { return permit.workers.load() != 0; }

// Not within a region that was counted already.
bool is_renewed(const cw_tcm_permit& permit) {
  return is_active(permit) && permit.tenancy.is_entered();
}

// oneTBB may start workers in a callback. They inherit the signal mask and the name of the thread
// that starts them, which must not be ours.
void tell_client(cw_tcm_permit& permit) {
  if (permit.client.callback == nullptr) return;
  const bool ours = is_own_thread();
  sigset_t blocked;
  if (ours) {
    ::pthread_setname_np(::pthread_self(), permits().name.data());
    ::pthread_sigmask(SIG_SETMASK, &permits().signals, &blocked);
  }
  permit.client.callback(&permit, permit.argument, kNewConcurrency);
  if (!ours) return;
  ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  ::pthread_setname_np(::pthread_self(), kOwnName);
}

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
    if (!is_renewed(*each)) continue;
    const std::uint32_t before = each->workers.load();
    const auto threads = each->tenancy.renew(most_beside_others(*each) + 1, each->client.pool);
    if (!threads) continue;
    grant(*each, *threads);
    if (each->workers.load() != before) tell_client(*each);
  }
}

// Ends with the last permit. In a program that has confined itself it waits for good: a futex is
// what oneTBB's own threads wait at, and any other system call may be fatal.
void* run(void*) {
  const OwnThread ours;
  ::pthread_setname_np(::pthread_self(), kOwnName);
  Lock lock;
  Permits& all = permits();
  while (all.first != nullptr || os::is_known_confined()) {
    const bool renews = any_permit(is_renewed) && !os::is_known_confined();
    const std::uint32_t before = all.changes.load();
    lock.unlock();
    os::wait_at(all.changes, before, renews ? kPeriodMs : -1);
    lock.lock();
    if (renews && !os::is_known_confined()) renew_all();
  }
  all.has_thread = false;
  return nullptr;
}

// Without it a permit stays as it was granted.
void start_thread(Permits& all) {
  if (all.has_thread || !all.wants_thread || os::is_confined()) return;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &all.signals);
  ::pthread_getname_np(::pthread_self(), all.name.data(), all.name.size());
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

cw_tcm_permit* make_permit(const PermitClient& client, void* argument, const void* maker) {
  auto* const made = new (std::nothrow) cw_tcm_permit;
  if (made == nullptr) return nullptr;
  made->client = client;
  made->argument = argument;
  made->maker = maker;
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
  const bool again = permit.maker != asker;
  grant(permit, permit.tenancy.enter(most_beside_others(permit) + 1, permit.client.pool, again));
  start_thread(permits());
  permits().tell_thread();
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
  permits().tell_thread();
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
