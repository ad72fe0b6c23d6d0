#include "keys.h"

#include <array>

namespace corewise::cli {
namespace {

struct Sequence {
  std::string_view bytes;  // after ESC [ or ESC O
  Key::Kind kind;
};

// As xterm, rxvt, tmux and the Linux console send them.
constexpr std::array<Sequence, 10> kSequences = {{{"A", Key::Kind::up},
                                                  {"B", Key::Kind::down},
                                                  {"5~", Key::Kind::page_up},
                                                  {"6~", Key::Kind::page_down},
                                                  {"H", Key::Kind::home},
                                                  {"1~", Key::Kind::home},
                                                  {"7~", Key::Kind::home},
                                                  {"F", Key::Kind::end},
                                                  {"4~", Key::Kind::end},
                                                  {"8~", Key::Kind::end}}};

// The length of the sequence after ESC [ or ESC O: it ends in a letter or '~'.
std::size_t length_of(std::string_view rest) {
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] >= '@' && rest[i] <= '~') return i + 1;
  }
  return rest.size();
}

}  // namespace

Key next_key(std::string_view& bytes) {
  const char first = bytes.front();
  bytes.remove_prefix(1);
  if (first != '\x1b') return {Key::Kind::character, first};
  if (bytes.empty() || (bytes.front() != '[' && bytes.front() != 'O')) {
    return {Key::Kind::escape, '\0'};
  }
  bytes.remove_prefix(1);
  const std::string_view sequence = bytes.substr(0, length_of(bytes));
  bytes.remove_prefix(sequence.size());
  for (const Sequence& known : kSequences) {
    if (known.bytes == sequence) return {known.kind, '\0'};
  }
  return {};
}

}  // namespace corewise::cli
