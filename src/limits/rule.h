// What to limit, and to how many threads: the one form for Python, C, the socket and --force.
#pragma once

#include <cstdint>
#include <string>

#include "corewise.h"

namespace corewise {

struct Rule {
  cw_match match = CW_MATCH_ALL;
  std::string name;
  std::uint32_t id = 0;  // of CW_MATCH_ID
  int threads = 0;
};

}  // namespace corewise
