// The report itself, written inside a signal handler: nothing here allocates, locks or waits, and
// memory that may be damaged is read through the kernel.
#pragma once

#include <cstdint>
#include <optional>

#include "machine_state.h"
#include "scene.h"

namespace corewise::postmortem {

// Where a thread was, and what address it could not reach.
struct Place {
  MachineState state;
  std::optional<std::uintptr_t> address;  // none: that is not what it died of
};

// One line of JSON, docs/json.md, "death". False if it could not be written. One caller at a time.
bool write_report(const Scene& scene, int signal, const Place& place) noexcept;

}  // namespace corewise::postmortem
