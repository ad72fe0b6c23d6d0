// Facts (oneTBB, src/tbb: tcm_adaptor.cpp, dynamic_link.cpp, main.cpp, arena.cpp): while it is
// loaded, oneTBB opens libtcm.so.1, which may be loaded already; when it first runs, it connects.
// Each arena then has one permit, and asks again whenever its demand changes: from none to some as
// a region starts, back to none a little after it has ended. It gives no priority and at most one
// constraint, whose mask comes from hwloc. A grant counts workers; the thread
// that starts a region comes on top. Only a worker notices that no work is left: an arena without
// one never asks again, and what was enqueued in it would never run. Workers report when they join
// and leave an arena. oneTBB's own bounds (global_control) hold as well. It holds a lock while it
// asks.
#include "gate_tbb.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "base/append_only.h"
#include "govern/grants/gate.h"
#include "govern/patch/code_ranges.h"
#include "tbb_permits.h"
#include "tcm/tcm.h"

namespace corewise::govern::tbb {
namespace {

enum TcmState : std::uint8_t { kInactive = 1, kActive = 4 };

// A flag of a request.
constexpr std::uint32_t kAsInactive = 1U << 3U;

constexpr std::size_t kMostCopies = 8;
struct TbbCopy {
  CodeRange code;
  std::uint32_t pool = gate::kNoPool;
  std::atomic<cw_tcm_callback*> callback{nullptr};
  std::atomic<bool> asks{false};
};
// Constant except for `asks` and `callback`.
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
std::int32_t connect(std::uint64_t* client, const void* caller, cw_tcm_callback* callback) {
  TbbCopy* const copy = copy_at(reinterpret_cast<std::uintptr_t>(caller));
  if (copy == nullptr || !gate::is_open()) return CW_TCM_INVALID_ARGUMENT;
  copy->callback.store(callback);
  copy->asks.store(true);
  *client = static_cast<std::uint64_t>(copy - &copies[0]) + 1;
  return CW_TCM_SUCCESS;
}

std::int32_t deactivate(cw_tcm_permit* permit) {
  deactivate_permit(*permit);
  return CW_TCM_SUCCESS;
}

// Inside a region other than oneTBB's.
bool is_inside_another() {
  if (me.arenas == 0) return gate::is_inside();
  const int ours = gate::join_team(me.before);
  const bool inside = gate::is_inside();
  gate::join_team(ours);
  return inside;
}

std::int32_t read(cw_tcm_permit* permit, cw_tcm_granted* granted) {
  const std::uint32_t workers = workers_of(*permit);
  if (granted->threads != nullptr && granted->size > 0) {
    std::fill_n(granted->threads, granted->size, 0U);
    granted->threads[0] = workers;
  }
  granted->state = workers != 0 ? kActive : kInactive;
  granted->flags = 0;
  return CW_TCM_SUCCESS;
}

std::int32_t request(std::uint64_t client, const cw_tcm_request* request, void* argument,
                     cw_tcm_permit** permit, cw_tcm_granted* granted) {
  if (client == 0 || client > copies.size()) return CW_TCM_INVALID_ARGUMENT;
  const TbbCopy& copy = copies[client - 1];
  if (*permit == nullptr) {
    *permit = make_permit({copy.pool, copy.callback.load()}, argument, &me);
    if (*permit == nullptr) return CW_TCM_INVALID_ARGUMENT;
  }
  if (request->most <= 0 || (request->flags & kAsInactive) != 0) {
    deactivate_permit(**permit);
  } else {
    request_permit(**permit, *request, &me, is_inside_another());
  }
  return granted != nullptr ? read(*permit, granted) : CW_TCM_SUCCESS;
}

std::int32_t release(cw_tcm_permit* permit) {
  release_permit(permit);
  return CW_TCM_SUCCESS;
}

std::int32_t join() {
  if (me.arenas++ == 0) me.before = gate::join_team(2);
  return CW_TCM_SUCCESS;
}

std::int32_t part() {
  if (me.arenas == 0) return CW_TCM_SUCCESS;
  --me.arenas;
  if (me.arenas == 0) gate::join_team(me.before);
  return CW_TCM_SUCCESS;
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
    if (os::variable("TCM_ENABLE")) return false;
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
