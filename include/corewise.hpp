/// @file
/// corewise for C++20: the C ABI with lifetimes. Header only; link with corewise::corewise.
///
/// Failures are values: only std::bad_alloc is ever thrown. Thread-safety and scope are those of
/// the C functions (corewise.h): pools of thread scope are limited for the calling thread.
///
///     corewise::limits guard({.openmp = 8, .blas = 4});   // undone at the end of the scope
///     if (!guard) std::puts(guard.error().message().c_str());
///     for (const corewise::pool& pool : corewise::pools()) std::puts(pool.path.data());
#pragma once

#include <corewise.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// See, limit, plan and govern the native thread pools of this process.
namespace corewise {

/// Why a call failed: a kind to branch on and a sentence to show.
class error {
 public:
  /// No failure.
  error() = default;
  /// The failure of this thread's last C call.
  explicit error(cw_status status) : status_(status), message_(cw_last_error()) {
    if (message_.empty() && status != CW_OK) message_ = cw_status_message(status);
  }
  /// The kind; CW_OK if nothing failed.
  cw_status status() const { return status_; }
  /// One sentence that says what happened and what to do; empty if nothing failed.
  const std::string& message() const { return message_; }
  /// Whether something failed.
  explicit operator bool() const { return status_ != CW_OK; }

 private:
  cw_status status_ = CW_OK;
  std::string message_;
};

/// One runtime found in one loaded module. The views live as long as the process, end in a NUL, and
/// are empty if nothing is known.
struct pool {
  std::uint32_t id = 0;            ///< index from 0, stable for the life of the process
  cw_api api = CW_API_OPENMP;      ///< what user code asks for
  cw_scope scope = CW_SCOPE_NONE;  ///< which threads a setter reaches
  int threads = 0;            ///< now, as the calling thread sees it; 0: not told, or not used yet
  int ceiling = 0;            ///< most it can be set to; 0: none
  int caller_slots = 0;       ///< calls it can have in flight; 0: unbounded or unknown
  std::string_view api_name;  ///< "openmp", "blas", "tbb", "arrow", "numba"
  std::string_view runtime;   ///< "openblas", "mkl", "libgomp", ...
  std::string_view prefix;    ///< the file-name prefix that limits may use, e.g. "libgomp"
  std::string_view path;      ///< the library file, links resolved; as loaded if it is gone
  std::string_view version;   ///< as the library tells it
  std::string_view layer;     ///< threading layer: "pthreads", "openmp", "disabled", ...
  std::string_view architecture;  ///< the kernel set chosen, e.g. "SkylakeX"
  std::string_view detail;        ///< one clause worth showing
};

/// Every pool of the process now. Costs some nanoseconds per pool while nothing new is loaded.
inline std::vector<pool> pools() {
  std::vector<pool> all;
  const std::size_t count = cw_pool_count();
  all.reserve(count);
  for (std::uint32_t id = 0; id < count; ++id) {
    cw_pool raw;
    raw.size = sizeof raw;
    if (cw_pool_get(id, &raw) != CW_OK) continue;
    all.push_back({raw.id, raw.api, raw.scope, raw.threads, raw.ceiling, raw.caller_slots,
                   raw.api_name, raw.runtime, raw.prefix, raw.path, raw.version, raw.layer,
                   raw.architecture, raw.detail});
  }
  return all;
}

/// Threads by API, 1 to CW_MAX_THREADS; 0 leaves an API alone.
struct counts {
  int openmp = 0;  ///< of OpenMP regions
  int blas = 0;    ///< of BLAS calls
  int tbb = 0;     ///< of oneTBB
  int arrow = 0;   ///< of Arrow's pool
  int numba = 0;   ///< of numba's layers
  int all = 0;     ///< of pools that no other member covers
};

/// What a limit did to one pool. Counts are threads.
struct outcome {
  std::uint32_t pool = 0;   ///< its id
  int before = 0;           ///< before the limits were opened; 0: the runtime does not tell
  int asked = 0;            ///< what the limits say
  int effective = 0;        ///< what was read back
  std::string_view reason;  ///< why effective differs from asked; empty if it does not
};

/// Limits in force while the object lives. Move-only. If several are alive the tightest wins, and
/// the last one restores what the pools had before the first. Pools of thread scope are limited for
/// the calling thread.
class [[nodiscard]] limits {
 public:
  /// Opens limits by API: all or nothing. `if (!guard)` tells whether it failed.
  explicit limits(const counts& threads) {
    std::vector<cw_rule> rules;
    const auto add = [&](cw_match match, const char* name, int count) {
      if (count != 0) rules.push_back({match, name, 0, count});
    };
    add(CW_MATCH_API, "openmp", threads.openmp);
    add(CW_MATCH_API, "blas", threads.blas);
    add(CW_MATCH_API, "tbb", threads.tbb);
    add(CW_MATCH_API, "arrow", threads.arrow);
    add(CW_MATCH_API, "numba", threads.numba);
    add(CW_MATCH_ALL, nullptr, threads.all);
    open(rules, 0, 0);
  }

