// The report itself, written inside a signal handler: nothing here allocates, locks or waits, and
// memory that may be damaged is read through the kernel.
#pragma once

#include <signal.h>

#include "scene.h"

namespace corewise::postmortem {

// One line of JSON, docs/json.md, "death". False if it could not be written. One caller at a time.
bool write_report(const Scene& scene, int signal, const siginfo_t* info,
                  const void* context) noexcept;

// Takes this process's report back.
void remove_report(const Scene& scene) noexcept;

}  // namespace corewise::postmortem
