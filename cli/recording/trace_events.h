// A recording in Chrome's trace format (JSON), which ui.perfetto.dev and speedscope show.
#pragma once

#include <string>
#include <vector>

#include "base/json_reader.h"

namespace corewise::cli {

// Converts the lines of a recording. Each thread has a track, named by its pool: slices while it
// ran, and while it was ready but had no CPU; counters of both for all threads.
std::string trace_events(const std::vector<JsonValue>& lines);

}  // namespace corewise::cli
