// All users' threads on this machine, as the kernel counts them: for `corewise top --all`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace corewise::cli {

// What the kernel has counted of a process so far.
struct NodeProcess {
  int pid = 0;
  unsigned user = 0;
  int threads = 0;
  double cpu_s = 0;
  double delay_s = 0;
};

struct NodeReading {
  double time_s = 0;
  std::map<int, NodeProcess> processes;  // by pid
};

// A process that had threads ready to run between two readings.
struct BusyProcess {
  int pid = 0;
  unsigned user = 0;
  int threads = 0;
  double cpu = 0;    // CPUs used, on average
  double delay = 0;  // threads that were ready to run and had no CPU, on average
  std::string name;  // what a person calls it
  enum class Governed : std::uint8_t { no, yes, unknown } governed = Governed::unknown;

  double ready() const { return cpu + delay; }
};

struct BusyUser {
  unsigned user = 0;
  std::string name;
  std::vector<BusyProcess> processes;  // the busiest first
  double cpu = 0;
  double delay = 0;

  double ready() const { return cpu + delay; }
};

struct NodeView {
  int cpus = 0;
  bool is_root = false;
  bool hides = false;           // /proc hides other users' processes from us
  std::vector<BusyUser> users;  // the busiest first

  double ready() const;
};

NodeReading read_node();

// Who was busy meanwhile; without names. A process that began or ended between them is left out.
std::vector<BusyUser> busy_users(const NodeReading& before, const NodeReading& now);

// Two readings, so far apart.
NodeView watch_node(int interval_ms);

std::string node_json(const NodeView& view);

}  // namespace corewise::cli
