// A recording in Chrome's trace format (JSON), which ui.perfetto.dev and speedscope show.
#pragma once

#include <string>
#include <vector>

#include "base/json_reader.h"

namespace corewise::cli {

// From the lines of a recording. A track for each thread, named by the pool that it belongs to:
// slices while it ran, and while it was ready to run and had no CPU; counters of both for all.
std::string trace_events(const std::vector<JsonValue>& lines);

}  // namespace corewise::cli
