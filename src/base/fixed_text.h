// Text in a fixed buffer, for code that must not allocate: signal handlers and the process's end.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace corewise {

// If one part does not fit, the whole text counts as too long: half a document is useless.
template <std::size_t kSize>
class FixedText {
 public:
  void add(std::string_view text) noexcept {
    fits_ = fits_ && text.size() <= kSize - size_;
    if (!fits_) return;
    std::memcpy(text_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }

  void digits(std::uint64_t number, std::size_t least = 1, int base = 10) noexcept {
    std::array<char, 64> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number, base).ptr;
    for (auto n = static_cast<std::size_t>(end - text.data()); n < least; ++n) add("0");
    add({text.data(), end});
  }

  // A JSON string of any bytes, quoted. Every byte that is not ASCII is escaped, as Json escapes
  // bytes that are not UTF-8.
  void quoted(std::string_view text) noexcept {
    add("\"");
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte >= 0x7f) {
        add(byte < 0x80 ? "\\u00" : "\\udc");
        digits(byte, 2, 16);
      } else {
        if (c == '"' || c == '\\') add("\\");
        add({&c, 1});
      }
    }
    add("\"");
  }

  // A member of a JSON object, after others; `json` is JSON already.
  void raw(std::string_view name, std::string_view json) noexcept {
    add(",\"");
    add(name);
    add("\":");
    add(json);
  }
  void field(std::string_view name, std::uint64_t number) noexcept {
    raw(name, "");
    digits(number);
  }
  void field(std::string_view name, std::string_view content) noexcept {
    raw(name, "");
    quoted(content);
  }
  void field(std::string_view name, std::same_as<bool> auto holds) noexcept {
    raw(name, holds ? "true" : "false");
  }

  void clear() noexcept {
    size_ = 0;
    fits_ = true;
  }

  bool fits() const noexcept { return fits_; }
  std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, kSize> text_{};
  std::size_t size_ = 0;
  bool fits_ = true;
};

}  // namespace corewise
