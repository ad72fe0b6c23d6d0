#include "quoting.h"

#include <algorithm>

namespace corewise::cli {

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string for_shell(std::string_view word) {
  constexpr std::string_view kPlain = "_@%+=:,./-";
  const bool plain = !word.empty() && std::ranges::all_of(word, [&](const char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || kPlain.find(c) != kPlain.npos;
  });
  return plain ? std::string(word) : in_quotes(word);
}

std::string for_shell(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + for_shell(word);
  return text;
}

}  // namespace corewise::cli
