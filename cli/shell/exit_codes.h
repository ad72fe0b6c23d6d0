// What the exit code of corewise means; the man page is made from this table; docs/cli.md repeats
// it in its own words.
#pragma once

#include <array>

#include "base/error.h"

namespace corewise::cli {

enum Exit : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNoSuchProcess = 3,
  kNotPermitted = 4,
  kProcessEnded = 5,
  kMemoryRefused = 6,
  kNotExamined = 7,
  kNoAgent = 8,
  kNotTaken = 9,
  kDoesNotBend = 10,
  kNothingTried = 11,
  kNotReproducible = 12,
  kNoSuchGroup = 13,
  kCannotStart = 126,
  kNotFound = 127,
};

struct ExitMeaning {
  Exit code;
  const char* meaning;
};

inline constexpr std::array<ExitMeaning, 16> kExitMeanings = {{
    {kOk, "all was done"},
    {kFailed, "something failed; what worked is shown. doctor: it found a warning or a danger"},
    {kUsage, "the command line was wrong; nothing was done"},
    {kNoSuchProcess, "no process has that pid"},
    {kNotPermitted, "the process belongs to somebody else, or is protected"},
    {kProcessEnded, "the process ended while it was read, or is a zombie"},
    {kMemoryRefused, "the process is shown, but without counts: its memory may not be read"},
    {kNotExamined, "doctor: it could not examine all that it was asked to"},
    {kNoAgent, "the process has no control socket: nothing in it could be asked or changed"},
    {kNotTaken, "limit: a pool could not be limited; the others are"},
    {kDoesNotBend, "run --try-bend: with smaller teams the program did something else"},
    {kNothingTried, "run --try-bend: no region of the library was cut"},
    {kNotReproducible,
     "run --try-bend: the program's own runs differ, so that little was compared"},
    {kNoSuchGroup, "budget --group: no program is in that group"},
    {kCannotStart, "the command was found but could not be started"},
    {kNotFound, "the command was not found"},
}};

constexpr Exit exit_for(Status status) {
  switch (status) {
    case CW_OK:
      return kOk;
    case CW_BAD_COUNT:
    case CW_BAD_ARGUMENT:
      return kUsage;
    case CW_NO_SUCH_PROCESS:
      return kNoSuchProcess;
    case CW_NOT_PERMITTED:
      return kNotPermitted;
    case CW_PROCESS_ENDED:
      return kProcessEnded;
    default:
      return kFailed;
  }
}

}  // namespace corewise::cli
