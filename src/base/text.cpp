#include "text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>

namespace corewise {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string_view cut(std::string_view& rest, char separator) {
  const std::size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return part;
}

// An environment may lie inside a package of another: the last one counts.
std::string_view package_folder(std::string_view path) {
  std::size_t begin = 0;
  for (const std::string_view site : {"/site-packages/", "/dist-packages/"}) {
    const std::size_t at = path.rfind(site);
    if (at != path.npos) begin = std::max(begin, at + site.size());
  }
  if (begin == 0) return {};
  const std::string_view below = path.substr(begin);
  const std::size_t end = below.find('/');
  return end == below.npos ? std::string_view() : below.substr(0, end);
}

std::string_view package_of(std::string_view path) {
  constexpr std::string_view kFolder = ".libs";  // where auditwheel puts a wheel's libraries
  const std::string_view folder = package_folder(path);
  return folder.ends_with(kFolder) ? folder.substr(0, folder.size() - kFolder.size()) : folder;
}

std::string name_with_package(std::string_view runtime, std::string_view path) {
  const std::string_view package = package_of(path);
  std::string name(runtime);
  return package.empty() ? name : name + " (" + std::string(package) + ")";
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view line_starting(std::string_view text, std::string_view start) {
  while (!text.empty()) {
    const std::string_view line = cut(text, '\n');
    if (line.starts_with(start)) return line;
  }
  return {};
}

std::uint64_t leading_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<int> first_count(std::string_view list) {
  const auto number = parse_integer(trim(cut(list, ',')));
  if (!number || *number < std::numeric_limits<int>::min() ||
      *number > std::numeric_limits<int>::max()) {
    return std::nullopt;
  }
  return static_cast<int>(*number);
}

std::optional<double> parse_positive(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error != std::errc() || stop != end) return std::nullopt;
  // from_chars reads "nan" and "inf" too.
  if (!std::isfinite(value) || value <= 0) return std::nullopt;
  return value;
}

std::optional<double> parse_cpus(std::string_view text) {
  text = trim(text);
  const bool thousandths = text.ends_with('m');
  if (thousandths) text.remove_suffix(1);
  const auto value = parse_positive(text);
  return value && thousandths ? *value / 1000 : value;
}

// Unicode 15, table 3-7: no surrogates, no overlong forms, nothing above U+10FFFF.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned a = byte(0);
  if (a < 0x80) return 1;
  if (a >= 0xc2 && a <= 0xdf) return tail(1) ? 2 : 0;
  if (a >= 0xe0 && a <= 0xef) {
    const unsigned low = a == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = a == 0xed ? 0x9f : 0xbf;
    return byte(1) >= low && byte(1) <= high && tail(2) ? 3 : 0;
  }
  if (a >= 0xf0 && a <= 0xf4) {
    const unsigned low = a == 0xf0 ? 0x90 : 0x80;
    const unsigned high = a == 0xf4 ? 0x8f : 0xbf;
    return byte(1) >= low && byte(1) <= high && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

std::string format_cpus(double cpus) {
  if (!std::isfinite(cpus)) return std::isnan(cpus) ? "not a number" : "infinite";
  char digits[400];  // the longest double has 309 digits before the point
  const int n = std::snprintf(digits, sizeof digits, "%.3f", cpus);
  std::string text(digits, static_cast<std::size_t>(n));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  }
  return text;
}

std::string cpus_in_words(double cpus) {
  const std::string number = format_cpus(cpus);
  return number + (number == "1" ? " CPU" : " CPUs");
}

std::string quote(std::string_view text) {
  constexpr std::size_t kMost = 40;
  std::string quoted = "'";
  for (const char c : text.substr(0, kMost)) {
    if (c >= ' ' && c <= '~') {
      quoted += c;
    } else {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(c) & 0xffu);
      quoted += escaped;
    }
  }
  quoted += text.size() > kMost ? "'..." : "'";
  return quoted;
}

}  // namespace corewise
