// Where words go: data to standard output, messages to standard error, and how each may look.
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace corewise::cli {

struct Settings {
  bool json = false;
  bool quiet = false;
  std::string color = "auto";
};

// What the reader's terminal, pipe and locale allow on standard output, or on another descriptor.
struct Style {
  bool color = false;
  bool unicode = false;
  int width = 80;
};

Style style_for(const Settings& settings, int descriptor = STDOUT_FILENO);

// Bytes made safe for one line of any terminal: control characters and bytes that are not text in
// the locale become \n, \t or \xNN, so that a path cannot move the cursor.
std::string printable(std::string_view bytes, bool unicode);

// Columns that printable text takes.
int width_of(std::string_view text);

// The first characters of a text: as many as fit into `width` columns.
std::string_view beginning_of(std::string_view text, int width);

// Wraps words into lines of at most `width` columns. The first line begins at `first_column`, the
// others after `indent` spaces.
std::string folded(std::string_view text, int first_column, int indent, int width);

// The same for whole lines, each of which ends with a newline.
std::string folded_lines(std::string_view lines, int indent, int width);

enum class Paint { kBold, kDim, kGreen, kYellow, kRed };
std::string painted(std::string_view text, Paint paint, const Style& style);

// Writes everything to standard output. If the reader went away, ends the program quietly; reports
// any other failure.
void write_out(std::string_view text);

// Sentences, each a line: folded on a terminal, or if COLUMNS is set; otherwise as they are, for
// files and for programs that read lines.
std::string for_reader(std::string_view lines, int descriptor = STDERR_FILENO);

// Writes to standard error as much as it takes; a short write is not a failure.
void write_err(std::string_view text);

// "corewise: error: ..." and, when not empty, "hint: ..." on standard error; returns code.
int fail(int code, std::string_view what, std::string_view hint = {});
void warn(std::string_view what);
// Does nothing with --quiet.
void note(const Settings& settings, std::string_view what);

}  // namespace corewise::cli
