// What `corewise top` shows: a view as lines of text, and no terminal.
#pragma once

#include <string>
#include <vector>

#include "output.h"
#include "process_watch.h"

namespace corewise::cli {

struct TopState {
  int selected = 0;    // the pid
  std::string prompt;  // "limit 4711: " while counts are typed; else empty
  std::string typed;
  std::string message;  // of what was done last
};

// Exactly `rows` lines of at most style.width columns; rows 0: as many as it takes, without the
// keys.
std::vector<std::string> top_screen(const View& view, const TopState& state, const Style& style,
                                    int rows);

}  // namespace corewise::cli
