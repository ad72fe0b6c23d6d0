// The hot half of corewise.threadpoolctl: info dictionaries and limiters.
//
// A limiter opens core limits that replace older ones of the same owner (a thread, or the asyncio
// task that runs in it), since an inner threadpool_limits may raise what an outer one lowered.
// Limits that are opened inside a `with` and never restored end with that `with`, since
// threadpoolctl restores everything there; outside of any `with` they are permanent.
//
// Our own lock protects the bookkeeping, since free-threaded Pythons have no GIL. The thread that
// holds it calls neither Python nor the core, and so waits for nobody: a thread that Python stops,
// a fork or a destructor that the collector runs never finds it held for long.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "binding.h"

namespace corewise::python {
namespace {

// A fork takes it too: else the child could find it taken by a thread that it does not have.
std::mutex bookkeeping;

void keep_bookkeeping_over_forks() {
  const auto take = [] { bookkeeping.lock(); };
  const auto give_back = [] { bookkeeping.unlock(); };
  if (pthread_atfork(take, give_back, give_back) != 0) throw std::bad_alloc();
}

using Rules = std::vector<cw_rule>;

constexpr const char* kBlas = "blas";
constexpr const char* kOpenmp = "openmp";

// `api` is one of the two names above.
cw_rule rule_for_api(const char* api, int threads) {
  return {CW_MATCH_API, api, 0, std::min(threads, CW_MAX_THREADS)};
}
cw_rule rule_for_pool(std::uint32_t id, int threads) {
  return {CW_MATCH_ID, nullptr, id, std::min(threads, CW_MAX_THREADS)};
}

bool same_target(const cw_rule& one, const cw_rule& other) {
  return one.name == other.name && one.id == other.id;
}

struct Scope {
  explicit Scope(Rules what) : rules(std::move(what)) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    if (open) open->keep();
  }

