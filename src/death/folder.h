// Where death reports are: $XDG_STATE_HOME/corewise, else ~/.local/state/corewise, else
// /tmp/corewise-UID; a folder that nobody else may enter. It is made when something dies, not
// before.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"

namespace corewise::death {

struct Folder {
  std::string path;
  std::size_t given = 0;  // as os::open_private_folder() has it
};

// The folders that can take a report, in order of preference. CW_NOT_PERMITTED if none can be
// private.
Result<std::vector<Folder>> death_folders();

// Removes all but the newest reports.
void remove_old_reports(const std::vector<Folder>& folders);

// All reports, the newest first.
std::vector<std::string> reports_by_age();

// The path of the notebook whose kernel this process is, or belongs to, as Jupyter's server says it
// (JPY_SESSION_NAME); empty: not known.
std::string own_notebook();

}  // namespace corewise::death
