// How many threads OpenBLAS starts. Over pthreads it starts one per CPU of the process as it is
// loaded, before anybody can hook it: on 64 CPUs that takes 2.6 GB of address space, and ends the
// program where `ulimit -u` or `-v` is small. BLAS calls get no more than the budget anyway, so a
// governed program needs no more threads.
//
// The variable is GOTO_NUM_THREADS: every OpenBLAS reads it, and OPENBLAS_NUM_THREADS wins over it,
// whoever sets that. OMP_NUM_THREADS does not, but would without ours; so we make up for what the
// program sets there before it loads OpenBLAS. OpenMP's teams are whole: nothing bounds them.
#pragma once

#include <optional>
#include <string>

#include "os/machine.h"

namespace corewise::govern::start_bound {

inline constexpr const char* kName = "GOTO_NUM_THREADS";
// Set to the same value, so that we do not take ours for the user's.
inline constexpr const char* kMarker = "COREWISE_BLAS_STARTED";

// The value of both for a program that is started with this budget on `cpus` CPUs and the variables
// of `machine`; nothing if its user has given a number for OpenBLAS, or if it starts no more
// threads than that by itself.
std::optional<std::string> value_for(int budget, int cpus, const os::Machine& machine);

// True of a process that a framework started and for which it will set OMP_NUM_THREADS, which the
// user did not set: Ray's workers do so before each task. That number is a default, so that many
// workers do not overload the machine, which the ledger sees to.
bool awaits_default(const os::Machine& machine);

// How many threads an OpenBLAS that was loaded with these variables should have; nothing if it has
// them. `instead`: not 0 if OMP_NUM_THREADS is a framework's default, and no bound; then it should
// have so many. Else the number is what it would be if kName were not ours.
std::optional<int> asked_beside(int cpus, int instead, const os::Machine& machine);

}  // namespace corewise::govern::start_bound
