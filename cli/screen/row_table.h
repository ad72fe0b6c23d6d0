// A table for a screen: each row takes one line, however narrow that is.
#pragma once

#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

struct RowColumn {
  std::string head;
  int width;         // at least
  int leave_at = 0;  // where there is no room, the column with 1 is left out first; 0: it stays
  bool right = true;
};

// The heads, then a line for each row. Columns are left out until the last one has `least` columns
// of the screen; what does not fit into the last one is cut off.
std::vector<std::string> row_table(const std::vector<RowColumn>& columns,
                                   const std::vector<std::vector<std::string>>& rows, int least,
                                   const Style& style);

}  // namespace corewise::cli
