// Folders that nobody but this user may enter.
#pragma once

#include <string>

namespace corewise::os {

// Makes it where it is missing. Empty, or what is wrong: it is no folder, a link, somebody else's,
// or open to others.
std::string make_private_folder(const std::string& folder);

}  // namespace corewise::os
