// The files that `corewise record` makes of its recordings.
#pragma once

#include <string>

#include "shell/commands.h"

namespace corewise::cli {

// Writes the page BASE.html from the recording in the file `lines`, or with the format "perfetto"
// the trace BASE.trace.json. Prints the verdict and where the files are; returns the exit code.
// `recorded_now`: we wrote that file ourselves.
int write_picture(const std::string& lines, const std::string& base, const std::string& format,
                  bool recorded_now, const Context& context);

// The same for a command that was recorded twice.
int write_comparison(const std::string& installed, const std::string& governed,
                     const std::string& page, const Context& context);

}  // namespace corewise::cli
