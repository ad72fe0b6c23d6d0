#include "own_program.h"

#include <sys/auxv.h>

#include <filesystem>
#include <system_error>

namespace corewise::cli {

std::string own_program() {
  std::error_code unknown;
  std::string file = std::filesystem::read_symlink("/proc/self/exe", unknown).string();
  if (!file.empty()) return file;
  const auto* const started = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (started != nullptr) file = std::filesystem::canonical(started, unknown).string();
  return file;
}

}  // namespace corewise::cli
