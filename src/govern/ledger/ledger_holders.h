// Who holds what of the ledgers, for people; and which of their files are of no use any more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "advice/facts.h"

namespace corewise::govern {

// The calling user's ledgers in a directory, and those that hold threads of them.
std::vector<HeldLedger> held_ledgers(const std::string& directory = "/dev/shm");

// Removes the files of ledgers, but for `keep`, that no living process is in or has mapped. Takes
// the lock of each meanwhile (ledger_shm.cpp), so that nobody opens what is being removed. Reads
// the maps of the user's processes only if there is such a file.
void sweep_ledgers(const std::string& directory, std::string_view keep);

}  // namespace corewise::govern
