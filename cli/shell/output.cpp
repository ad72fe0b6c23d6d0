#include "output.h"

#include <fmt/format.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <cwctype>

#include "base/text.h"
#include "exit_codes.h"
#include "variable.h"

namespace corewise::cli {
namespace {

int terminal_width(int descriptor) {
  const std::string columns = variable("COLUMNS");
  int width = 0;
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  winsize size{};
  if (width <= 0 && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  // Below 40 columns no table is readable; above 1000 no eye follows a line.
  return width <= 0 ? 80 : std::min(std::max(width, 40), 1000);
}

// The next character of the locale; length 0 if the bytes are not a character.
struct Next {
  std::size_t length;
  wchar_t character;
};

Next next_character(std::string_view text) {
  std::mbstate_t state{};
  wchar_t character = 0;
  const std::size_t n = std::mbrtowc(&character, text.data(), text.size(), &state);
  if (n == 0) return {1, L'\0'};
  return n > text.size() ? Next{0, 0} : Next{n, character};
}

// Takes the next character, or a byte that is none, off the front; returns its columns.
int take_character(std::string_view& text) {
  const Next next = next_character(text);
  text.remove_prefix(next.length == 0 ? 1 : next.length);
  return next.length == 0 ? 1 : std::max(0, ::wcwidth(next.character));
}

}  // namespace

Style style_for(const Settings& settings, int descriptor) {
  Style style;
  std::setlocale(LC_CTYPE, "");
  style.unicode = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
  const bool terminal = ::isatty(descriptor) == 1;
  style.color = settings.color == "always" ||
                (settings.color == "auto" && terminal && variable("NO_COLOR").empty() &&
                 variable("TERM") != "dumb" && !variable("TERM").empty());
  style.width = terminal_width(descriptor);
  return style;
}

std::string printable(std::string_view bytes, bool unicode) {
  std::string out;
  while (!bytes.empty()) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    const Next next = unicode ? next_character(bytes) : Next{byte < 0x80 ? 1u : 0u, byte};
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (next.length == 0 || byte < 0x20 || byte == 0x7f ||
               (unicode && std::iswprint(static_cast<std::wint_t>(next.character)) == 0)) {
      const std::size_t n = next.length == 0 ? 1 : next.length;
      for (std::size_t i = 0; i < n; ++i) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[i]));
      }
    } else {
      out += bytes.substr(0, next.length);
    }
    bytes.remove_prefix(next.length == 0 ? 1 : next.length);
  }
  return out;
}

int width_of(std::string_view text) {
  int width = 0;
  while (!text.empty()) width += take_character(text);
  return width;
}

std::string_view beginning_of(std::string_view text, int width) {
  std::string_view rest = text;
  std::size_t fits = 0;
  for (int taken = 0; !rest.empty(); fits = text.size() - rest.size()) {
    taken += take_character(rest);
    if (taken > width) break;
  }
  return text.substr(0, fits);
}

std::string folded(std::string_view text, int first_column, int indent, int width) {
  std::string out;
  int column = first_column;
  bool fresh = true;  // no word in this line yet
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (!fresh && column + 1 + width_of(word) > width) {
      out += "\n" + std::string(static_cast<std::size_t>(indent), ' ');
      column = indent;
      fresh = true;
    }
    if (!fresh) {
      out += ' ';
      ++column;
    }
    out += word;
    column += width_of(word);
    fresh = false;
    at = end + 1;
  }
  return out;
}

std::string folded_lines(std::string_view lines, int indent, int width) {
  std::string out;
  while (!lines.empty()) out += folded(cut(lines, '\n'), 0, indent, width) + "\n";
  return out;
}

std::string for_reader(std::string_view lines, int descriptor) {
  if (::isatty(descriptor) != 1 && variable("COLUMNS").empty()) return std::string(lines);
  return folded_lines(lines, 2, style_for({}, descriptor).width);
}

std::string painted(std::string_view text, Paint paint, const Style& style) {
  if (!style.color || text.empty()) return std::string(text);
  constexpr const char* kCodes[] = {"1", "2", "32", "33", "1;31"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(paint)], text);
}

void write_out(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      // If our parent ignores SIGPIPE, so do we, and write fails instead.
      if (reason != EPIPE) fail(kFailed, fmt::format("standard output: {}", std::strerror(reason)));
      std::_Exit(kFailed);
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void write_err(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

int fail(int code, std::string_view what, std::string_view hint) {
  std::string text = fmt::format("corewise: error: {}\n", what);
  if (!hint.empty()) text += fmt::format("hint: {}\n", hint);
  write_err(for_reader(text));
  return code;
}

void warn(std::string_view what) {
  write_err(for_reader(fmt::format("corewise: warning: {}\n", what)));
}

void note(const Settings& settings, std::string_view what) {
  if (!settings.quiet) write_err(for_reader(fmt::format("corewise: {}\n", what)));
}

}  // namespace corewise::cli
