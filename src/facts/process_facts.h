// The doctor's input: everything known of this process, or of another one seen from outside.
#pragma once

#include "advice/facts.h"
#include "os/machine.h"
#include "outside/process.h"

namespace corewise {

// This process, with the pools found so far; synchronise() looks for more. Counts are those of the
// calling thread. Reads the environment as getenv does.
ProcessFacts facts_of_this_process();

// Another process, or a recording, whose folder is laid out like /proc/PID. We cannot read an
// OpenMP count there: we take it to be the one that new threads begin with.
ProcessFacts facts_of_process(const outside::Process& process, const std::string& folder);

}  // namespace corewise
