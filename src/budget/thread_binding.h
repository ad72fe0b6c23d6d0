// Who set the main thread's mask: the process, or an OpenMP runtime that bound the thread.
//
// If OMP_PROC_BIND or the like asks for it, libgomp binds the thread that loads it to one place,
// and libomp the thread that starts its first region. That places one thread only; the process
// keeps the CPUs from before, and the runtime's other threads run on them. If the program, a
// launcher or another user narrows the mask, the mask is the process's.
//
// The kernel does not say who narrowed a mask. libgomp does: it knows its places, and how many CPUs
// it found. For other runtimes we conclude it: they are loaded, a variable asks them to bind, and
// the mask became narrower than it was. A runtime binds its thread once; somebody else makes any
// later change.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/machine.h"
#include "pools/pool.h"

namespace corewise {

// "OMP_PROC_BIND=close": what asks OpenMP runtimes to bind threads; empty if nothing does.
std::string binding_request(const os::Machine& machine);

// The CPUs of all threads together, by their masks. Empty if they cannot be listed.
CpuSet masks_of_threads(const os::Machine& machine);

namespace thread_binding {

// What shows who narrowed a mask.
struct Evidence {
  std::vector<Places> places = {};  // of the runtimes that tell them
  bool late_binder = false;  // a variable asks to bind, and a runtime does not tell its places
  std::vector<CpuSet> before = {};    // masks the main thread may have had, the likeliest first
  std::vector<CpuSet> launched = {};  // the same, but the program may have been narrowed since
};

// A conclusion, and the mask it was drawn from.
struct Conclusion {
  int pid = 0;                                                  // whose
  CpuSet seen;                                                  // the main thread's
  CpuSet own;                                                   // the process's
  enum class By { kNobody, kTold, kLate } bound = By::kNobody;  // what the evidence is
  // A runtime binds the thread once. Somebody else makes any later change.
  bool told_is_done = false;
  bool late_is_done = false;
  // Just forked. In the child, libomp gives the thread its mask back and binds it again at the
  // first region.
  bool forked = false;

  bool is_bound() const { return bound != By::kNobody; }
  friend bool operator==(const Conclusion&, const Conclusion&) = default;
};

// Apart for tests. `last` is the previous conclusion in the same process, or null.
Conclusion conclude(const CpuSet& now, const Conclusion* last, const Evidence& evidence);

// Notes the mask while the library loads.
void remember_start() noexcept;

// What `corewise run` tells the program that it becomes: "PID START LIST", the process PID, which
// began at START, had the CPUs of LIST. A libgomp that the program is linked with binds its thread
// before any code of ours runs. Children inherit the variable, but are other processes.
inline constexpr const char* kLaunched = "COREWISE_LAUNCHED_ON";
std::string launched_value(const os::Machine& machine);

// Whether a runtime may still bind the main thread: then a changed mask alone does not show who
// changed it.
bool may_bind(const os::Machine& machine);

// This process's mask, given that the main thread's is now `now`.
std::optional<os::ProcessMask> own_mask(const os::Machine& machine, const std::string& now);

}  // namespace thread_binding

// This process on this machine; its budget is not its main thread's placement. Knows the pools
// found so far; synchronise() looks for more.
template <class Base>
class Own final : public Base {
 public:
  using Base::Base;
  std::optional<os::ProcessMask> process_mask(const std::string& now) const override {
    return thread_binding::own_mask(*this, now);
  }
};
using OwnMachine = Own<os::LiveMachine>;

}  // namespace corewise