  Rules rules;
  std::uint64_t owner = 0;
  std::optional<limits> open;  // no value if nothing was asked
  std::vector<int> original;   // threads by pool id before opening
  bool closed = false;
  std::weak_ptr<Scope> outer;
  std::vector<std::shared_ptr<Scope>> inner;
};
using ScopePtr = std::shared_ptr<Scope>;

// The `with` blocks that this thread is in, innermost last.
thread_local std::vector<ScopePtr> entered;

// Interned once; the interpreter that made them outlives the module.
struct Names {
  PyObject* num_threads = PyUnicode_InternFromString("num_threads");
  PyObject* reach = PyUnicode_InternFromString("_reach");
  PyObject* asyncio = PyUnicode_InternFromString("asyncio");
};
const Names& names() {
  static const Names kNames;
  return kNames;
}

// 0 stands for the calling thread; a running asyncio task is an owner of its own.
std::uint64_t current_owner() {
  // If several threads find it at once, all but the last leak a reference.
  static std::atomic<PyObject*> get_running_loop = nullptr;
  PyObject* get = get_running_loop.load();
  if (get == nullptr) {
    const nb::object module = nb::steal(PyImport_GetModule(names().asyncio));
    if (!module.is_valid()) {
      PyErr_Clear();
      return 0;
    }
    // Absent while asyncio itself is being imported.
    get = PyObject_GetAttrString(module.ptr(), "_get_running_loop");
    if (get == nullptr) {
      PyErr_Clear();
      return 0;
    }
    get_running_loop.store(get);
  }
  const nb::object loop = nb::steal(PyObject_CallNoArgs(get));
  if (!loop.is_valid()) throw nb::python_error();
  if (loop.is_none()) return 0;
  const nb::object task = nb::module_::import_("asyncio").attr("current_task")(loop);
  return task.is_none() ? 0 : reinterpret_cast<std::uintptr_t>(task.ptr());
}

// Call it with the bookkeeping's lock, like everything that follows or changes links between
// scopes.
ScopePtr innermost(std::uint64_t owner) {
  // A `with` that was left in another thread is still here.
  while (!entered.empty() && entered.back()->closed) entered.pop_back();
  for (auto it = entered.rbegin(); it != entered.rend(); ++it) {
    if ((*it)->owner == owner && !(*it)->closed) return *it;
  }
  return nullptr;
}

int read_threads(std::uint32_t id) {
  cw_pool raw;
  raw.size = sizeof raw;
  // threadpoolctl asks every library that is loaded, used or not.
  return cw_pool_ask(id, &raw) == CW_OK ? raw.threads : 0;
}

// Call it without the GIL.
void open(Scope& scope) {
  scope.original.resize(cw_pool_count());
  for (std::uint32_t id = 0; id < scope.original.size(); ++id) {
    scope.original[id] = read_threads(id);
  }
  if (scope.rules.empty()) return;
  scope.open.emplace(scope.rules, CW_LIMITS_REPLACE | CW_LIMITS_CLAMP, scope.owner);
}

ScopePtr open_scope(Rules rules) {
  auto scope = std::make_shared<Scope>(std::move(rules));
  scope->owner = current_owner();
  {
    const nb::gil_scoped_release released;
    open(*scope);
  }
  if (scope->open && !*scope->open) raise(scope->open->error());
  const std::lock_guard lock(bookkeeping);
  if (const ScopePtr outer = innermost(scope->owner)) {
    scope->outer = outer;
    outer->inner.push_back(scope);
  }
  return scope;
}

// Marks scope and all inside it closed and hands their limits over, innermost first.
void gather(Scope& scope, std::vector<limits>& to_close) {
  scope.closed = true;
  for (auto it = scope.inner.rbegin(); it != scope.inner.rend(); ++it) gather(**it, to_close);
  scope.inner.clear();
  if (scope.open) to_close.push_back(*std::exchange(scope.open, std::nullopt));
}

// Returns the outer scope: its last reference must be dropped without the lock.
ScopePtr leave_outer(const ScopePtr& scope) {
  ScopePtr outer = scope->outer.lock();
  if (outer == nullptr) return outer;
  std::vector<ScopePtr>& siblings = outer->inner;
  const auto it = std::find(siblings.rbegin(), siblings.rend(), scope);
  if (it != siblings.rend()) siblings.erase(std::next(it).base());
  return outer;
}

void close(const ScopePtr& scope) {
  ScopePtr outer;
  std::vector<limits> to_close;
  {
    const std::lock_guard lock(bookkeeping);
    if (scope->closed) return;
    outer = leave_outer(scope);
    gather(*scope, to_close);
  }
  const nb::gil_scoped_release released;
  for (limits& one : to_close) one.close();
  outer.reset();
}

// A dropped scope ends with the `with` around it. Of several for the same pools only the latest
// counts, so a loop of plain calls inside a long `with` holds one.
void supersede(Scope& outer, const ScopePtr& scope, std::vector<limits>& superseded) {
  std::erase_if(outer.inner, [&](const ScopePtr& other) {
    const bool older = other != scope && other.use_count() == 1 && other->inner.empty() &&
                       std::equal(other->rules.begin(), other->rules.end(), scope->rules.begin(),
                                  scope->rules.end(), same_target);
    if (older) gather(*other, superseded);
    return older;
  });
}

// Called when nobody holds the scope any more.
void drop(ScopePtr scope) {
  ScopePtr outer;
  std::vector<limits> superseded;
  {
    const std::lock_guard lock(bookkeeping);
    if (!scope->closed) outer = scope->outer.lock();
    if (outer != nullptr && !outer->closed) supersede(*outer, scope, superseded);
  }
  const nb::gil_scoped_release released;
  superseded.clear();
  scope.reset();
  outer.reset();
}

class Limiter {
 public:
  Limiter(nb::object controller, nb::object limits, nb::object user_api)
      : controller_(std::move(controller)) {
    Rules rules;
    nb::object apply = nb::none();
    if (!plain(limits, user_api, rules)) {
      const nb::tuple resolved =
          nb::cast<nb::tuple>(nb::module_::import_("corewise.threadpoolctl._params")
                                  .attr("resolve")(controller_, limits, user_api));
      for (const nb::handle item : nb::cast<nb::list>(resolved[0])) {
        const auto rule = nb::cast<nb::tuple>(item);
        const int api = nb::cast<int>(rule[0]);
        const int threads = nb::cast<int>(rule[2]);
        rules.push_back(api < 0 ? rule_for_pool(nb::cast<std::uint32_t>(rule[1]), threads)
                                : rule_for_api(api == CW_API_BLAS ? kBlas : kOpenmp, threads));
      }
      user_api = resolved[1];
      apply = resolved[2];
    }
    limits_ = std::move(limits);
    user_api_ = std::move(user_api);
    scope_ = open_scope(std::move(rules));
    if (apply.is_none()) return;
    try {
      custom_ = apply();
    } catch (...) {
      close(scope_);  // else the limits of the pools would be permanent
      throw;
    }
  }
  Limiter(const Limiter&) = delete;
  Limiter& operator=(const Limiter&) = delete;
  ~Limiter() {
    if (scope_ != nullptr) drop(std::move(scope_));
  }

