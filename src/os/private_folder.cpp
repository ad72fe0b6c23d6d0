#include "private_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace corewise::os {

std::string make_private_folder(const std::string& folder) {
  struct stat seen{};
  if ((::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) ||
      ::lstat(folder.c_str(), &seen) != 0) {
    return std::generic_category().message(errno);
  }
  if (!S_ISDIR(seen.st_mode)) return "it is no folder";
  if (seen.st_uid != ::geteuid()) return "it belongs to somebody else";
  if ((seen.st_mode & 077) != 0) return "others may enter it: chmod 700";
  return {};
}

}  // namespace corewise::os
