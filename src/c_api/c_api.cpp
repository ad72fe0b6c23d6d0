// The C ABI over the core, and the only place where an exception may arrive: bad_alloc becomes
// CW_OUT_OF_MEMORY, anything else CW_INTERNAL.
#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "advice/doctor.h"
#include "base/error.h"
#include "budget/budget.h"
#include "budget/thread_binding.h"
#include "control/server.h"
#include "control/sockets.h"
#include "corewise.h"
#include "death/death.h"
#include "death/death_watch.h"
#include "elf/elf_reader.h"
#include "facts/plan_input.h"
#include "facts/process_facts.h"
#include "govern/govern.h"
#include "govern/other_copy.h"
#include "govern/patch/loads.h"
#include "limits/limit.h"
#include "observe/sample.h"
#include "os/uncancelled.h"
#include "pools/discover.h"
#include "pools/pool_facts.h"

using namespace corewise;  // NOLINT(google-build-using-namespace): this file is its C face

struct cw_limits {
  LimitsHandle handle;
};

namespace {

// Each thread's sentence about its last failure. On the heap: most threads never fail, and static
// thread-local memory that one library takes is missing to those loaded later ("cannot allocate
// memory in static TLS block").
class LastError {
 public:
  LastError() : usable_(::pthread_key_create(&key_, release) == 0) {}

  const char* text() const {
    const auto* text = usable_ ? static_cast<const char*>(::pthread_getspecific(key_)) : nullptr;
    return text != nullptr ? text : "";
  }
  void clear() { set_short(""); }
  // Cuts long sentences. If out of memory, leaves the general sentence that says so.
  void set(const char* what, std::size_t length) {
    auto* text = usable_ ? static_cast<char*>(::pthread_getspecific(key_)) : nullptr;
    if (!usable_ || is_fixed(text)) text = usable_ ? own() : nullptr;
    if (text == nullptr) return set_short(kNoMemory);
    const std::size_t n = std::min(length, kSize - 1);
    std::memcpy(text, what, n);
    text[n] = '\0';
  }

 private:
  static constexpr std::size_t kSize = 1024;
  static constexpr const char* kNoMemory = "there is no memory for the sentence about it";

  static bool is_fixed(const char* text) { return text == nullptr || text == kNoMemory; }
  static void release(void* text) {
    if (!is_fixed(static_cast<const char*>(text))) std::free(text);
  }
  char* own() {
    auto* made = static_cast<char*>(std::calloc(1, kSize));
    if (made != nullptr && ::pthread_setspecific(key_, made) != 0) {
      std::free(made);
      return nullptr;
    }
    return made;
  }
  // `text` is a constant.
  void set_short(const char* text) {
    if (!usable_) return;
    auto* mine = static_cast<char*>(::pthread_getspecific(key_));
    if (!is_fixed(mine)) {
      mine[0] = '\0';
    } else if (mine != nullptr || *text != '\0') {
      static_cast<void>(::pthread_setspecific(key_, *text != '\0' ? text : nullptr));
    }
  }

  pthread_key_t key_{};
  bool usable_;
};

// Never destroyed: other threads may fail while the process exits.
LastError& last_error() {
  static auto* const made = new LastError;
  return *made;
}

cw_status fail(cw_status status, const std::string& what) {
  last_error().set(what.data(), what.size());
  return status;
}

cw_status fail(const Error& error) { return fail(error.status, error.what); }

cw_status fail_plain(cw_status status) {
  last_error().set(status_message(status), std::strlen(status_message(status)));
  return status;
}

template <class Body>
cw_status guarded(Body&& body) noexcept {
  const os::Uncancelled uncancelled;
  last_error().clear();
  const int callers_errno = errno;
  cw_status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = fail_plain(CW_OUT_OF_MEMORY);
  } catch (...) {
    status = fail_plain(CW_INTERNAL);
  }
  errno = callers_errno;
  return status;
}

// C callers may pass out-of-range numbers for enums, which C++ must not even read as enums.
template <class Enum>
unsigned raw(const Enum& value) {
  unsigned number;
  static_assert(sizeof number == sizeof value);
  std::memcpy(&number, &value, sizeof number);
  return number;
}

// No struct that carries its size will ever be this large: a larger size is uninitialised memory.
constexpr std::size_t kLargestStruct = 4096;

constexpr std::uint32_t kLimitsFlags = CW_LIMITS_CLAMP | CW_LIMITS_REPLACE | CW_LIMITS_NOT_STICKY;

// The sizes of the structs in ABI 1: no caller knows less.
constexpr std::size_t kFirstPool = 96;
constexpr std::size_t kFirstOutcome = 32;
static_assert(sizeof(cw_pool) >= kFirstPool && sizeof(cw_outcome) >= kFirstOutcome);

// Copies as much of a struct as the caller knows: the caller may be older or newer than the
// library. Fields that only a newer caller knows become zero.
template <class T>
bool hand_out(const T& made, T* out, std::size_t first) {
  if (out == nullptr || out->size < first || out->size > kLargestStruct) return false;
  constexpr std::size_t kHead = sizeof(std::size_t);
  const std::size_t n = std::min(out->size, sizeof(T));
  auto* to = reinterpret_cast<char*>(out);
  std::memcpy(to + kHead, reinterpret_cast<const char*>(&made) + kHead, n - kHead);
  std::memset(to + n, 0, out->size - n);
  return true;
}

// The caller's options; of a caller that passes none all are zero. `type` is their type's name.
template <class Options>
Result<Options> take_options(const Options* options, const char* type, std::uint32_t known_flags) {
  if (options == nullptr) return Options{};
  if (options->size < sizeof(Options) || options->size > kLargestStruct) {
    return Error{CW_BAD_ARGUMENT, "options.size was not set to sizeof(" + std::string(type) + ")"};
  }
  if ((options->flags & ~known_flags) != 0) {
    return Error{CW_BAD_ARGUMENT, "options.flags holds a flag that this version does not know"};
  }
  return *options;
}

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