  void enter() { entered.push_back(scope_); }

  void exit() {
    const auto it = std::find(entered.rbegin(), entered.rend(), scope_);
    if (it != entered.rend()) entered.erase(std::next(it).base());
    restore();
  }

  void restore() {
    try {
      if (!custom_.is_none()) custom_.attr("restore")();
    } catch (...) {
      close(scope_);
      throw;
    }
    close(scope_);
  }

  nb::object controller() const {
    const std::lock_guard lock(bookkeeping);
    return controller_;
  }
  void set_controller(nb::object controller) {
    // The argument takes the old controller, and drops it after the lock is released.
    const std::lock_guard lock(bookkeeping);
    std::swap(controller_, controller);
  }
  nb::object asked() const { return limits_; }
  nb::object user_api() const { return user_api_; }
  nb::object custom() const { return custom_; }
  nb::tuple original() const {
    nb::list counts;
    for (const int count : scope_->original) counts.append(count);
    return nb::tuple(counts);
  }

  static inline std::atomic<bool> custom_controllers = false;

 private:
  // Whether it is a whole number for pools that the core knows; Python code handles everything
  // else.
  bool plain(nb::handle limits, nb::handle user_api, Rules& rules) const {
    if (custom_controllers || !PyLong_Check(limits.ptr())) return false;
    if (!controller_.is_none()) {
      const nb::object reach = nb::steal(PyObject_GetAttr(controller_.ptr(), names().reach));
      if (!reach.is_valid()) throw nb::python_error();
      if (!reach.is_none()) return false;
    }
    int overflow = 0;
    const long long count = PyLong_AsLongLongAndOverflow(limits.ptr(), &overflow);
    if (count < 1 && overflow <= 0) return false;
    const int threads =
        overflow > 0 || count > CW_MAX_THREADS ? CW_MAX_THREADS : static_cast<int>(count);
    const bool all = user_api.is_none();
    if (!all && !PyUnicode_Check(user_api.ptr())) return false;
    const bool blas = all || PyUnicode_CompareWithASCIIString(user_api.ptr(), kBlas) == 0;
    const bool openmp = all || PyUnicode_CompareWithASCIIString(user_api.ptr(), kOpenmp) == 0;
    rules.reserve(2);
    if (blas) rules.push_back(rule_for_api(kBlas, threads));
    if (openmp) rules.push_back(rule_for_api(kOpenmp, threads));
    return blas || openmp;
  }