  /// Any rules of the C ABI; flags from CW_LIMITS_..., owner as in cw_limits_options.
  explicit limits(std::span<const cw_rule> rules, std::uint32_t flags = 0,
                  std::uint64_t owner = 0) {
    open(rules, flags, owner);
  }

  /// Takes over the limits; `other` has none afterwards.
  limits(limits&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), error_(std::move(other.error_)) {}
  /// Ends its own limits and takes over the other's.
  limits& operator=(limits&& other) noexcept {
    if (this != &other) {
      close();
      handle_ = std::exchange(other.handle_, nullptr);
      error_ = std::move(other.error_);
    }
    return *this;
  }
  /// As close().
  ~limits() { close(); }

  /// False if they could not be opened; then nothing was changed and error() says why.
  explicit operator bool() const { return handle_ != nullptr; }
  /// Why they could not be opened.
  const corewise::error& error() const { return error_; }

  /// What the limits did to each pool, at opening or on its arrival.
  std::vector<outcome> outcomes() const {
    if (handle_ == nullptr) return {};
    std::vector<cw_outcome> raw(cw_limits_outcomes(handle_, nullptr, 0));
    if (!raw.empty()) raw.front().size = sizeof(cw_outcome);
    raw.resize(std::min(raw.size(), cw_limits_outcomes(handle_, raw.data(), raw.size())));
    std::vector<outcome> all;
    for (const cw_outcome& o : raw) {
      all.push_back({o.pool, o.before, o.asked, o.effective, o.reason});
    }
    return all;
  }

  /// Ends the limits early. Returns how many pools of thread scope must wait until the thread that
  /// opened the limits calls corewise again.
  std::size_t close() {
    std::size_t pending = 0;
    if (handle_ != nullptr) {
      cw_limits_close(handle_, &pending);
      cw_limits_free(std::exchange(handle_, nullptr));
    }
    return pending;
  }

  /// Leaves the limits in force for the rest of the process.
  void keep() {
    if (handle_ != nullptr) cw_limits_free(std::exchange(handle_, nullptr));
  }

 private:
  void open(std::span<const cw_rule> rules, std::uint32_t flags, std::uint64_t owner) {
    const cw_limits_options options{sizeof options, flags, owner};
    const cw_status status = cw_limits_open(rules.data(), rules.size(), &options, &handle_);
    if (status != CW_OK) error_ = corewise::error(status);
  }

  cw_limits* handle_ = nullptr;
  corewise::error error_;
};

/// A document of docs/json.md, or why there is none.
struct document {
  std::string json;       ///< empty where there is none
  corewise::error error;  ///< why there is none

