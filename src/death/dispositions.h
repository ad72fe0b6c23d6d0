// What the program believes about the signals that the death watch handles: it sets and reads its
// own handlers as if ours were not there. Rust's runtime, for one, installs its guard against stack
// overflows only if it finds SIG_DFL.
//
// The kernel has our handler, with the flags and the mask of the program's; if the program ignores
// a signal, the kernel has SIG_IGN, which survives exec as it should. We answer sigaction() and
// signal() where modules call the C library's: their GOT entries are rewritten. Code that goes
// around the GOT entries sees our handler, and replaces it if it sets another.
//
// A signal handler may call every function here except take_over() and hook_new_modules().
#pragma once

#include <signal.h>

#include "machine_state.h"

namespace corewise::death {

// In place of a signal's number: the process ends by exit() with a code that is not 0.
inline constexpr int kExit = 0;

using Handler = void(int, siginfo_t*, void*);
using OnEnd = void(int signal, const MachineState& caller);

// From now on, for the signals that end a process by a fault of its own. Call it once. `ending` is
// called when a module is about to end the process by abort() or raise(), SIGTERM included, and
// nothing handles the signal, or by exit(). It knows the module, where a handler would only find
// the C library; and a handler on an alternate stack, where many an abort() happens, may have no
// room for another signal's frame.
void take_over(Handler* ours, OnEnd* ending);

// Rewrites the GOT entries of modules loaded since; skips it while another thread is at it.
void hook_new_modules();

// What the program has set for one of these signals.
struct sigaction program_of(int signal) noexcept;

// Sets the program's back to SIG_DFL, as the kernel does for SA_RESETHAND.
void reset_program(int signal) noexcept;

// Whether the kernel would end the process by the signal: somebody went around us.
bool is_deadly(int signal) noexcept;

}  // namespace corewise::death