  nb::object controller_;
  nb::object limits_;
  nb::object user_api_;
  nb::object custom_ = nb::none();  // corewise.threadpoolctl._custom.CustomLimit
  ScopePtr scope_;
};

bool belongs(const pool& p) { return p.api == CW_API_BLAS || p.api == CW_API_OPENMP; }

// What threadpoolctl's dictionaries say of a pool, except the count; null for a pool that
// threadpoolctl has no name for.
struct Template {
  PyObject* dict = nullptr;
  bool has_backends = false;
};

Template make_template(const pool& p) {
  if (!belongs(p)) return {};
  nb::dict d;
  d["user_api"] = text(p.api_name);
  d["internal_api"] = p.api == CW_API_OPENMP ? text("openmp") : text(p.runtime);
  d[nb::handle(names().num_threads)] = nb::none();
  d["prefix"] = text(p.prefix);
  d["filepath"] = text(p.path);
  d["version"] = text_or_none(p.version);
  const bool has_cores = p.runtime == "openblas" || p.runtime == "blis";
  if (has_cores || p.runtime == "mkl") d["threading_layer"] = text_or_none(p.layer);
  if (has_cores) d["architecture"] = text_or_none(p.architecture);
  return {d.release().ptr(), p.runtime == "flexiblas"};
}

// By pool id; made once, kept for good. Guarded by the bookkeeping's lock.
std::vector<Template> templates;

Template template_of(std::size_t id) {
  const std::lock_guard lock(bookkeeping);
  return templates[id];
}

std::size_t templates_made() {
  const std::lock_guard lock(bookkeeping);
  return templates.size();
}

// Several threads may make one at once: the first one stays.
void add_template(const pool& p) {
  Template made = make_template(p);
  {
    const std::lock_guard lock(bookkeeping);
    if (p.id == templates.size()) {
      templates.push_back(made);
      return;
    }
  }
  Py_XDECREF(made.dict);
}

// Counts of the first `count` pools (all for a negative one), and templates for at least those.
std::vector<int> counts_now(Py_ssize_t count) {
  std::vector<int> counts;
  {
    const nb::gil_scoped_release released;
    const std::size_t known = cw_pool_count();
    counts.resize(count < 0 ? known : std::min(known, static_cast<std::size_t>(count)));
    for (std::uint32_t id = 0; id < counts.size(); ++id) counts[id] = read_threads(id);
  }
  if (templates_made() < counts.size()) {
    std::vector<pool> all;
    {
      const nb::gil_scoped_release released;
      all = pools();
    }
    for (const pool& p : all) {
      if (p.id >= templates_made()) add_template(p);
    }
  }
  return counts;
}

nb::object filled(const Template& from, int threads) {
  nb::object dict = nb::steal(PyDict_Copy(from.dict));
  const nb::object count = nb::steal(PyLong_FromLong(threads));
  if (!dict.is_valid() || !count.is_valid() ||
      PyDict_SetItem(dict.ptr(), names().num_threads, count.ptr()) != 0) {
    throw nb::python_error();
  }
  if (from.has_backends) {
    nb::module_::import_("corewise.threadpoolctl._controllers").attr("add_backends")(dict);
  }
  return dict;
}

nb::list info(Py_ssize_t count) {
  const std::vector<int> counts = counts_now(count);
  nb::list out;
  for (std::size_t id = 0; id < counts.size(); ++id) {
    const Template from = template_of(id);
    if (from.dict != nullptr) out.append(filled(from, counts[id]));
  }
  return out;
}

nb::object info_of(std::uint32_t id) {
  (void)counts_now(static_cast<Py_ssize_t>(id) + 1);
  int threads = 0;
  {
    const nb::gil_scoped_release released;
    threads = read_threads(id);
  }
  return filled(template_of(id), threads);
}

int threads_of(std::uint32_t id) {
  const nb::gil_scoped_release released;
  return read_threads(id);
}

// Like a limiter for this one pool that is made and dropped.
void set_threads(std::uint32_t id, int threads) { drop(open_scope({rule_for_pool(id, threads)})); }

}  // namespace

void bind_dropin(nb::module_& m) {
  keep_bookkeeping_over_forks();
  // Make the names here, where Python admits one thread: Python could not stop a second that waits.
  (void)names();
  nb::class_<Limiter>(m, "Limiter")
      .def(nb::init<nb::object, nb::object, nb::object>(), nb::arg("controller").none(),
           nb::kw_only(), nb::arg("limits").none() = nb::none(),
           nb::arg("user_api").none() = nb::none())
      .def("__enter__",
           [](nb::handle_t<Limiter> self) {
             nb::cast<Limiter&>(self).enter();
             return nb::borrow(self);
           })
      .def(
          "__exit__", [](Limiter& self, nb::handle, nb::handle, nb::handle) { self.exit(); },
          nb::arg().none(), nb::arg().none(), nb::arg().none())
      .def("restore_original_limits", &Limiter::restore)
      .def("unregister", &Limiter::restore)
      .def_prop_rw("_held", &Limiter::controller, &Limiter::set_controller)
      .def_prop_ro("_limits", &Limiter::asked)
      .def_prop_ro("_asked_api", &Limiter::user_api)
      .def_prop_ro("_custom", &Limiter::custom)
      .def_prop_ro("_original_counts", &Limiter::original);
  m.def("dropin_info", &info, nb::arg("count") = -1);
  m.def("dropin_info_of", &info_of);
  m.def("threads_of", &threads_of);
  m.def("set_threads", &set_threads);
  m.def("use_custom_controllers", [] { Limiter::custom_controllers = true; });
}

}  // namespace corewise::python
