// The text of /proc/PID/maps. Pure, so that recorded and hostile texts can be tested and fuzzed.
#include <charconv>
#include <string_view>

#include "os.h"

namespace corewise::os {
namespace {

// The kernel writes a newline inside a path as \012 (seq_path escapes "\n").
std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 4) == "\\012") {
      out += '\n';
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view next_field(std::string_view& line) {
  const std::size_t begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) {
    line = {};
    return {};
  }
  const std::size_t end = line.find(' ', begin);
  const std::string_view field = line.substr(begin, end == line.npos ? line.npos : end - begin);
  line = end == line.npos ? std::string_view{} : line.substr(end);
  return field;
}

template <class T>
bool parse_hex(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_line(std::string_view line, Mapping& out) {
  const std::string_view range = next_field(line);
  const std::size_t dash = range.find('-');
  if (dash == range.npos || !parse_hex(range.substr(0, dash), out.begin) ||
      !parse_hex(range.substr(dash + 1), out.end) || out.begin >= out.end) {
    return false;
  }
  const std::string_view permissions = next_field(line);
  if (permissions.size() != 4) return false;
  out.readable = permissions[0] == 'r';
  out.executable = permissions[2] == 'x';
  if (!parse_hex(next_field(line), out.offset)) return false;
  if (next_field(line).empty() || next_field(line).empty()) return false;  // device, inode
  const std::size_t path = line.find_first_not_of(' ');
  if (path == line.npos) return true;
  std::string_view rest = line.substr(path);
  if (rest.ends_with(kDeleted)) {
    out.deleted = true;
    rest.remove_suffix(kDeleted.size());
  }
  out.path = unescape(rest);
  return true;
}

}  // namespace

std::vector<Mapping> parse_maps(const std::string& text) {
  std::vector<Mapping> mappings;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    Mapping mapping;
    if (parse_line(rest.substr(0, end), mapping)) mappings.push_back(std::move(mapping));
    rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
  }
  return mappings;
}

}  // namespace corewise::os
