// The C ABI over pools, modules and limits.
#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "corewise.h"
#include "elf/elf_reader.h"
#include "govern/patch/loads.h"
#include "limits/limit.h"
#include "marshal.h"
#include "os/os.h"
#include "pools/discover.h"

using namespace corewise;         // NOLINT(google-build-using-namespace): this file is its C face
using namespace corewise::c_api;  // NOLINT(google-build-using-namespace)

struct cw_limits {
  LimitsHandle handle;
};

namespace {

constexpr std::uint32_t kLimitsFlags = CW_LIMITS_CLAMP | CW_LIMITS_REPLACE | CW_LIMITS_NOT_STICKY;

// The sizes of the structs in ABI 1: no caller knows less.
constexpr std::size_t kFirstPool = 96;
constexpr std::size_t kFirstOutcome = 32;
static_assert(sizeof(cw_pool) >= kFirstPool && sizeof(cw_outcome) >= kFirstOutcome);

cw_pool to_c(const Pool& pool, std::optional<int> threads) {
  cw_pool out{};
  out.id = pool.id;
  out.api = pool.runtime->api;
  out.scope = pool.scope;
  out.threads = threads.value_or(0);
  out.ceiling = pool.ceiling;
  out.caller_slots = pool.caller_slots;
  out.api_name = api_name(pool.runtime->api);
  out.runtime = pool.runtime->name;
  out.prefix = pool.prefix.c_str();
  out.path = pool.path.c_str();
  out.version = pool.version.c_str();
  out.layer = pool.layer.c_str();
  out.architecture = pool.architecture.c_str();
  out.detail = pool.shown_detail();
  return out;
}

cw_status no_such_pool(std::uint32_t id) {
  return fail(CW_UNKNOWN_NAME, "there is no pool with id " + std::to_string(id));
}

cw_status hand_out_pool(const Pool& pool, std::optional<int> threads, cw_pool* out) {
  if (hand_out(to_c(pool, threads), out, kFirstPool)) return CW_OK;
  return fail(CW_BAD_ARGUMENT, "out is null, or its size was not set to sizeof(cw_pool)");
}

cw_status known(const cw_status& status) {
  return raw(status) <= CW_INTERNAL ? status : CW_INTERNAL;
}

Result<std::vector<Rule>> from_c(const cw_rule* rules, std::size_t count) {
  if (rules == nullptr && count != 0) return Error{CW_BAD_ARGUMENT, "rules is a null pointer"};
  std::vector<Rule> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned match = raw(rules[i].match);
    if (match > CW_MATCH_ID) {
      return Error{CW_BAD_ARGUMENT, "rule " + std::to_string(i) + ": " + std::to_string(match) +
                                        " is not a kind of match"};
    }
    const bool named = match >= CW_MATCH_API && match <= CW_MATCH_NAME;
    if (named && rules[i].name == nullptr) {
      return Error{CW_BAD_ARGUMENT, "rule " + std::to_string(i) + " has no name"};
    }
    out.push_back({rules[i].match, named ? rules[i].name : "", rules[i].id, rules[i].threads});
  }
  return out;
}

}  // namespace

