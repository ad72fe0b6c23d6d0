// A sample: what the threads of this process do now, by the pool that they belong to, and what of
// the machine the process has. docs/control.md has the keys.
#pragma once

#include <string>
#include <vector>

namespace corewise::observe {

// `each`: with a list of all threads. Costs some microseconds a thread, and is for once a second or
// so. From any thread; what belongs to each thread (OpenMP's counts) is that of the calling one.
std::string sample_json(bool each);

// By pool, how many of its workers ran though nobody was in a region or call: seen twice, 0.1 s
// apart, so that those that are about to fall asleep do not count. Empty where it cannot be told:
// the process is not governed, or somebody was inside. Waits only if there are such workers.
std::vector<int> spinning_workers();

}  // namespace corewise::observe
