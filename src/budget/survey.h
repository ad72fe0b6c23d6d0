// How the parts of the budget read the machine: one place that remembers what they read, and turns
// what they cannot use into findings.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "budget_types.h"

namespace corewise {

class Survey {
 public:
  Survey(const os::Machine& machine, Budget& budget) : machine_(machine), budget_(budget) {}

  const os::Machine& machine() const { return machine_; }
  Budget& budget() { return budget_; }

  CpuSet online;  // the machine's CPUs
  CpuSet cpuset;  // those of them that the cgroup allows, whatever the thread's own mask
  bool mask_is_certain = false;  // it is the process's, not where OpenMP placed one thread

  // The text of a file; nothing if it is missing, nothing and a finding if it cannot be read.
  std::optional<std::string> file(const std::string& path);

  // The same, and budget_changed() will read it again: only one line of it, if `line` is given.
  std::optional<std::string> watch(const std::string& path, const char* line = "");

  // The CPU list that the file holds; a finding if it holds something else.
  std::optional<CpuSet> cpulist(const std::string& path);
  std::optional<CpuSet> watch_cpulist(const std::string& path);

  // A variable that is set and not empty.
  std::optional<std::string> variable(const char* name) const;

  void constrain(Source source, std::string where, double cpus, std::string detail, int ranks = 1);
  void finding(std::string sentence) { budget_.findings.push_back(std::move(sentence)); }

  // "FILE holds "junk", which is not WHAT; it was ignored."
  void misread(const std::string& where, std::string_view content, const char* what);

 private:
  std::optional<std::string> text_of(const std::string& path, os::FileText read);
  std::optional<CpuSet> list_of(const std::string& path, const std::optional<std::string>& text);

  const os::Machine& machine_;
  Budget& budget_;
};

// The parts. Each adds its constraints and findings.
void survey_cgroups(Survey& survey);     // narrows budget.allowed by cpusets
void survey_schedulers(Survey& survey);  // after masks and quotas, which ranks divide
void survey_topology(Survey& survey);    // of budget.allowed

// What schedulers' variables say, as parsers of their text; apart for tests.

// Slurm's counts per node, "2(x3),1": two on each of the first three nodes, one on the fourth.
// The count of node number `node`; the largest when the node is not known.
std::optional<int> parse_slurm_counts(std::string_view text, std::optional<std::size_t> node);

// LSF's hosts with their slots, "alpha 4 beta 8": the slots of `host`, by full or short name.
std::optional<int> parse_lsf_hosts(std::string_view text, std::string_view host);

}  // namespace corewise
