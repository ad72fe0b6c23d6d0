// Folders that only this user may enter.
#pragma once

#include <cstddef>
#include <string>

namespace corewise::os {

// Makes the folder if it is missing. Returns an empty text, or what is wrong: it is not a folder,
// is a link, belongs to somebody else, or is open to others.
std::string make_private_folder(const std::string& folder);

enum class Missing { leave, make };

// Opens a private folder below folders that others made; -1 with errno if it cannot. May be called
// in a signal handler.
//
// Every folder and every link on the way must belong to this user or to root: if root runs with
// another user's HOME, that user must not choose where root goes. Where a link leads through other
// folders, only the last of them is looked at: the link's owner chose that way. The first `given`
// characters of the path must exist. Missing folders after them are made with mode 0700, in this
// user's own folders or in one like /tmp. Missing::leave makes nothing; ENOENT then says that it
// could.
int open_private_folder(const char* path, std::size_t given, Missing missing) noexcept;

}  // namespace corewise::os
