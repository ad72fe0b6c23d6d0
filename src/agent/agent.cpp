// What `corewise run` puts into a program: this library itself, loaded ahead of all others by
// LD_PRELOAD, governs from the program's start on if COREWISE_GOVERN=1 asks for it, and answers on
// the control socket. Its children inherit both variables, so they are governed too. With
// COREWISE_CONTROL=on, as `corewise record` sets it, the socket is there even if nobody governs.
//
// If COREWISE_REPORT_FILE is set, every process writes to it when it starts, is forked and ends. A
// killed process leaves no line, but its counts are in a file beside it.
//
// Programs that it starts and that cannot load this library start without it (children.h).
//
// A process that ends by _exit, as Python's forked workers do, runs no destructor, and one that
// changes its user may not remove the socket afterwards: so we rewrite the GOT entries of these
// calls.
#include <unistd.h>

#include <atomic>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/keep_errno.h"
#include "budget/thread_binding.h"
#include "children.h"
#include "control/server.h"
#include "control/sockets.h"
#include "death/death_watch.h"
#include "elf/bound_function.h"
#include "govern/gates/dead_workers.h"
#include "govern/govern.h"
#include "govern/grants/gate.h"
#include "govern/other_copy.h"
#include "govern/patch/loads.h"
#include "identity.h"
#include "os/confined.h"
#include "os/fork.h"
#include "os/os.h"
#include "os/threads.h"
#include "os/uncancelled.h"
#include "pools/discover.h"
#include "report_line.h"

namespace corewise::agent {
namespace {

struct Agent {
  govern::Resident resident;
  std::string file;
  std::string tally_file;
  std::string command;
  Writer writer;
  // Each once, and old ones too: a thread may be writing its last line from one.
  std::set<std::string> told;
};

// Never destroyed: other threads may use it while the process exits.
constinit Agent* agent = nullptr;
constinit std::atomic<const std::string*> fields{nullptr};
// The process whose line is still to be written. A child of vfork has another pid and its parent's
// memory: it writes none.
constinit os::Owner owes_line;

// This library as LD_PRELOAD names it; empty if it does not.
std::string own_entry() {
  const std::string here = os::file_of(reinterpret_cast<const void*>(&own_entry));
  if (here.empty()) return {};
  const std::string own = os::real_path(here);
  const std::string_view list = os::variable("LD_PRELOAD").value_or("");
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find_first_of(" :", at), list.size());
    std::string entry(list.substr(at, end - at));
    if (!entry.empty() && (entry == here || os::real_path(entry) == own)) return entry;
    at = end + 1;
  }
  return {};
}

void write_line() {
  if (!owes_line.give_up() || os::is_confined()) return;
  const std::string* known = fields.load(std::memory_order_acquire);
  write_end(agent->writer, govern::gate::tally(),
            known != nullptr ? std::string_view(*known) : std::string_view());
}

// The C library's, which a preloaded library may hide.
constinit decltype(&::_exit) own_exit = nullptr;

void hooked_exit(int status) {
  const os::Uncancelled uncancelled;
  write_line();
  control::leave();
  own_exit(status);
}

// With govern's lock held, or while this library is loaded.
void told(const std::string& now) {
  fields.store(&*agent->told.insert(now).first, std::memory_order_release);
}

// ThreadSanitizer ends a forked child that starts a thread, if its parent had several: the socket's
// thread would cost such a program its children.
bool may_start_threads() {
  static const bool kMay = os::global_symbol("__tsan_init") == nullptr;
  return kMay;
}

// A second thread may be too much for a program that has nothing to control: a process must be
// single-threaded to enter a user namespace. A program that cannot be controlled can still be
// governed.
bool control_pools(bool may_wait) noexcept {
  if (pool_count() == 0 || !may_start_threads()) return true;
  try {
    if (!may_wait) return control::start_unless_busy();
    static_cast<void>(control::start());
  } catch (const std::exception&) {
    return true;  // out of memory: it goes on without a socket
  }
  return true;
}

void begin_line() {
  const os::Uncancelled uncancelled;
  if (os::is_confined()) {
    // The page is the parent's, which cannot write its counts anywhere else.
    govern::gate::leave_tally_page();
    return;
  }
  agent->writer.since_ns = now_ns();
  agent->writer.page = share_tally(agent->tally_file.c_str());
  owes_line.take();
  write_start(agent->writer);
}

// False: the caller must rewrite the GOT entries.
bool govern_from_now_on(const std::vector<govern::GotRequest>& requests) {
  agent = new Agent;
  govern::Resident& resident = agent->resident;
  resident.told = told;
  resident.after_told = control_pools;
  resident.requests = requests;
  agent->file = os::variable("COREWISE_REPORT_FILE").value_or("");
  if (!agent->file.empty()) {
    const std::string command = os::own_command();
    agent->command = Json().value(command.empty() ? "?" : command).text();
    agent->tally_file = agent->file + ".counts";
    agent->writer = {agent->file.c_str(), agent->command, 0, std::nullopt};
    owes_line.prepare();
    os::at_fork(os::ForkRank::kReport, {.in_child = begin_line});
    begin_line();
  }
  // The program matters more than a report that cannot be left.
  static_cast<void>(death::watch_death());
  govern::GovernOptions options;
  options.key = os::variable("COREWISE_GROUP").value_or("");
  options.resident = &resident;
  std::optional<Error> error = govern::another_copy_governs();
  if (!error) error = govern::govern(options);
  if (!error) return true;
  Json json;
  json.field("budget", 0).key("pools").open('[').close(']');
  json.key("findings").open('[').value(error->what).close(']');
  told(json.text());
  control_pools(true);
  return false;
}

void start() {
  thread_binding::remember_start();
  try {
    control::prepare();
  } catch (const std::exception&) {
    return;  // out of memory: the program goes on without
  }
  const bool governs = os::variable("COREWISE_GOVERN") == "1";
  const bool serves = os::variable("COREWISE_CONTROL") == "on";
  if (!governs && !serves) return;
  try {
    const std::string entry = own_entry();
    if (entry.empty()) return;
    elf::remember_start();
    control::serve_children();
    control::remove_own_left();
    if (serves && may_start_threads()) static_cast<void>(control::start());
    std::vector<govern::GotRequest> requests = hook_children(entry.c_str());
    govern::request_c_library(requests, "_exit", hooked_exit, &own_exit);
    govern::request_c_library(requests, "_Exit", hooked_exit);
    hook_identity(requests);
    govern::loads::substitute(requests);
    if (governs && govern_from_now_on(requests)) return;
    // Modules that are loaded later are not rewritten. Lives for good, as what it changed does.
    static_cast<void>((new govern::GotEntries(std::move(requests)))->rewrite());
  } catch (const std::exception&) {
    // Out of memory: the program goes on as far as it can.
    return;
  }
}

// main() begins with errno 0, and some programs count on that. A program may get by with a main
// stack of 20 KiB; what we do at the start needs 40.
[[gnu::constructor]] void start_with_room() {
  const KeepErrno keep;
  if (!os::is_filter_fatal()) os::run_with_room(start);
}

[[gnu::destructor]] void end() {
  const KeepErrno keep;
  write_line();
}

}  // namespace
}  // namespace corewise::agent
