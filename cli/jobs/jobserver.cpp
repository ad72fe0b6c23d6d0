#include "jobserver.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/text.h"
#include "budget/budget.h"
#include "control/sockets.h"
#include "govern/ledger/ledger_identity.h"
#include "govern/own_budget.h"
#include "os/machine.h"
#include "os/os.h"
#include "shell/variable.h"

namespace corewise::cli {
namespace {

constexpr std::string_view kEnding = ".jobs";

struct TokenPool {
  PoolEnds ends;
  std::string fifo;  // empty: two pipes
  std::string auth;
};

Error failed(std::string_view what) {
  return Error{CW_IO_ERROR, fmt::format("{}: {}", what, std::strerror(errno))};
}

// A descriptor that the program inherits, with a number that no script picks by hand. It can be
// read and written, whatever it is for: so a client neither dies of SIGPIPE nor finds an end if the
// keeper is killed, and a make that opens the fifo never waits for another end.
int inherited(const std::string& path) {
  constexpr int kLowest = 100;
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return -1;
  int high = ::fcntl(fd, F_DUPFD, kLowest);
  if (high < 0) high = ::fcntl(fd, F_DUPFD, STDERR_FILENO + 1);
  ::close(fd);
  return high;
}

std::string link_of(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

// What killed keepers left: nobody has it open, and the program is gone.
void remove_left(const std::string& folder) {
  for (const std::string_view name : os::names_in(folder)) {
    if (!name.ends_with(kEnding)) continue;
    const std::string path = fmt::format("{}/{}", folder, name);
    const std::string proc = fmt::format("/proc/{}", name.substr(0, name.size() - kEnding.size()));
    if (::access(proc.c_str(), F_OK) == 0) continue;
    const int fd = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENXIO) ::unlink(path.c_str());
    if (fd >= 0) ::close(fd);
  }
}

Result<TokenPool> make_fifo() {
  const auto path = control::own_file(kEnding);
  if (!path) return path.error();
  remove_left(path->substr(0, path->rfind('/')));
  if (path->find(' ') != path->npos) {
    return Error{CW_IO_ERROR, fmt::format("{}: MAKEFLAGS cannot hold a path with a blank", *path)};
  }
  // Of an earlier process with this pid.
  ::unlink(path->c_str());
  TokenPool pool;
  pool.fifo = *path;
  pool.auth = "fifo:" + *path;
  if (::mkfifo(path->c_str(), 0600) != 0) return failed(*path);
  const int flags = O_NONBLOCK | O_CLOEXEC;
  pool.ends.take = ::open(path->c_str(), O_RDONLY | flags);
  pool.ends.put = ::open(path->c_str(), O_WRONLY | flags);
  if (pool.ends.take < 0 || pool.ends.put < 0 || inherited(*path) < 0) {
    const Error error = failed(*path);
    ::unlink(path->c_str());
    return error;
  }
  return pool;
}

Result<TokenPool> make_pipes() {
  std::array<int, 2> offer{};
  std::array<int, 2> back{};
  const int flags = O_NONBLOCK | O_CLOEXEC;
  if (::pipe2(offer.data(), flags) != 0 || ::pipe2(back.data(), flags) != 0) {
    return failed("pipe");
  }
  TokenPool pool;
  pool.ends = {offer[0], offer[1], back[0]};
  const int reads = inherited(link_of(offer[0]));
  const int writes = inherited(link_of(back[1]));
  if (reads < 0 || writes < 0) return failed("/proc/self/fd");
  pool.auth = fmt::format("{},{}", reads, writes);
  return pool;
}

// Nothing of the program's stays open in the keeper: somebody may wait for the end of its output,
// or for a lock.
void let_go_of_all_but(std::initializer_list<int> kept) {
  ::setsid();
  static_cast<void>(::chdir("/"));
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const int null = ::open("/dev/null", O_RDWR);
    if (null != standard) {
      ::dup2(null, standard);
      ::close(null);
    }
  }
  for (const std::string_view name : os::names_in("/proc/self/fd")) {
    const auto fd = parse_integer(name);
    if (!fd || *fd <= STDERR_FILENO) continue;
    if (std::ranges::find(kept, static_cast<int>(*fd)) == kept.end()) {
      ::close(static_cast<int>(*fd));
    }
  }
}

// In the ledger that the program's own processes find by the same variables.
void serve(const TokenPool& pool, int most, int pid, int watch, std::uint64_t began) {
  const os::LiveMachine machine;
  const auto budget = compute_budget(machine);
  if (!budget) return;
  const govern::OwnBudget own = govern::own_budget(*budget, machine);
  govern::LedgerOptions wanted;
  wanted.key = variable("COREWISE_GROUP");
  if (wanted.key.empty()) wanted.key = own.name;
  wanted.budget = own.together;
  const auto ledger = govern::Ledger::open(wanted);
  if (!ledger) return;
  const auto weight = govern::parse_weight(variable("COREWISE_WEIGHT"));
  (*ledger)->set_weight(weight.value_or(govern::kUsualWeight));
  JobKeeper keeper(**ledger, pool.ends, most, own.most, own.hard);
  keep_jobs(keeper, pool.ends, pid, watch, began);
}

void keep(const TokenPool& pool, const JobserverOptions& options, int pid, int watch) {
  const std::uint64_t began = govern::stat_of(static_cast<std::uint32_t>(pid)).start_ticks;
  let_go_of_all_but({pool.ends.take, pool.ends.put, pool.ends.back, watch});
  serve(pool, options.most, pid, watch, began);
  if (!pool.fifo.empty()) ::unlink(pool.fifo.c_str());
}

}  // namespace

Result<std::string> start_jobserver(const JobserverOptions& options) {
  auto pool = options.form == jobs::Form::kFifo ? make_fifo() : make_pipes();
  if (!pool) return pool.error();
  const int pid = ::getpid();
  const int watch = os::watch_end(pid);
  // Twice, so that the program does not find a child that it did not start.
  const pid_t between = ::fork();
  if (between == 0) {
    const pid_t keeper = ::fork();
    if (keeper == 0) keep(*pool, options, pid, watch);
    ::_exit(keeper < 0 ? 1 : 0);
  }
  int status = 0;
  if (between < 0) return failed("fork");
  while (::waitpid(between, &status, 0) < 0 && errno == EINTR) {
  }
  if (watch >= 0) ::close(watch);
  for (const int fd : {pool->ends.take, pool->ends.put, pool->ends.back}) {
    if (fd >= 0) ::close(fd);
  }
  return std::move(pool->auth);
}

}  // namespace corewise::cli
