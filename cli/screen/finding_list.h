// The doctor's findings: for people, and as an exit code.
#pragma once

#include <string>
#include <vector>

#include "advice/finding.h"
#include "shell/commands.h"

namespace corewise::cli {

// Adds the findings that are not there yet: several processes may have the same one.
void merge(std::vector<Finding>& into, const std::vector<Finding>& more);

// Writes them, most severe first. `about` names the process ("process 4711"). Returns kOk, or
// kFailed if one is a warning or a danger.
int show_findings(const std::vector<Finding>& found, const std::string& about,
                  const Context& context);
// Its exit code: 1 if there is a warning or a danger.
int exit_for_findings(const std::vector<Finding>& findings);

}  // namespace corewise::cli
