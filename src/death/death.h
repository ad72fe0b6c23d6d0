// How a process died, in words: read from the report that it left.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "advice/finding.h"
#include "base/error.h"

namespace corewise::death {

struct DeadPool {
  std::string runtime;
  std::string path;
  std::string version;
  std::string layer;
  int threads = 0;
  int workers = 0;  // that it ever had, even if it was told to use fewer later
  int caller_slots = 0;
  bool ran_out = false;
  bool inside = false;       // the thread that died was in its code, as far as its stack tells
  std::optional<bool> used;  // whether the program had used it; none: the library does not tell
};

// A library whose regions bend.
struct DeadBending {
  std::string path;
  std::string why;
  bool inside = false;  // the thread that died was in its code
};

// Teams that got fewer threads than they asked for, because their regions bend.
struct Bent {
  std::uint64_t regions = 0;  // that bend
  std::uint64_t bent = 0;     // of these, with fewer threads
  std::uint64_t from = 0;     // sizes, as gate::Tally has them
  std::uint64_t to = 0;
  std::vector<DeadBending> libraries;
};

struct Death {
  int pid = 0;
  std::string program;
  std::string notebook;  // its path, if a notebook's kernel died or a process that one started
  bool kernel = false;   // it was that notebook's kernel itself
  std::string folder;
  std::int64_t time = 0;  // seconds since 1970
  int signal = 0;         // 0: a library ended it by exit()
  bool sent = false;      // a fault's signal, but somebody sent it
  std::string module;
  int threads = 0;
  bool governed = false;
  std::string last_words;  // of standard error, where that was a file
  bool own = false;        // of the notebook or the folder that asks; last_death() knows
  std::vector<DeadPool> pools;
  Bent bent;
};

// Apart for tests: CW_BAD_ARGUMENT if the text is not such a report.
Result<Death> read_death(std::string_view report);

// What happened, why, and what to do; at least one finding.
std::vector<Finding> explain(const Death& death);

// What a person calls it: the notebook or the script, not the interpreter that ran it. "it" where
// nothing is known.
std::string name_of(const Death& death);

// "crash4.ipynb died: 1,015 threads called OpenBLAS, which has room for 128"
std::string headline(const Death& death);

// Who asks about the last death: a notebook, or a person in a folder.
struct Asker {
  std::string notebook;
  std::string folder;
};

// Apart for tests: the one of these, newest first, that the asker means: in a notebook the newest
// of that notebook; elsewhere the newest of that folder, unless another process died an hour later.
// Otherwise the newest. Null: there is none.
const Death* death_for(const Asker& asker, const std::vector<Death>& deaths);

// For this process. None if there is no report; an Error that names the newest file, if that is not
// a report and no other report is of this notebook or folder.
Result<std::optional<Death>> last_death();

// A death and its findings (docs/postmortem.md); null and an empty list if nothing died.
std::string death_json(const std::optional<Death>& death);

}  // namespace corewise::death
