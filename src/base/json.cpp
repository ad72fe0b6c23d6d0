#include "json.h"

#include <array>
#include <charconv>
#include <cmath>

#include "text.h"

namespace corewise {
namespace {

void append_escape(std::string& out, unsigned code) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(code >> shift) & 0xfu];
}

}  // namespace

Json& Json::value(double number) {
  if (!std::isfinite(number)) return null();
  std::array<char, 64> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  return raw(error == std::errc{} ? std::string_view(text.data(), end) : "null");
}

void Json::quote(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t n = utf8_length(text);
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7f) {
      append_escape(text_, c);
    } else if (n == 0) {
      append_escape(text_, 0xdc00u + c);
    } else {
      text_ += text.substr(0, n);
    }
    text.remove_prefix(n == 0 ? 1 : n);
  }
  text_ += '"';
}

}  // namespace corewise
