// The lines of the report that `corewise run --report` collects: one when a process starts, one
// when it ends. docs/json.md has the keys.
//
// A process may end anywhere, even in a signal handler: so nothing here allocates, locks or waits,
// and a line is one write, which the kernel keeps apart from those of other processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "govern/grants/gate.h"

namespace corewise::agent {

// The process that writes, for its whole life.
struct Writer {
  const char* file = nullptr;
  std::string_view command;  // as a JSON string
  std::uint64_t since_ns = 0;
  std::optional<std::uint64_t> page;  // where share_tally() put the tally
};

// Puts the gate's tally into a page of their own in `file`, where they can be read after this
// process was killed. Returns the page's number. Call it first in the child of a fork, whose page
// is its parent's.
std::optional<std::uint64_t> share_tally(const char* file);

void write_start(const Writer& writer);
// `fields` come from govern().
void write_end(const Writer& writer, const govern::gate::Tally& tally, std::string_view fields);

}  // namespace corewise::agent
