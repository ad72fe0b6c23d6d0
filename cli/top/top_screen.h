// What `corewise top` shows: a view as lines of text. Knows no terminal.
#pragma once

#include <optional>
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
  std::optional<std::size_t> help;  // its first line, if it is shown in place of the processes
  Typing typing = Typing::nothing;
  std::string typed;
  std::string message;        // about the last action
  std::vector<Load> history;  // of the last minute; empty: the picture shows only now
};

// Exactly `rows` lines of at most style.width columns; rows 0: as many as needed, without the keys.
std::vector<std::string> top_screen(const View& view, const TopState& state, const Style& style,
                                    int rows);

// The last line that the help can begin with.
std::size_t last_help_line(const Style& style, int rows);

// Roughly how many processes a screen of `rows` lines shows.
int page_of(int rows);

}  // namespace corewise::cli
