// Which process holds what in the ledgers, for people; and which ledger files are of no more use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "advice/facts.h"

namespace corewise::govern {

// The calling user's ledgers in a directory, and the processes that hold threads of them.
std::vector<HeldLedger> held_ledgers(const std::string& directory = "/dev/shm");

// Removes ledger files that no living process is in or has mapped, except `keep`. Holds each file's
// lock meanwhile (ledger_shm.cpp), so that nobody opens what is being removed. Reads the maps of
// the user's processes only if there is such a file.
void sweep_ledgers(const std::string& directory, std::string_view keep);

}  // namespace corewise::govern
