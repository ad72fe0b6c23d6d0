#include "survey.h"

#include <utility>

#include "base/text.h"

namespace corewise {

using Access = os::FileText::Access;

std::optional<std::string> Survey::text_of(const std::string& path, os::FileText read) {
  if (read.access == Access::kUnreadable) {
    finding(path + " cannot be read (" + read.text + "); what it may constrain is not counted.");
  }
  if (read.access != Access::kRead) return std::nullopt;
  return std::move(read.text);
}

std::optional<std::string> Survey::file(const std::string& path) {
  return text_of(path, machine_.read(path));
}

std::optional<std::string> Survey::watch(const std::string& path, const char* line) {
  os::FileText read = machine_.read(path);
  Watched watched{path, line, read};
  if (!watched.line.empty() && read.access == Access::kRead) {
    watched.seen.text = line_starting(read.text, watched.line);
  }
  budget_.watched.push_back(std::move(watched));
  return text_of(path, std::move(read));
}

std::optional<CpuSet> Survey::list_of(const std::string& path,
                                      const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  auto set = parse_cpulist(*text);
  if (!set) misread(path, *text, "a list of CPUs");
  return set;
}

std::optional<CpuSet> Survey::cpulist(const std::string& path) { return list_of(path, file(path)); }

std::optional<CpuSet> Survey::watch_cpulist(const std::string& path) {
  return list_of(path, watch(path));
}

std::optional<std::string> Survey::variable(const char* name) const {
  auto value = machine_.variable(name);
  if (value && trim(*value).empty()) value.reset();
  return value;
}

void Survey::constrain(Source source, std::string where, double cpus, std::string detail,
                       int ranks) {
  budget_.constraints.push_back({source, std::move(where), cpus, std::move(detail), ranks, false});
}

void Survey::misread(const std::string& where, std::string_view content, const char* what) {
  finding(where + " holds " + quote(trim(content)) + ", which is not " + what +
          "; it was ignored.");
}

}  // namespace corewise
