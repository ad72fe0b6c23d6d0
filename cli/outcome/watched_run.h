// A program that runs to its end while its processes are examined.
#pragma once

#include <string>
#include <vector>

#include "advice/finding.h"
#include "base/error.h"

namespace corewise::cli {

struct Watched {
  std::vector<Finding> findings;
  int status = 0;     // as waitpid has it
  int processes = 0;  // how many were looked at
};

// Starts the program, its standard output going to standard error, and waits for it. Python
// programs, also those it starts, are asked from within as they end, with `library`; other
// processes, and those that end without a word, count as they were last seen from outside.
// An Error holds errno's sentence.
Result<Watched> run_watched(const std::vector<std::string>& words, const std::string& library);

}  // namespace corewise::cli
