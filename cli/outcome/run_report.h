// The report of `corewise run --report`: what the governed processes wrote, added up.
#pragma once

#include <string>
#include <vector>

#include "govern/grants/gate.h"
#include "report_reading.h"
#include "shell/output.h"

namespace corewise::cli {

// Totals over all processes.
struct Sum {
  govern::gate::Tally tally;
  std::vector<std::string> region_modules;  // paths of modules with parallel regions
  std::vector<std::string> bending;         // paths of modules that bend
};
Sum sum_of(const Collected& collected);

struct Run {
  std::vector<std::string> words;
  int status = 0;  // as waitpid returns it
  double seconds = 0;
  int budget = 0;
  std::vector<std::string> notes;  // for JSON: what its reader would else be told beside it
};

// "exit code 3", or "killed by signal 11 (Segmentation fault)"; `status` as waitpid returns it.
std::string ending(int status);

// The paths with parallel regions, and how many more there are; all of them where none has any.
std::string in_words(const std::vector<std::string>& paths,
                     const std::vector<std::string>& region_modules);

// One line about the names in COREWISE_BEND that matched nothing; "" if all matched.
std::string unmatched_line(const Collected& collected);

std::string report_text(const Collected& collected, const Run& run, const Style& style);
std::string report_json(const Collected& collected, const Run& run);

}  // namespace corewise::cli
