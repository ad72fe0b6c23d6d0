// Takes a sample of this process.
#pragma once

#include <vector>

#include "sample_record.h"

namespace corewise::observe {

// `each`: with a list of all threads. Costs some microseconds a thread; meant for once a second or
// so. Any thread may call it; per-thread values (OpenMP's counts) are the calling thread's.
Sample take_sample(bool each);

// By pool, how many of its workers ran though no thread was in a region or call. Reads them twice,
// 0.1 s apart, so that workers about to fall asleep do not count. Empty if it cannot tell: the
// process is not governed, or a thread was inside. Waits only if there are such workers.
std::vector<int> spinning_workers();

}  // namespace corewise::observe
