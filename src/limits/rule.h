// What to limit, to how many: the one form of it, for Python, C, the socket and --force.
#pragma once

#include <cstdint>
#include <string>

#include "corewise.h"

namespace corewise {

struct Rule {
  cw_match match = CW_MATCH_ALL;
  std::string name;
  std::uint32_t id = 0;  // of CW_MATCH_POOL
  int threads = 0;
};

}  // namespace corewise
