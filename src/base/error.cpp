#include "error.h"

#include <array>
#include <system_error>

namespace corewise {
namespace {

struct Row {
  const char* name;
  const char* message;
};

// Indexed by cw_status.
constexpr std::array<Row, CW_INTERNAL + 1> kRows = {{
    {"ok", "No error."},
    {"bad argument", "An argument is missing or has no meaning here."},
    {"bad count", "A thread count must be a whole number from 1 to 32768."},
    {"above ceiling", "The library was built for fewer threads than asked."},
    {"unknown name", "No API, runtime, prefix or library has that name."},
    {"no such process", "No process has that number."},
    {"not permitted", "The process belongs to somebody else or is protected."},
    {"process ended", "The process ended while it was read."},
    {"bad ELF", "The file is not a complete 64-bit ELF module."},
    {"I/O error", "The system refused to read a file."},
    {"library lied", "A library did not do or tell what its interface promises."},
    {"not available", "This platform or library has no such function."},
    {"out of memory", "The system has no memory left."},
    {"internal error", "A defect of corewise: please report it."},
}};

const Row& row(Status status) {
  const auto index = static_cast<std::size_t>(status);
  return kRows[index < kRows.size() ? index : static_cast<std::size_t>(CW_INTERNAL)];
}

}  // namespace

std::string system_says(int error) { return std::generic_category().message(error); }

const char* status_name(Status status) { return row(status).name; }
const char* status_message(Status status) { return row(status).message; }

}  // namespace corewise
