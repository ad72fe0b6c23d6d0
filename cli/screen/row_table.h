// A table for a screen: each row takes one line, however narrow that is.
#pragma once

#include <string>
#include <vector>

#include "shell/output.h"

namespace corewise::cli {

struct RowColumn {
  std::string head;
  int width;         // at least
  int leave_at = 0;  // if there is no room, columns go in this order from 1; 0: never
  bool right = true;
};

// A header, then a line for each row. Leaves out columns until the last one has `least` columns of
// the screen; cuts off what does not fit into the last one.
std::vector<std::string> row_table(const std::vector<RowColumn>& columns,
                                   const std::vector<std::vector<std::string>>& rows, int least,
                                   const Style& style);

}  // namespace corewise::cli
