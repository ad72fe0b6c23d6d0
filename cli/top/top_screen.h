// What `corewise top` shows: a view as lines of text, and no terminal.
#pragma once

#include <string>
#include <vector>

#include "process_order.h"
#include "reach/process_watch.h"
#include "shell/output.h"
#include "top_picture.h"

namespace corewise::cli {

struct TopState {
  enum class Typing { nothing, limit, filter };

  int selected = 0;  // the pid
  Order order = Order::ready;
  std::string filter;
  bool help = false;  // shown in place of the processes
  Typing typing = Typing::nothing;
  std::string typed;
  std::string message;        // of what was done last
  std::vector<Load> history;  // of the last minute; none: the picture is of now only
};

// Exactly `rows` lines of at most style.width columns; rows 0: as many as it takes, without the
// keys.
std::vector<std::string> top_screen(const View& view, const TopState& state, const Style& style,
                                    int rows);

// How many processes a screen of `rows` lines shows, about.
int page_of(int rows);

}  // namespace corewise::cli
