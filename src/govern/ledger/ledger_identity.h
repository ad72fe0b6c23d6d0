// Identifies a process in the ledger's terms, and tells whether it still lives. Reads /proc;
// without it, or where it is that of another pid namespace, a pid alone decides, and no process
// that might live is declared gone. No allocation, no lock, and errno stays: all may run in hooks,
// and in the child of a fork of a threaded program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "ledger_layout.h"

namespace corewise::govern {

// The calling process.
Identity own_identity() noexcept;

// Whether the process that a word names has ended, runs another program by now, or is stopped (or
// frozen, which is checked only if the word has tokens). Checks only whether the pid exists, unless
// told to look closely. A word that does not say when its process began, though the system would
// have told, is nobody's.
Life life_of(Word word, bool closely) noexcept;

// Whether the process is this user's; true if the system does not tell. False for one that has
// forbidden others to look at it (PR_SET_DUMPABLE).
bool belongs_to(Word word, uid_t user) noexcept;

// The pid namespace of the calling process; 0 if the system does not tell.
std::uint64_t pid_namespace() noexcept;
std::uint64_t time_namespace() noexcept;

// From the text of /proc/PID/stat. Unparsable text yields pid 0.
struct ProcessStat {
  Identity identity;
  std::uint64_t start_ticks = 0;  // since the machine was started
  bool ended = false;             // a zombie, all of whose threads have ended
  bool stopped = false;           // by a signal or a debugger
  bool asleep = false;            // its first thread
};
ProcessStat parse_stat(std::string_view text) noexcept;
// Of a process now; pid 0 if it is not there, or the program has confined itself.
ProcessStat stat_of(std::uint32_t pid) noexcept;

}  // namespace corewise::govern
