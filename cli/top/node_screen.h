// `corewise top --all`: who runs more threads on this machine than it has CPUs, by user. Pure text.
#pragma once

#include <string>

#include "reach/node_watch.h"
#include "shell/output.h"

namespace corewise::cli {

std::string node_screen(const NodeView& view, const Style& style);

}  // namespace corewise::cli
