// Facts (oneTBB, src/tbb: tcm_adaptor.cpp, dynamic_link.cpp, main.cpp, arena.cpp): while it is
// loaded, oneTBB opens libtcm.so.1, which may be loaded already; when it first runs, it connects.
// Each arena then has one permit, and asks again whenever its demand changes: from none to some as
// a region starts, back to none a little after it has ended. A grant counts workers; the thread
// that starts a region comes on top. Only a worker notices that no work is left: an arena without
// one never asks again, and what was enqueued in it would never run. Workers report when they join
// and leave an arena. oneTBB's own bounds (global_control) hold as well. It holds a lock while it
// asks.
#include "gate_tbb.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "base/append_only.h"
#include "govern/grants/gate.h"
#include "govern/patch/code_ranges.h"
#include "tcm/tcm.h"

// An arena's permit.
struct cw_tcm_permit {
  std::uint32_t pool = corewise::govern::gate::kNoPool;
  const void* owner = nullptr;  // the thread that made it
  corewise::govern::gate::Tenancy tenancy;
  // Other threads read these while one asks anew.
  std::atomic<std::uint32_t> workers{0};
  std::atomic<bool> active{false};
};

namespace corewise::govern::tbb {
namespace {

using TcmPermit = cw_tcm_permit;
using TcmRequest = cw_tcm_request;
using TcmGranted = cw_tcm_granted;

enum TcmResult : std::int32_t { kSuccess = 0, kInvalidArgument = 0x78000004 };
enum TcmState : std::uint8_t { kInactive = 1, kActive = 4 };

// A flag of a request.
constexpr std::uint32_t kAsInactive = 1U << 3U;

constexpr std::size_t kMostCopies = 8;
struct TbbCopy {
  CodeRange code;
  std::uint32_t pool = gate::kNoPool;
  std::atomic<bool> asks{false};
};
// Constant except for `asks`.
constinit AppendOnly<TbbCopy, kMostCopies> copies;

// How many nested arenas this thread works for, and the team that it was in before. oneTBB reports
// that for its workers, and for the thread that runs something in an arena.
struct Worker {
  int arenas = 0;
  int before = 0;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Worker me;

TbbCopy* copy_at(std::uintptr_t code) {
  const auto all = copies.all();
  const auto found =
      std::ranges::find_if(all, [&](const TbbCopy& copy) { return copy.code.holds(code); });
  return found != all.end() ? &*found : nullptr;
}

// A client's id is the number of its copy, from 1.
std::int32_t connect(std::uint64_t* client, const void* caller) {
  TbbCopy* const copy = copy_at(reinterpret_cast<std::uintptr_t>(caller));
  if (copy == nullptr || !gate::is_open()) return kInvalidArgument;
  copy->asks.store(true);
  *client = static_cast<std::uint64_t>(copy - &copies[0]) + 1;
  return kSuccess;
}

std::int32_t deactivate(TcmPermit* permit) {
  permit->tenancy.leave();
  permit->active.store(false);
  return kSuccess;
}

// Inside a region other than oneTBB's.
bool is_inside_another() {
  if (me.arenas == 0) return gate::is_inside();
  const int ours = gate::join_team(me.before);
  const bool inside = gate::is_inside();
  gate::join_team(ours);
  return inside;
}

void grant(TcmPermit& permit, const TcmRequest& request) {
  if (request.most <= 0 || (request.flags & kAsInactive) != 0) {
    deactivate(&permit);
    return;
  }
  // Workers ask too, when their arena starts again: then they are not callers of their own.
  const bool nested = is_inside_another();
  if (nested) permit.tenancy.leave();
  const int threads =
      nested ? 1 : permit.tenancy.enter(request.most + 1, permit.pool, permit.owner != &me);
  const int workers = std::clamp(threads - 1, 1, request.most);
  permit.workers.store(static_cast<std::uint32_t>(workers));
  permit.active.store(true);
}

std::int32_t read(TcmPermit* permit, TcmGranted* granted) {
  const bool active = permit->active.load();
  if (granted->threads != nullptr && granted->size > 0) {
    std::fill_n(granted->threads, granted->size, 0U);
    granted->threads[0] = active ? permit->workers.load() : 0;
  }
  granted->state = active ? kActive : kInactive;
  granted->flags = 0;
  return kSuccess;
}

std::int32_t request(std::uint64_t client, const TcmRequest* request, TcmPermit** permit,
                     TcmGranted* granted) {
  if (client == 0 || client > copies.size()) return kInvalidArgument;
  if (*permit == nullptr) {
    *permit = new (std::nothrow) TcmPermit;
    if (*permit == nullptr) return kInvalidArgument;
    (*permit)->pool = copies[client - 1].pool;
    (*permit)->owner = &me;
  }
  grant(**permit, *request);
  return granted != nullptr ? read(*permit, granted) : kSuccess;
}

std::int32_t release(TcmPermit* permit) {
  permit->tenancy.leave();
  delete permit;
  return kSuccess;
}

std::int32_t join() {
  if (me.arenas++ == 0) me.before = gate::join_team(2);
  return kSuccess;
}

std::int32_t part() {
  if (me.arenas == 0) return kSuccess;
  --me.arenas;
  if (me.arenas == 0) gate::join_team(me.before);
  return kSuccess;
}

constexpr cw_tcm kFunctions = {connect, request, read, deactivate, release, join, part};

// Beside the library that holds this code, where a search for Intel's does not find it.
std::string own_libtcm() {
  const std::string file = os::file_of(&kFunctions);
  if (file.empty()) return {};
  return file.substr(0, file.rfind('/') + 1) + "corewise/libtcm.so.1";
}

}  // namespace

void offer_permits() {
  static const bool offered = [] {
    const char* other = std::getenv("TCM_ENABLE");  // NOLINT(concurrency-mt-unsafe)
    if (other != nullptr) return false;
    auto* const serve =
        reinterpret_cast<cw_tcm_serve_function*>(os::load_function(own_libtcm(), "cw_tcm_serve"));
    if (serve != nullptr) serve(&kFunctions);
    return serve != nullptr;
  }();
  static_cast<void>(offered);
}

void expect(const os::LoadedModule& module, std::uint32_t pool) {
  const auto all = copies.all();
  if (std::ranges::find(all, pool, &TbbCopy::pool) != all.end()) return;
  TbbCopy* const next = copies.next();
  if (next == nullptr) return;
  next->code = CodeRange(module);
  next->pool = pool;
  copies.append();
}

bool asks(std::uint32_t pool) {
  return std::ranges::any_of(
      copies.all(), [&](const TbbCopy& copy) { return copy.pool == pool && copy.asks.load(); });
}

}  // namespace corewise::govern::tbb
