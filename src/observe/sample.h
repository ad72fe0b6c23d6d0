// A sample: what the threads of this process do now, by the pool that they belong to, and what of
// the machine the process has. docs/control.md has the keys.
#pragma once

#include <string>

namespace corewise::observe {

// `each`: with a list of all threads. Costs some microseconds a thread, and is for once a second or
// so. From any thread; what belongs to each thread (OpenMP's counts) is that of the calling one.
std::string sample_json(bool each);

}  // namespace corewise::observe
