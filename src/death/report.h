// The report itself, written inside a signal handler: nothing here allocates, locks or waits, and
// memory that may be damaged is read through the kernel.
#pragma once

#include <cstdint>
#include <optional>

#include "machine_state.h"
#include "scene.h"

namespace corewise::death {

// Where a thread was, and what address it could not reach.
struct DeathPoint {
  MachineState state;
  std::optional<std::uintptr_t> address;  // none: it did not die of an address
  bool sent = false;                      // a fault's signal without a fault: somebody sent it
};

// Whether a pool's library raises SIGTERM in its own process. If the library jumps to raise()
// instead of calling it, the return address is in the library's caller: code that was made at run
// time. One caller at a time, as for write_report().
bool is_ended_by_a_pool(const Scene& scene, const MachineState& caller) noexcept;

// Whether the caller of exit() is a library that does so when it is out of memory.
bool is_exit_of_a_pool(const Scene& scene, const MachineState& caller) noexcept;

// One line of JSON, docs/json.md, "death". Signal 0 is kExit. False if it could not be
// written. One caller at a time.
bool write_report(const Scene& scene, int signal, const DeathPoint& point) noexcept;

}  // namespace corewise::death
