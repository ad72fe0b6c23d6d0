// Whose the main thread's mask is: the process's, or an OpenMP runtime's that bound the thread.
//
// Told by OMP_PROC_BIND and its like, libgomp binds the thread that loads it to one place, libomp
// the thread that starts its first region. That is the placement of one thread; the process has the
// CPUs from before, and the runtime's other threads go to them. Where the program, a launcher or
// another user narrows the mask, it is the process's.
//
// The kernel does not say who narrowed a mask. libgomp does: it knows its places, and how many CPUs
// it found. Of the others it is concluded: they are loaded, a variable asks them to bind, and the
// mask became narrower than it was. What changes after a runtime has bound its thread is somebody
// else's doing.
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

namespace binding {

// What tells who narrowed a mask.
struct Evidence {
  std::vector<Places> places = {};  // of the runtimes that tell
  bool late_binder = false;  // a variable asks to bind, and a runtime is there that does not tell
  std::vector<CpuSet> before = {};    // masks the main thread may have had, the likeliest first
  std::vector<CpuSet> launched = {};  // the same, but the program may have been narrowed since
};

// What was concluded, from which mask.
struct Conclusion {
  int pid = 0;                                                  // whose
  CpuSet seen;                                                  // the main thread's
  CpuSet own;                                                   // the process's
  enum class By { kNobody, kTold, kLate } bound = By::kNobody;  // what the evidence is
  // A runtime binds the thread once. What changes after that is somebody else's doing.
  bool told_is_done = false;
  bool late_is_done = false;
  // Just forked. libomp, in the child, gives the thread its mask back, and binds it again at its
  // first region there.
  bool forked = false;

  bool is_bound() const { return bound != By::kNobody; }
};

// `last` is what was concluded before in the same process, or null.
Conclusion conclude(const CpuSet& now, const Conclusion* last, const Evidence& evidence);

// Notes the mask as the library is loaded.
void remember_start() noexcept;

// What `corewise run` tells the program that it becomes: "PID START LIST", the process PID, which
// began at START, had the CPUs of LIST. A libgomp that the program is linked with binds its thread
// before any code of ours runs. Children inherit the variable, and are others.
inline constexpr const char* kLaunched = "COREWISE_LAUNCHED_ON";
std::string launched_value(const os::Machine& machine);

// Whether a runtime may still bind the main thread: then a mask that changes does not tell by
// itself whose it is.
bool may_bind(const os::Machine& machine);

// Of this process, where the main thread's mask is now `now`.
std::optional<os::ProcessMask> own_mask(const os::Machine& machine, const std::string& now);

}  // namespace binding

// This process on this machine, whose budget is not its main thread's placement. Knows the pools
// that were found so far; synchronise() looks for more.
template <class Base>
class Own final : public Base {
 public:
  using Base::Base;
  std::optional<os::ProcessMask> process_mask(const std::string& now) const override {
    return binding::own_mask(*this, now);
  }
};
using OwnMachine = Own<os::LiveMachine>;

}  // namespace corewise
