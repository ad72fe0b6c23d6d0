// The budget of a group that somebody changes while its programs run (`corewise budget --group`).
//
// The ledger's file keeps it beside the budget that each program brings, and it wins while it is
// there: all programs look at it at each region and call. It ends with the group: a program that
// joins erases the choice if no process is left that was there when it was made, or that joined
// since. The file alone cannot tell, because it outlives the programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "ledger_layout.h"

namespace corewise::govern {

struct GroupMember {
  int pid = 0;
  int tokens = 0;  // threads granted to it now
  std::string program;
};

struct BudgetGroup {
  std::string path;
  int budget = 0;       // that holds now
  bool chosen = false;  // while the programs run
  std::vector<GroupMember> members;
};

// The group of the calling user with this name; no value if no program is in it. CW_NOT_PERMITTED
// if the file in its place is not plainly the user's ledger.
Result<std::optional<BudgetGroup>> find_group(const std::string& name,
                                              const std::string& directory = "/dev/shm");

// Chooses a budget for all programs of the group, from now on; 0 gives each its own again. The
// answer is the group as it was before.
Result<std::optional<BudgetGroup>> choose_group_budget(const std::string& name, int budget,
                                                       const std::string& directory = "/dev/shm");

// For a process that has just mapped the ledger at `path`: forgets a choice that was made for
// programs that have all ended.
void join_group(Shared& shared, const std::string& path);

}  // namespace corewise::govern
