// How many threads OpenBLAS starts. Over pthreads it does so when it is loaded, one per CPU of the
// process, before anybody can hook it: on 64 CPUs 2.6 GB of address space, and the end of the
// program where `ulimit -u` or `-v` is small. BLAS calls get no more than the budget anyway, so
// that a governed program needs no more threads.
//
// The variable is GOTO_NUM_THREADS: every OpenBLAS reads it, and OPENBLAS_NUM_THREADS goes before
// it, whoever sets that. OMP_NUM_THREADS does not, but would without ours; so what the program sets
// there before it loads OpenBLAS is made up for. OpenMP's teams are whole: nothing bounds those.
#pragma once

#include <optional>
#include <string>

#include "os/machine.h"

namespace corewise::govern::start_bound {

inline constexpr const char* kName = "GOTO_NUM_THREADS";
// Set to the same, so that the other is not taken for the user's.
inline constexpr const char* kMarker = "COREWISE_BLAS_STARTED";

// What both are to be for a program that is started with this budget on so many CPUs and the
// variables of `machine`; nothing where its user has given a number for OpenBLAS, or where it
// starts no more threads than that by itself.
std::optional<std::string> value_for(int budget, int cpus, const os::Machine& machine);

// How many threads an OpenBLAS would have that was loaded with these variables, had kName not been
// ours; nothing where ours changes nothing.
std::optional<int> asked_beside(int cpus, const os::Machine& machine);

}  // namespace corewise::govern::start_bound
