// corewise for C++20: the C ABI with lifetimes. Header only; link with corewise::corewise.
//
//   corewise::limits guard({.openmp = 8, .blas = 4});   // undone at the end of the scope
//   if (!guard) std::puts(guard.error().message().c_str());
//   for (const corewise::pool& pool : corewise::pools()) ...
//
// Nothing here throws but std::bad_alloc: failures are values. Thread-safety and scope are those
// of the C functions (corewise.h): pools of thread scope are limited for the calling thread.
#pragma once

#include <corewise.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corewise {

// Why a call failed: a kind to branch on and a sentence to show.
class error {
 public:
  error() = default;
  explicit error(cw_status status) : status_(status), message_(cw_last_error()) {
    if (message_.empty() && status != CW_OK) message_ = cw_status_message(status);
  }
  cw_status status() const { return status_; }
  const std::string& message() const { return message_; }
  explicit operator bool() const { return status_ != CW_OK; }

 private:
  cw_status status_ = CW_OK;
  std::string message_;
};

// One runtime found in one loaded module. The views live as long as the process.
struct pool {
  std::uint32_t id = 0;
  cw_api api = CW_API_OPENMP;
  cw_scope scope = CW_SCOPE_NONE;
  int threads = 0;       // as the calling thread sees it; 0: the runtime does not tell
  int ceiling = 0;       // 0: none
  int caller_slots = 0;  // 0: unbounded or unknown
  std::string_view api_name, runtime, prefix, path, version, layer, architecture, detail;
};

// Every pool of the process now. Costs some nanoseconds a pool while nothing new was loaded.
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

// Threads by API, 1 to CW_MAX_THREADS; 0 leaves an API alone. `all` is for pools that no other
// member speaks for.
struct counts {
  int openmp = 0;
  int blas = 0;
  int tbb = 0;
  int arrow = 0;
  int numba = 0;
  int all = 0;
};

// What one pool made of a limit; reason is empty where effective equals asked.
struct outcome {
  std::uint32_t pool = 0;
  int before = 0;
  int asked = 0;
  int effective = 0;
  std::string_view reason;
};

// Limits in force while the object lives. Move-only. Where several are alive the tightest wins.
class [[nodiscard]] limits {
 public:
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

  // Any rules of the C ABI; flags from CW_LIMITS_*.
  explicit limits(std::span<const cw_rule> rules, std::uint32_t flags = 0,
                  std::uint64_t owner = 0) {
    open(rules, flags, owner);
  }

  limits(limits&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), error_(std::move(other.error_)) {}
  limits& operator=(limits&& other) noexcept {
    if (this != &other) {
      close();
      handle_ = std::exchange(other.handle_, nullptr);
      error_ = std::move(other.error_);
    }
    return *this;
  }
  ~limits() { close(); }

  // False if they could not be opened; then nothing was changed and error() says why.
  explicit operator bool() const { return handle_ != nullptr; }
  const corewise::error& error() const { return error_; }

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

  // Ends the limits early. Returns how many pools of thread scope must wait until the thread that
  // opened the limits calls corewise again.
  std::size_t close() {
    std::size_t pending = 0;
    if (handle_ != nullptr) {
      cw_limits_close(handle_, &pending);
      cw_limits_free(std::exchange(handle_, nullptr));
    }
    return pending;
  }

  // Leaves the limits in force for the rest of the process.
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

// A document of docs/json.md, or why there is none.
struct document {
  std::string json;
  corewise::error error;

  explicit operator bool() const { return !error; }
};

namespace detail {

// `write` is one of the C functions, given a buffer, its size and where to put the bytes needed.
// What it describes may have grown by the second call.
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

// The CPUs that are really the process's own. `cap` is an upper bound of your own, above 0 and at
// most the machine.
inline document budget_json(std::optional<double> cap = std::nullopt) {
  return detail::read_document([&](char* to, std::size_t capacity, std::size_t* needed) {
    return cw_budget_json(cap ? &*cap : nullptr, to, capacity, needed);
  });
}

// What a plan should keep to; 0: not known, or no wish.
struct wishes {
  int processes = 0;
  int openmp = 0;
  int blas = 0;
};

// The budget divided over processes x OpenMP x BLAS, for the pools that are loaded.
inline document plan_json(const wishes& wanted = {}) {
  const cw_plan_options options{sizeof options, wanted.processes, wanted.openmp, wanted.blas, 0};
  return detail::read_document([&](char* to, std::size_t capacity, std::size_t* needed) {
    return cw_plan_json(&options, to, capacity, needed);
  });
}

// What is wrong with the process's thread pools.
inline document doctor_json() { return detail::read_document(cw_doctor_json); }

// What the threads of the process do now. `each`: with a list of them.
inline document sample_json(bool each = false) {
  return detail::read_document([&](char* to, std::size_t capacity, std::size_t* needed) {
    return cw_sample_json(each ? CW_SAMPLE_EACH : 0, to, capacity, needed);
  });
}

// The control socket of this process. An error is empty where all is well.
inline error control_start() {
  const cw_status status = cw_control_start();
  return status == CW_OK ? error() : error(status);
}
inline void control_stop() { cw_control_stop(); }
// Empty while there is none.
inline std::string control_path() {
  std::string path(cw_control_path(nullptr, 0), '\0');
  path.resize(std::min(cw_control_path(path.data(), path.size()), path.size()) - 1);
  return path;
}

// The process governed while at least one of these lives. Move-only.
class [[nodiscard]] governed {
 public:
  // budget 0: what is the process's own. Processes with equal groups share a budget.
  explicit governed(int budget = 0, const char* group = nullptr) {
    const cw_govern_options options{sizeof options, budget, 0, group};
    const cw_status status = cw_govern(&options);
    active_ = status == CW_OK;
    if (!active_) error_ = corewise::error(status);
  }
  governed(governed&& other) noexcept
      : active_(std::exchange(other.active_, false)), error_(std::move(other.error_)) {}
  governed& operator=(governed&& other) noexcept {
    if (this != &other) {
      end();
      active_ = std::exchange(other.active_, false);
      error_ = std::move(other.error_);
    }
    return *this;
  }
  ~governed() { end(); }

  // False if it could not be; error() then says why.
  explicit operator bool() const { return active_; }
  const corewise::error& error() const { return error_; }

  void end() {
    if (std::exchange(active_, false)) cw_ungovern();
  }

 private:
  bool active_ = false;
  corewise::error error_;
};

}  // namespace corewise
