// corewise info: this machine, and what is set here that thread pools read.
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "exit_codes.h"
#include "info.h"
#include "json.h"
#include "os/os.h"
#include "thread_variables.h"

namespace corewise::cli {
namespace {

struct Quota {
  double cpus = 0;
  std::string file;
};

std::vector<int> allowed_cpus() {
  // The kernel refuses a mask smaller than its own; no machine needs the last try.
  for (std::size_t count = 1024; count <= (std::size_t{1} << 20); count *= 4) {
    std::vector<cpu_set_t> mask(count / CPU_SETSIZE);
    const std::size_t bytes = mask.size() * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, mask.data()) != 0) continue;
    std::vector<int> cpus;
    for (std::size_t cpu = 0; cpu < count; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, mask.data())) cpus.push_back(static_cast<int>(cpu));
    }
    return cpus;
  }
  return {};
}

// "0-3,8", as the kernel writes it.
std::string list_of(const std::vector<int>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i;
    while (end + 1 < cpus.size() && cpus[end + 1] == cpus[end] + 1) ++end;
    text += text.empty() ? "" : ",";
    text += std::to_string(cpus[i]);
    if (end > i) text += fmt::format("-{}", cpus[end]);
    i = end + 1;
  }
  return text;
}

// "max 100000" or "150000 100000".
std::optional<double> quota_in(const std::string& text) {
  double quota = 0, period = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, quota);
  if (first.ec != std::errc{} || first.ptr == end) return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc{} || period <= 0 || quota <= 0) return std::nullopt;
  return quota / period;
}

// The tightest of the cgroup v2 this process is in and those above it.
std::optional<Quota> tightest_quota() {
  const auto groups = os::read_file("/proc/self/cgroup");
  if (!groups) return std::nullopt;
  const std::size_t at = groups->find("0::/");
  if (at == std::string::npos) return std::nullopt;
  std::string group = groups->substr(at + 3, groups->find('\n', at) - at - 3);
  std::optional<Quota> tightest;
  while (true) {
    const std::string file =
        "/sys/fs/cgroup" + group + (group.ends_with('/') ? "" : "/") + "cpu.max";
    if (const auto text = os::read_file(file)) {
      const auto cpus = quota_in(*text);
      if (cpus && (!tightest || *cpus < tightest->cpus)) tightest = Quota{*cpus, file};
    }
    if (group.empty() || group == "/") return tightest;
    group.resize(group.rfind('/'));
  }
}

}  // namespace

int info_of_machine(const InfoOptions&, const Context& context) {
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  const std::vector<int> allowed = allowed_cpus();
  const auto quota = tightest_quota();
  const auto variables = thread_variables(own_environment());

  if (context.settings.json) {
    Json json;
    json.open('{').field("schema_version", 1).field("cpus_online", static_cast<int>(online));
    json.field("cpus_allowed", list_of(allowed));
    json.field("cpus_allowed_count", static_cast<int>(allowed.size())).key("cpu_quota");
    quota ? json.value(quota->cpus) : json.null();
    json.key("environment").open('{');
    for (const Variable& variable : variables) json.field(variable.name, variable.value);
    json.close('}').close('}');
    write_out(json.text() + "\n");
    return kOk;
  }

  const Style style = style_for(context.settings);
  std::string out = painted("This machine", Paint::kBold, style) + "\n";
  out += fmt::format("  CPUs online   {}\n", online);
  out += fmt::format("  CPUs allowed  {} ({})\n", allowed.size(), list_of(allowed));
  out += quota ? fmt::format("  CPU quota     {:.4g} CPUs ({})\n", quota->cpus,
                             printable(quota->file, style.unicode))
               : "  CPU quota     none found\n";
  out += "\n" + painted("Thread variables set here", Paint::kBold, style) + "\n";
  std::size_t widest = 0;
  for (const Variable& variable : variables) widest = std::max(widest, variable.name.size());
  for (const Variable& variable : variables) {
    out += fmt::format("  {:<{}}  {}\n", printable(variable.name, style.unicode), widest,
                       printable(variable.value, style.unicode));
  }
  if (variables.empty()) out += "  none: runtimes start one thread per allowed CPU\n";
  if (!context.settings.quiet) {
    out +=
        "\nPools live in processes:\n"
        "  corewise info -i numpy    the pools that Python modules bring\n"
        "  corewise info --pid PID   those of a running process\n";
  }
  write_out(out);
  return kOk;
}

}  // namespace corewise::cli
