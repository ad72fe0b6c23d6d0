#include "library.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "os/os.h"
#include "shell/output.h"
#include "shell/own_program.h"

namespace corewise::cli {

Result<std::string> find_library() {
  const char* chosen = std::getenv("COREWISE_LIBRARY");
  if (chosen != nullptr && *chosen != '\0') {
    std::string found = os::real_path(chosen);
    if (!found.empty()) return found;
    return Error{CW_IO_ERROR,
                 fmt::format("COREWISE_LIBRARY is '{}', and there is no such file: set it to "
                             "libcorewise.so, or remove it",
                             printable(chosen, false))};
  }
  const std::string folder = std::filesystem::path(own_program()).parent_path().string();
  for (const char* place : {"/../lib/libcorewise.so", "/../" COREWISE_LIBDIR "/libcorewise.so",
                            "/../src/libcorewise.so", "/libcorewise.so"}) {
    std::string found = os::real_path(folder + place);
    if (!found.empty()) return found;
  }
  return Error{CW_IO_ERROR,
               fmt::format("libcorewise.so was not found beside this program, in {}: set "
                           "COREWISE_LIBRARY to the file",
                           printable(folder, false))};
}

Result<std::string> preload_list() {
  auto library = find_library();
  if (!library) return library.error();
  if (library->find_first_of(" :$") != std::string::npos) {
    return Error{CW_NOT_AVAILABLE,
                 fmt::format("the library cannot be preloaded from '{}': LD_PRELOAD takes no path "
                             "with a space, colon or dollar sign; copy it elsewhere and set "
                             "COREWISE_LIBRARY to the copy, or use --no-govern",
                             printable(*library, false))};
  }
  const char* value = std::getenv("LD_PRELOAD");
  const std::string inherited = value != nullptr ? value : "";
  if (inherited.empty()) return library;
  const bool first = inherited.starts_with(*library) &&
                     (inherited.size() == library->size() ||
                      inherited.find_first_of(" :", library->size()) == library->size());
  return first ? inherited : *library + ":" + inherited;
}

}  // namespace corewise::cli