extern "C" {

uint32_t cw_abi_version(void) { return CW_ABI_VERSION; }

const char* cw_version(void) { return COREWISE_VERSION; }

const char* cw_status_name(cw_status status) { return status_name(known(status)); }

const char* cw_status_message(cw_status status) { return status_message(known(status)); }

const char* cw_last_error(void) { return last_error(); }

cw_status cw_refresh(int* changed) {
  return guarded([&] {
    const bool grew = synchronise();
    govern::loads::run_all();
    if (changed != nullptr) *changed = grew ? 1 : 0;
    return CW_OK;
  });
}

uint64_t cw_generation(void) {
  const os::Generation now = os::generation();
  return now.adds + now.subs;
}

size_t cw_pool_count(void) {
  guarded([] {
    synchronise();
    return CW_OK;
  });
  return pool_count();
}

cw_status cw_pool_get(uint32_t id, cw_pool* out) {
  return guarded([&] {
    catch_up();
    if (id >= pool_count()) return no_such_pool(id);
    return hand_out_pool(pool_at(id), pool_at(id).threads(), out);
  });
}

cw_status cw_pool_ask(uint32_t id, cw_pool* out) {
  return guarded([&] {
    catch_up();
    if (id >= pool_count()) return no_such_pool(id);
    const Pool& pool = pool_asked(id);
    return hand_out_pool(pool, pool.ask_threads(), out);
  });
}

cw_status cw_limits_open(const cw_rule* rules, size_t count, const cw_limits_options* options,
                         cw_limits** out) {
  return guarded([&] {
    if (out == nullptr) return fail(CW_BAD_ARGUMENT, "out is a null pointer");
    auto own = from_c(rules, count);
    if (!own) return fail(own.error());
    const auto taken = take_options(options, "cw_limits_options", kLimitsFlags);
    if (!taken) return fail(taken.error());
    auto receipt = std::make_unique<cw_limits>();
    auto opened = open_limits(*std::move(own), taken->flags, taken->owner);
    if (!opened) return fail(opened.error());
    receipt->handle = *std::move(opened);
    *out = receipt.release();
    return CW_OK;
  });
}

cw_status cw_limits_close(cw_limits* limits, size_t* pending) {
  return guarded([&] {
    if (limits == nullptr) return fail(CW_BAD_ARGUMENT, "limits is a null pointer");
    // Close first, and without memory: a limit can be closed whatever else fails.
    const std::size_t waiting = close_limits(*limits->handle);
    if (pending != nullptr) *pending = waiting;
    try {
      synchronise();
    } catch (const std::bad_alloc&) {
      return CW_OK;  // the next corewise call looks again
    }
    return CW_OK;
  });
}

size_t cw_limits_outcomes(const cw_limits* limits, cw_outcome* out, size_t capacity) {
  std::size_t count = 0;
  guarded([&] {
    if (limits == nullptr || (out == nullptr && capacity != 0)) {
      return fail(CW_BAD_ARGUMENT, "a null pointer");
    }
    const std::vector<Outcome> all = outcomes(*limits->handle);
    // An array has one stride: that of its first element.
    const std::size_t stride = capacity != 0 ? out->size : 0;
    if (capacity != 0 &&
        (stride < kFirstOutcome || stride > kLargestStruct || stride % alignof(cw_outcome) != 0)) {
      return fail(CW_BAD_ARGUMENT, "out[0].size was not set to sizeof(cw_outcome)");
    }
    count = all.size();
    for (std::size_t i = 0; i < std::min(count, capacity); ++i) {
      auto* to = reinterpret_cast<cw_outcome*>(reinterpret_cast<char*>(out) + i * stride);
      to->size = stride;
      const Outcome& from = all[i];
      hand_out({stride, from.pool, from.before, from.asked, from.effective, from.reason}, to,
               kFirstOutcome);
    }
    return CW_OK;
  });
  return count;
}

void cw_limits_free(cw_limits* limits) {
  guarded([&] {
    if (limits != nullptr) abandon_limits(*limits->handle);
    delete limits;
    return CW_OK;
  });
}

cw_status cw_modules(int (*visit)(const char* path, uintptr_t base, void* context), void* context) {
  return guarded([&] {
    if (visit == nullptr) return fail(CW_BAD_ARGUMENT, "visit is a null pointer");
    for (const os::LoadedModule& module : modules()) {
      if (visit(module.path.c_str(), module.base, context) != 0) break;
    }
    return CW_OK;
  });
}

void* cw_symbol(const char* path, const char* name) {
  void* found = nullptr;
  guarded([&] {
    if (path == nullptr || name == nullptr) return fail(CW_BAD_ARGUMENT, "a null pointer");
    for (const os::LoadedModule& module : modules()) {
      if (module.path != path && os::real_path(module.path) != path) continue;
      const os::Held held(module);
      if (!held) continue;
      const elf::LiveSymbols symbols(module);
      if (!symbols) return fail(symbols.error());
      found = reinterpret_cast<void*>(symbols.address(name));
      return CW_OK;
    }
    return fail(CW_UNKNOWN_NAME, std::string(path) + " is not loaded");
  });
  return found;
}

}  // extern "C"
