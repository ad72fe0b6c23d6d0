// What is done about a request of the control socket, and the line of JSON that answers it
// (docs/control.md). Takes the core's locks and asks foreign libraries, as the C functions do.
#pragma once

#include <string>
#include <string_view>

namespace corewise::control {

// One line without its end; never throws but std::bad_alloc. What is not understood changes
// nothing.
std::string answer(std::string_view line);

// The answer to what was no request: {"schema_version": 1, "error": {...}}.
std::string refusal(int status, std::string_view what);

}  // namespace corewise::control