std::size_t copy_out(const std::string& text, char* buffer, std::size_t capacity) {
  if (buffer != nullptr && capacity != 0) {
    const std::size_t n = std::min(capacity - 1, text.size());
    std::memcpy(buffer, text.data(), n);
    buffer[n] = '\0';
  }
  return text.size() + 1;
}

template <class Make>
std::size_t hand_out_text(char* buffer, std::size_t capacity, Make&& make) noexcept {
  std::size_t needed = 0;
  guarded([&] {
    needed = copy_out(make(), buffer, capacity);
    return CW_OK;
  });
  return needed;
}

// The same for a `make` that can fail: it returns a Result.
template <class Make>
cw_status hand_out_document(char* buffer, std::size_t capacity, std::size_t* needed,
                            Make&& make) noexcept {
  return guarded([&] {
    const Result<std::string> text = make();
    if (!text) return fail(text.error());
    const std::size_t bytes = copy_out(*text, buffer, capacity);
    if (needed != nullptr) *needed = bytes;
    return CW_OK;
  });
}

std::optional<double> given(const double* number) {
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

std::optional<int> wish(std::int32_t count) {
  return count != 0 ? std::optional(count) : std::nullopt;
}

}  // namespace

extern "C" {

uint32_t cw_abi_version(void) { return CW_ABI_VERSION; }

const char* cw_version(void) { return COREWISE_VERSION; }

const char* cw_status_name(cw_status status) { return status_name(known(status)); }

const char* cw_status_message(cw_status status) { return status_message(known(status)); }

const char* cw_last_error(void) { return last_error().text(); }

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

size_t cw_info_json(char* buffer, size_t capacity) {
  return hand_out_text(buffer, capacity, [] {
    synchronise();
    return info_json();
  });
}

cw_status cw_budget_json(const double* cap, char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, [&]() -> Result<std::string> {
    synchronise();
    const Result<Budget> budget = compute_budget(OwnMachine(), given(cap));
    if (!budget) return budget.error();
    return budget_json(*budget);
  });
}

cw_status cw_plan_json(const cw_plan_options* options, char* buffer, size_t capacity,
                       size_t* needed) {
  return hand_out_document(buffer, capacity, needed, [&]() -> Result<std::string> {
    const auto taken = take_options(options, "cw_plan_options", 0);
    if (!taken) return taken.error();
    PlanInput input;
    input.processes = taken->processes;
    input.wishes.openmp = wish(taken->openmp);
    input.wishes.blas = wish(taken->blas);
    synchronise();
    const Result<Budget> budget = compute_budget(OwnMachine());
    if (!budget) return budget.error();
    input.cpus = budget->cpus;
    input.pools = pools_for_a_plan();
    name_variables(input);
    const Result<Plan> plan = make_plan(input);
    if (!plan) return plan.error();
    return plan_json(*plan);
  });
}

cw_status cw_doctor_json(char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, []() -> Result<std::string> {
    synchronise();
    return findings_json(examine(facts_of_this_process()));
  });
}

cw_status cw_watch_death(void) {
  return guarded([&] {
    synchronise();
    const auto error = death::watch_death();
    return error ? fail(error->status, error->what) : CW_OK;
  });
}

cw_status cw_last_death_json(char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, []() -> Result<std::string> {
    // A report that cannot be read is as good as none.
    const auto last = death::last_death();
    return death::death_json(last ? *last : std::nullopt);
  });
}

cw_status cw_govern(const cw_govern_options* options) {
  return guarded([&] {
    const auto taken = take_options(options, "cw_govern_options", CW_GOVERN_OVERCOMMIT);
    if (!taken) return fail(taken.error());
    govern::GovernOptions own;
    own.overcommit = (taken->flags & CW_GOVERN_OVERCOMMIT) != 0;
    own.budget = taken->budget;
    if (taken->group != nullptr) own.key = taken->group;
    auto error = govern::another_copy_governs();
    if (!error) error = govern::govern(own);
    return error ? fail(*error) : CW_OK;
  });
}

cw_status cw_ungovern(void) {
  return guarded([] {
    govern::ungovern();
    return CW_OK;
  });
}

size_t cw_govern_report_json(char* buffer, size_t capacity) {
  return hand_out_text(buffer, capacity, govern::report_json);
}

cw_status cw_sample_json(uint32_t flags, char* buffer, size_t capacity, size_t* needed) {
  return hand_out_document(buffer, capacity, needed, [&]() -> Result<std::string> {
    if ((flags & ~static_cast<uint32_t>(CW_SAMPLE_EACH)) != 0) {
      return Error{CW_BAD_ARGUMENT, "flags holds a flag that this version does not know"};
    }
    return observe::to_json(observe::take_sample((flags & CW_SAMPLE_EACH) != 0));
  });
}

cw_status cw_control_start(void) {
  return guarded([] {
    const auto error = control::start();
    return error ? fail(*error) : CW_OK;
  });
}

cw_status cw_control_stop(void) {
  return guarded([] {
    control::stop();
    return CW_OK;
  });
}

size_t cw_control_path(char* buffer, size_t capacity) {
  return hand_out_text(buffer, capacity, control::path);
}

cw_status cw_control_connect(int32_t pid, int* fd) {
  return guarded([&] {
    if (fd == nullptr) return fail(CW_BAD_ARGUMENT, "fd is a null pointer");
    const auto connected = control::connect_to(pid);
    if (!connected) return fail(connected.error());
    *fd = *connected;
    return CW_OK;
  });
}

}  // extern "C"