  /// Whether there is one.
  explicit operator bool() const { return !error; }
};

/// @cond
namespace detail {

// `write` calls a C function with a buffer, its size and where to put the bytes needed. The
// document may have grown by the second call.
template <class Write>
document read_document(Write&& write) {
  document made;
  std::size_t needed = 4096;
  while (made.json.size() < needed) {
    made.json.resize(needed);
    const cw_status status = write(made.json.data(), made.json.size(), &needed);
    if (status != CW_OK) return {{}, corewise::error(status)};
  }
  made.json.resize(needed - 1);
  return made;
}

}  // namespace detail
/// @endcond

/// The CPUs that are really the process's own (docs/budget.md). `cap` is an upper bound of your own
/// in CPUs, above 0 and at most the machine.
inline document budget_json(std::optional<double> cap = std::nullopt) {
  return detail::read_document([&](char* to, std::size_t capacity, std::size_t* needed) {
    return cw_budget_json(cap ? &*cap : nullptr, to, capacity, needed);
  });
}

/// What a plan should keep to; 0: not known, or no wish.
struct wishes {
  int processes = 0;  ///< as many as the program starts
  int openmp = 0;     ///< the most OpenMP threads of each process
  int blas = 0;       ///< the most threads of each BLAS call
};

/// The budget divided over processes x OpenMP x BLAS, for the pools that are loaded.
inline document plan_json(const wishes& wanted = {}) {
  const cw_plan_options options{sizeof options, wanted.processes, wanted.openmp, wanted.blas, 0};
  return detail::read_document([&](char* to, std::size_t capacity, std::size_t* needed) {
    return cw_plan_json(&options, to, capacity, needed);
  });
}

/// What is wrong with the process's thread pools (docs/doctor.md).
inline document doctor_json() { return detail::read_document(cw_doctor_json); }

/// From now on corewise leaves a report if the process dies (docs/postmortem.md). The error is
/// false on success.
inline error watch_death() {
  const cw_status status = cw_watch_death();
  return status == CW_OK ? error() : error(status);
}
/// The newest report of a death, and what it means.
inline document last_death_json() { return detail::read_document(cw_last_death_json); }

/// What the threads of the process do now (docs/control.md). `each`: with a list of them.
inline document sample_json(bool each = false) {
  return detail::read_document([&](char* to, std::size_t capacity, std::size_t* needed) {
    return cw_sample_json(each ? CW_SAMPLE_EACH : 0, to, capacity, needed);
  });
}

/// Starts the control socket of this process (docs/control.md). The error is false on success.
inline error control_start() {
  const cw_status status = cw_control_start();
  return status == CW_OK ? error() : error(status);
}

/// Ends the control socket; what a client asked over it stays in force.
inline void control_stop() { cw_control_stop(); }

/// The path of the control socket. Empty while there is none.
inline std::string control_path() {
  std::string path(cw_control_path(nullptr, 0), '\0');
  const std::size_t needed = std::min(cw_control_path(path.data(), path.size()), path.size());
  if (needed == 0) throw std::bad_alloc();
  path.resize(needed - 1);
  return path;
}

/// Governs the process while at least one of these lives (docs/govern.md). Move-only. Reaches all
/// threads.
class [[nodiscard]] governed {
 public:
  /// `budget` is in threads, at most the machine; 0: the process's own CPUs. Processes with equal
  /// groups share a budget.
  explicit governed(int budget = 0, const char* group = nullptr) {
    const cw_govern_options options{sizeof options, budget, 0, group};
    const cw_status status = cw_govern(&options);
    active_ = status == CW_OK;
    if (!active_) error_ = corewise::error(status);
  }
  /// Takes over; `other` no longer governs.
  governed(governed&& other) noexcept
      : active_(std::exchange(other.active_, false)), error_(std::move(other.error_)) {}
  /// Ends its own and takes over the other's.
  governed& operator=(governed&& other) noexcept {
    if (this != &other) {
      end();
      active_ = std::exchange(other.active_, false);
      error_ = std::move(other.error_);
    }
    return *this;
  }
  /// As end().
  ~governed() { end(); }

  /// False if the process is not governed by it; error() then says why.
  explicit operator bool() const { return active_; }
  /// Why the process is not governed.
  const corewise::error& error() const { return error_; }

  /// Ends governing early.
  void end() {
    if (std::exchange(active_, false)) cw_ungovern();
  }

 private:
  bool active_ = false;
  corewise::error error_;
};

}  // namespace corewise
