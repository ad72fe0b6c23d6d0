// Pools as a table for people.
#pragma once

#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

struct ShownPool {
  std::string api;
  std::string threads;  // "?" when not known
  std::string scope;    // "process", "thread", "none"
  std::string runtime;
  std::string version;
  std::string layer;
  std::string architecture;
  std::string path;
  std::string remark;  // a clause worth a line below the table
};

// Lines of at most style.width columns; if the library's column would be too narrow, it gets a line
// of its own. `wide` never shortens a path. Numbers and versions are never shortened.
std::string pool_table(const std::vector<ShownPool>& rows, const Style& style, bool wide);

// Explains the scopes in the table. `whose` is the thread whose counts are shown.
std::string scope_legend(const std::vector<ShownPool>& rows, const std::string& whose,
                         const Style& style);

// The remarks, each once, with the runtimes they are about.
std::string remarks(const std::vector<ShownPool>& rows, const Style& style);

}  // namespace corewise::cli
