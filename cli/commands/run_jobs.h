// corewise run: whether the command gets a jobserver, and of which form.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "govern/own_budget.h"
#include "jobs/jobserver.h"

namespace corewise::cli {

struct JobPlan {
  std::optional<JobserverOptions> server;
  int jobs = 1;                    // for MAKEFLAGS: the most that may run at a time
  std::string why_not;             // set if a build gets none
  std::vector<std::string> words;  // the command; without its -j if there is a jobserver
};

// `asked`: --jobserver or --no-jobserver. Starts `make --version` or `ninja --version` if it has to
// know which form they read.
JobPlan plan_jobs(const std::vector<std::string>& words, std::optional<bool> asked,
                  const govern::OwnBudget& own);

constexpr const char* kMakeflags = "MAKEFLAGS";

struct ProvidedJobs {
  std::vector<std::string> words;  // to start
  std::string makeflags;           // empty: it stays as it is
  std::string why_not;             // set if the plan's jobserver could not be started
};

// For the process that becomes the program. Starts the jobserver and puts it into MAKEFLAGS.
ProvidedJobs provide_jobs(const JobPlan& plan, const std::vector<std::string>& words);

}  // namespace corewise::cli
