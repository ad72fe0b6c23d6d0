// From the words of the command line to a command's exit code.
#pragma once

namespace corewise::cli {

int run_command_line(int argc, char** argv);

}  // namespace corewise::cli
