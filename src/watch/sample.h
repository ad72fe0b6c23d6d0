// A sample: what the threads of this process do now, by the pool that they belong to, and what the
// process has of the machine. docs/control.md has the keys.
#pragma once

#include <string>
#include <vector>

namespace corewise::observe {

// `each`: with a list of all threads. Costs some microseconds a thread; meant for once a second or
// so. Any thread may call it; per-thread values (OpenMP's counts) are the calling thread's.
std::string sample_json(bool each);

// By pool, how many of its workers ran though no thread was in a region or call. Looks twice, 0.1 s
// apart, so that workers about to fall asleep do not count. Empty if it cannot tell: the process is
// not governed, or a thread was inside. Waits only if there are such workers.
std::vector<int> spinning_workers();

}  // namespace corewise::observe
