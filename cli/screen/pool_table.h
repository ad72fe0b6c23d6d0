// Pools as a table for people.
#pragma once

#include <string>
#include <vector>

#include "pools/pool_facts.h"
#include "shell/output.h"

namespace corewise::cli {

// Lines of at most style.width columns; if the library's column would be too narrow, it gets a line
// of its own. `wide` never shortens a path. Numbers and versions are never shortened.
std::string pool_table(const std::vector<PoolFacts>& rows, const Style& style, bool wide);

// Explains the scopes in the table. `whose` is the thread whose counts are shown.
std::string scope_legend(const std::vector<PoolFacts>& rows, const std::string& whose,
                         const Style& style);

// Their details, each once, with the runtimes they are about.
std::string remarks(const std::vector<PoolFacts>& rows, const Style& style);

}  // namespace corewise::cli
