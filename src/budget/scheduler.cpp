// Grants of workload managers, read from their variables. See docs/budget.md.
//
// There are two kinds. Some say what one process gets (SLURM_CPUS_PER_TASK). Others say what a node
// gets, and the ranks on that node share it.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "preset_counts.h"
#include "survey.h"

namespace corewise {
namespace {

constexpr std::int64_t kMostTasks = 1 << 20;

std::optional<int> parse_count(std::string_view text) {
  const auto value = parse_integer(trim(text));
  if (!value || *value < 1 || *value > kMostTasks) return std::nullopt;
  return static_cast<int>(*value);
}

// Processes that share the node with this one, itself included.
struct Ranks {
  int count = 1;
  std::string where;
};

// A variable that must hold a count; anything else becomes a finding.
std::optional<int> count_of(Survey& survey, const char* name) {
  const auto text = survey.variable(name);
  if (!text) return std::nullopt;
  const auto count = parse_count(*text);
  if (!count) survey.misread(name, *text, "a count of 1 or more");
  return count;
}

Ranks mpi_ranks(Survey& survey) {
  constexpr std::array kNames = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
                                 "MV2_COMM_WORLD_LOCAL_SIZE", "PMI_LOCAL_SIZE"};
  for (const char* name : kNames) {
    if (const auto count = count_of(survey, name)) return {*count, name};
  }
  return {};
}

// The script of sbatch: Slurm runs it once, on the first node, outside of any step.
bool is_batch_script(const Survey& survey) {
  return survey.variable("ENVIRONMENT") == "BATCH" && !survey.variable("SLURM_STEP_ID");
}

// How many tasks of the job or step Slurm runs on this node.
Ranks slurm_tasks(Survey& survey) {
  std::optional<std::size_t> node;
  if (const auto text = survey.variable("SLURM_NODEID")) {
    const auto value = parse_integer(trim(*text));
    if (value && *value >= 0) {
      node = static_cast<std::size_t>(*value);
    } else {
      survey.misread("SLURM_NODEID", *text, "a node's number");
    }
  }
  constexpr std::array kNames = {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE",
                                 "SLURM_NTASKS_PER_NODE"};
  for (const char* name : kNames) {
    const auto text = survey.variable(name);
    if (!text) continue;
    const auto count = parse_slurm_counts(*text, node);
    if (!count) {
      survey.misread(name, *text, "a list of task counts");
      continue;
    }
    return {*count, name};
  }
  return {};
}

// Turns a grant to the whole node into this rank's share. `detail` says what the grant is.
void constrain_share(Survey& survey, Source source, const std::string& where, double node,
                     std::string detail, const Ranks& ranks) {
  if (ranks.count > 1) {
    detail += " shared by " + std::to_string(ranks.count) + " local ranks";
    if (ranks.where != where) detail += " (" + ranks.where + ")";
  }
  survey.constrain(source, where, node / ranks.count, std::move(detail), ranks.count);
}

void read_slurm(Survey& survey, const Ranks& mpi) {
  auto each = count_of(survey, "SLURM_CPUS_PER_TASK");
  const auto node = count_of(survey, "SLURM_CPUS_ON_NODE");
  // mpirun inside a job starts its own ranks; Slurm's tasks are then mpirun's helpers.
  const bool by_mpi = mpi.count > 1;
  const bool outside = node && !by_mpi && is_batch_script(survey);
  Ranks ranks = mpi;
  if (outside || (node && !each && !by_mpi)) ranks = slurm_tasks(survey);
  if (outside && ranks.count > 1) {
    // The script has the node's whole grant, however many CPUs each task gets.
    survey.finding(ranks.where + " asks for " + std::to_string(ranks.count) +
                   " tasks, but the batch script runs outside srun, once: the budget is the " +
                   "node's whole grant. Start tasks by srun, or set COREWISE_BUDGET for each.");
    ranks = {};
    each.reset();
  }
  if (each) {
    survey.constrain(Source::kSlurm, "SLURM_CPUS_PER_TASK", *each,
                     counted(*each, "CPU") + " for each task");
  } else if (node) {
    constrain_share(survey, Source::kSlurm, "SLURM_CPUS_ON_NODE", *node,
                    counted(*node, "CPU") + " on the node", ranks);
  }
}

void read_lsf(Survey& survey, const Ranks& mpi) {
  if (const auto hosts = survey.variable("LSB_MCPU_HOSTS")) {
    const auto name = survey.file("/proc/sys/kernel/hostname");
    if (const auto slots = parse_lsf_hosts(*hosts, trim(name.value_or("")))) {
      constrain_share(survey, Source::kLsf, "LSB_MCPU_HOSTS", *slots,
                      counted(*slots, "slot") + " on this host", mpi);
      return;
    }
  }
  for (const char* variable : {"LSB_DJOB_NUMPROC", "LSB_MAX_NUM_PROCESSORS"}) {
    if (const auto count = count_of(survey, variable)) {
      constrain_share(survey, Source::kLsf, variable, *count,
                      counted(*count, "slot") + " of the job", mpi);
      return;
    }
  }
}

void read_pbs(Survey& survey, const Ranks& mpi) {
  // NCPUS is a common name; PBS sets it only inside a PBS job.
  if (survey.variable("PBS_JOBID")) {
    if (const auto count = count_of(survey, "NCPUS")) {
      constrain_share(survey, Source::kPbs, "NCPUS", *count,
                      counted(*count, "CPU") + " on the node", mpi);
      return;
    }
  }
  if (const auto count = count_of(survey, "PBS_NUM_PPN")) {
    constrain_share(survey, Source::kPbs, "PBS_NUM_PPN", *count,
                    counted(*count, "processor") + " on the node", mpi);
  }
}

// These names are so common that they are Grid Engine's only inside one of its jobs. NSLOTS counts
// the slots of all hosts; the file lists those of each.
void read_grid_engine(Survey& survey, const Ranks& mpi) {
  const auto file = survey.variable("PE_HOSTFILE");
  if (!survey.variable("JOB_ID") || !(file || survey.variable("SGE_ROOT"))) return;
  if (file) {
    const auto name = survey.file("/proc/sys/kernel/hostname");
    const auto lines = survey.file(*file);
    std::string_view rest = lines ? std::string_view(*lines) : std::string_view();
    while (!rest.empty()) {
      std::string_view line = cut(rest, '\n');
      const std::string host(cut(line, ' '));
      const std::string entry = host + " " + std::string(cut(line, ' '));
      if (const auto slots = parse_lsf_hosts(entry, trim(name.value_or("")))) {
        constrain_share(survey, Source::kSge, "PE_HOSTFILE", *slots,
                        counted(*slots, "slot") + " on this host", mpi);
        return;
      }
    }
  }
  if (const auto count = count_of(survey, "NSLOTS")) {
    constrain_share(survey, Source::kSge, "NSLOTS", *count, counted(*count, "slot") + " of the job",
                    mpi);
  }
}

// HTCondor describes the job's slot in a file, in lines such as "Cpus = 4".
void read_condor(Survey& survey, const Ranks& mpi) {
  constexpr const char* kFile = "_CONDOR_MACHINE_AD";
  constexpr std::string_view kStart = "Cpus = ";
  const auto file = survey.variable(kFile);
  if (!file) return;
  const auto lines = survey.file(*file);
  const auto line = line_starting(lines ? std::string_view(*lines) : std::string_view(), kStart);
  const auto cpus = parse_count(line.substr(std::min(line.size(), kStart.size())));
  if (!cpus) {
    survey.misread(kFile, *file, "the path of a file with a line \"Cpus = N\"");
    return;
  }
  constrain_share(survey, Source::kCondor, kFile, *cpus, counted(*cpus, "CPU") + " of the slot",
                  mpi);
}

// A pod's limit, if the pod's author passes it on through the downward API.
void read_kubernetes(Survey& survey) {
  const int online = survey.online.count();
  const bool in_pod = survey.variable("KUBERNETES_SERVICE_HOST").has_value();
  for (const char* name : {"COREWISE_CPU_LIMIT", "K8S_CPU_LIMIT", "CPU_LIMIT", "CPU_LIMITS"}) {
    // Outside a pod the general names may mean anything.
    if (!in_pod && std::string_view(name) != "COREWISE_CPU_LIMIT") continue;
    const auto text = survey.variable(name);
    if (!text) continue;
    const auto cpus = parse_cpus(*text);
    if (!cpus) {
      survey.misread(name, *text, "a number of CPUs");
    } else if (*cpus > online) {
      survey.finding(std::string(name) + "=" + format_cpus(*cpus) + " is more than the " +
                     counted(online, "CPU") + " of this machine and bounds nothing. If the " +
                     "resourceFieldRef has divisor 1m, give it divisor 1, or append an m.");
    } else {
      survey.constrain(Source::kKubernetes, name, *cpus, "limits.cpu of the container");
    }
    return;
  }
}

void read_joblib(Survey& survey) {
  constexpr const char* kLoky = "LOKY_MAX_CPU_COUNT";
  const auto count = count_of(survey, kLoky);
  if (count && !preset_counts::is_ours(kLoky, survey.machine())) {
    survey.constrain(Source::kLoky, kLoky, *count, "CPUs for loky and its workers");
  }
  // joblib gives each loky worker its share of the CPUs in the thread variables of seven libraries,
  // and sets ENABLE_IPC=1. It passes on undivided those that the user had set. Nobody sets the one
  // for Apple's library on Linux, so it holds the share.
  if (survey.variable("ENABLE_IPC") != "1") return;
  if (const auto share = count_of(survey, "VECLIB_MAXIMUM_THREADS")) {
    survey.constrain(Source::kJoblib, "VECLIB_MAXIMUM_THREADS", *share,
                     "this joblib worker's share");
  }
}

// Ranks share the quota of their cgroup, and the node. If a rank's mask is no wider than its share
// of the node, only the mask binds: the launcher has already divided the node.
void share_among_ranks(Survey& survey, const Ranks& mpi) {
  if (mpi.count == 1) return;
  double shared = survey.cpuset.count();
  // Slurm may give each task its own cpuset; then this variable counts the step's CPUs.
  if (const auto text = survey.variable("SLURM_CPUS_ON_NODE")) {
    shared = parse_count(*text).value_or(static_cast<int>(shared));
  }
  for (const Constraint& constraint : survey.budget().constraints) {
    if (constraint.source == Source::kQuota) shared = std::min(shared, constraint.cpus);
  }
  constrain_share(survey, Source::kMpi, mpi.where, shared, cpus_in_words(shared), mpi);
}

}  // namespace

