// Carries out a request of the control socket, and makes the line of JSON that answers it
// (docs/control.md). Takes the core's locks and asks foreign libraries, as the C functions do.
#pragma once

#include <string>
#include <string_view>

namespace corewise::control {

// One line without its newline; throws only std::bad_alloc. A request that is not understood
// changes nothing.
std::string answer(std::string_view line);

// The answer to a request that is refused: {"schema_version": 1, "error": {...}}.
std::string refusal(int status, std::string_view what);

}  // namespace corewise::control
