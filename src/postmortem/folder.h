// Where death reports are: $XDG_STATE_HOME/corewise, else ~/.local/state/corewise, else
// /tmp/corewise-UID; a folder that nobody else may enter.
#pragma once

#include <optional>
#include <string>

#include "../error.h"

namespace corewise::postmortem {

// Makes it, and removes all but the newest reports. CW_NOT_PERMITTED if none can be private.
Result<std::string> make_death_folder();

// The newest report of them all; empty if there is none.
std::string newest_report();

}  // namespace corewise::postmortem
