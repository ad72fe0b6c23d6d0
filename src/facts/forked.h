// Whether a process was forked, with no exec since, from one that was already using libgomp.
#pragma once

#include <string>
#include <vector>

namespace corewise {

// `proc` is where /proc is, `libraries` the paths of the libgomp copies that the process has.
//
// A child of a fork has its parent's mappings at the same addresses, and an idle worker of libgomp
// waits inside libgomp's own code. True if the parent, which must still run, has such a worker that
// is no younger than the child. False if the kernel does not let us read this
// (kernel.yama.ptrace_scope).
bool forked_after_openmp(const std::string& proc, int pid,
                         const std::vector<std::string>& libraries);

}  // namespace corewise
