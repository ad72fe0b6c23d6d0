// The file that a command would start, and whether the agent can go into it.
#pragma once

#include <string>
#include <vector>

namespace corewise::cli {

struct Target {
  std::string path;      // empty: execvp will not find one either
  bool binary = false;   // never for the shell to read, even if the kernel refuses it
  std::string obstacle;  // why it cannot be governed, as "is ..."; empty if it can
};

// Finds the file as execvp does, for a command with its arguments. For a script, looks at the
// interpreter, which is what starts; for the dynamic loader, at the program that it is to load.
Target find_target(const std::vector<std::string>& words);

// Becomes the program; returns only when it could not be started, after `command` of corewise has
// said why.
int become(const std::vector<std::string>& words, const Target& target, const char* command);

}  // namespace corewise::cli
