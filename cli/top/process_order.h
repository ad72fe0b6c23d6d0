// The rows of `corewise top`: which processes, and in which order.
#pragma once

#include <string>
#include <vector>

#include "reach/process_watch.h"

namespace corewise::cli {

// Largest first; names and pids in ascending order.
enum class Order { ready, cpu, threads, name, pid };

// "threads ready to run".
const char* words_for(Order order);

// The next order; after the last, the first.
Order next_order(Order order);

// The processes whose name, command or pid contains `filter`, ignoring case.
std::vector<const WatchedProcess*> listed(const View& view, Order order, const std::string& filter);

}  // namespace corewise::cli
