#include "other_copy.h"

#include <algorithm>
#include <string>

#include "elf/elf_reader.h"
#include "os/os.h"
#include "pools/discover.h"

namespace corewise::govern {
namespace {

using ReportJson = std::size_t (*)(char*, std::size_t);
constexpr const char* kReportJson = "cw_govern_report_json";

bool is_ours(const os::LoadedModule& module) {
  return module.contains(reinterpret_cast<std::uintptr_t>(&another_copy_governs));
}

bool governs(ReportJson report_json) {
  // The report may grow between the two calls.
  std::string text(report_json(nullptr, 0) + 4096, '\0');
  text.resize(std::min(report_json(text.data(), text.size()), text.size()));
  return text.find("\"governed\":true") != std::string::npos;
}

}  // namespace

std::optional<Error> another_copy_governs() {
  for (const os::LoadedModule& module : modules()) {
    if (is_ours(module)) continue;
    const os::Held held(module);
    if (!held) continue;
    const std::uintptr_t address = elf::LiveSymbols(module).address(kReportJson);
    if (address == 0 || !governs(reinterpret_cast<ReportJson>(address))) continue;
    return Error{CW_NOT_AVAILABLE,
                 "this process is governed already, by another copy of corewise, " + module.path +
                     ": start it with the `corewise` of the same installation"};
  }
  return std::nullopt;
}

}  // namespace corewise::govern
