#include "show_manual.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <system_error>

#include "exit_codes.h"
#include "os/os.h"
#include "output.h"

namespace corewise::cli {

int show_manual() {
  std::error_code unknown;
  const std::string folder =
      std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path().string();
  const std::string page = os::real_path(folder + "/../" COREWISE_MANDIR "/man1/corewise.1");
  if (page.empty()) {
    return fail(kFailed,
                fmt::format("the man page was not installed beside {}", printable(folder, false)),
                "`corewise help COMMAND` prints the help of a command");
  }
  const std::array<const char*, 4> words = {"man", "-l", page.c_str(), nullptr};
  ::execvp(words[0], const_cast<char* const*>(words.data()));
  return fail(kNotFound, "`man` was not found",
              fmt::format("install man-db, or read {}", printable(page, false)));
}

}  // namespace corewise::cli