std::optional<int> parse_slurm_counts(std::string_view text, std::optional<std::size_t> node) {
  text = trim(text);
  int largest = 0;
  std::optional<int> ours;
  std::size_t nodes = 0;
  if (text.empty() || text.ends_with(',')) return std::nullopt;
  while (!text.empty()) {
    std::string_view repeated = cut(text, ',');
    const auto count = parse_count(cut(repeated, '('));
    std::optional<int> times = 1;
    if (!repeated.empty()) {
      if (!repeated.starts_with('x') || !repeated.ends_with(')')) return std::nullopt;
      times = parse_count(repeated.substr(1, repeated.size() - 2));
    }
    if (!count || !times) return std::nullopt;
    nodes += static_cast<std::size_t>(*times);
    if (node && !ours && *node < nodes) ours = count;
    largest = std::max(largest, *count);
  }
  return ours ? ours : largest;
}

std::optional<int> parse_lsf_hosts(std::string_view text, std::string_view host) {
  text = trim(text);
  while (!text.empty()) {
    const std::string_view name = cut(text, ' ');
    const auto slots = parse_count(cut(text, ' '));
    if (!slots) return std::nullopt;
    if (!host.empty() && name.substr(0, name.find('.')) == host.substr(0, host.find('.'))) {
      return slots;
    }
  }
  return std::nullopt;
}

void survey_schedulers(Survey& survey) {
  const Ranks mpi = mpi_ranks(survey);
  share_among_ranks(survey, mpi);
  read_slurm(survey, mpi);
  read_lsf(survey, mpi);
  read_pbs(survey, mpi);
  read_grid_engine(survey, mpi);
  read_condor(survey, mpi);
  read_kubernetes(survey);
  read_joblib(survey);
}

}  // namespace corewise
