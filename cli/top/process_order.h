// The rows of `corewise top`: which processes, and in which order.
#pragma once

#include <string>
#include <vector>

#include "reach/process_watch.h"

namespace corewise::cli {

// Of each, the most first; of names and numbers the first first.
enum class Order { ready, cpu, threads, name, pid };

// "threads ready to run".
const char* words_for(Order order);

// The one after it, and after the last the first.
Order next_order(Order order);

// Those whose name, command or number holds `filter`, whatever the case of its letters.
std::vector<const WatchedProcess*> listed(const View& view, Order order, const std::string& filter);

}  // namespace corewise::cli
