#include "show_manual.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "exit_codes.h"
#include "os/os.h"
#include "output.h"
#include "own_program.h"

namespace corewise::cli {

int show_manual() {
  const std::filesystem::path folder = std::filesystem::path(own_program()).parent_path();
  // A wheel's program lies deep in the environment that has the page in its own share/man.
  std::string page;
  for (auto prefix = folder; page.empty() && prefix.has_relative_path();) {
    prefix = prefix.parent_path();
    page = os::real_path((prefix / COREWISE_MANDIR "/man1/corewise.1").string());
  }
  if (page.empty()) {
    return fail(
        kFailed,
        fmt::format("the man page was not installed beside {}", printable(folder.string(), false)),
        "`corewise help COMMAND` prints the help of a command");
  }
  const std::array<const char*, 4> words = {"man", "-l", page.c_str(), nullptr};
  ::execvp(words[0], const_cast<char* const*>(words.data()));
  return fail(kNotFound, "`man` was not found",
              fmt::format("install man-db, or read {}", printable(page, false)));
}

}  // namespace corewise::cli
