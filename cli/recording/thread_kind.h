// The kinds of threads that pictures have a colour for.
#pragma once

#include <cstddef>
#include <string_view>

namespace corewise::cli {

enum class ThreadKind : std::size_t { program, blas, openmp, other_pool, unknown };

// From the word in a recording: "program", a runtime's name, or "" where it is not known.
ThreadKind kind_of(std::string_view pool);

}  // namespace corewise::cli
