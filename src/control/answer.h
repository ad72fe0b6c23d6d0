// Carries out a request of the control socket, and makes the line of JSON that answers it
// (docs/control.md). Takes the core's locks and asks foreign libraries, as the C functions do.
#pragma once

#include <string>
#include <string_view>

namespace corewise::control {

// One line without its newline; throws only std::bad_alloc. A request that is not understood
// changes nothing.
std::string answer(std::string_view line);

}  // namespace corewise::control
