// Folders that nobody but this user may enter.
#pragma once

#include <cstddef>
#include <string>

namespace corewise::os {

// Makes it where it is missing. Empty, or what is wrong: it is no folder, a link, somebody else's,
// or open to others.
std::string make_private_folder(const std::string& folder);

enum class Missing { leave, make };

// Opens a private folder that lies below folders of others' making; -1 with errno. May be called in
// a signal handler.
//
// Every folder and every link on the way must be this user's or root's: root with somebody else's
// HOME goes nowhere that this somebody may choose. The first `given` characters of the path must be
// there already; what is missing behind them is made with mode 0700, in this user's own folders or
// in one like /tmp. With Missing::leave nothing is made, and ENOENT says that it could be.
int open_private_folder(const char* path, std::size_t given, Missing missing) noexcept;

}  // namespace corewise::os
