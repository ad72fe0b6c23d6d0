#include "json_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace corewise {
namespace {

constexpr int kDeepest = 16;

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Result<JsonValue> read() {
    JsonValue value;
    if (!take_value(value, 0)) return error();
    skip_blanks();
    if (at_ != text_.size()) {
      fail("there is text after the value");
      return error();
    }
    return value;
  }

 private:
  Error error() const {
    return {CW_BAD_ARGUMENT,
            "not JSON: " + std::string(what_) + ", at byte " + std::to_string(at_)};
  }
  bool fail(const char* what) {
    if (what_ == nullptr) what_ = what;
    return false;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return fail("an unknown word");
    at_ += expected.size();
    return true;
  }

  bool take_value(JsonValue& out, int depth) {
    if (depth == kDeepest) return fail("it is nested too deeply");
    skip_blanks();
    switch (peek()) {
      case '{':
        return take_object(out, depth);
      case '[':
        return take_list(out, depth);
      case '"':
        out.kind = JsonValue::Kind::kText;
        return take_text(out.text);
      case 'n':
        return word("null");
      case 't':
        out.truth = true;
        [[fallthrough]];
      case 'f':
        out.kind = JsonValue::Kind::kTruth;
        return word(out.truth ? "true" : "false");
      default:
        return take_number(out);
    }
  }

  bool take_object(JsonValue& out, int depth) {
    out.kind = JsonValue::Kind::kObject;
    ++at_;
    if (accept('}')) return true;
    do {
      skip_blanks();
      std::string key;
      if (peek() != '"') return fail("a key in quotes is missing");
      if (!take_text(key)) return false;
      if (out.find(key) != nullptr) return fail("a key appears twice");
      if (!accept(':')) return fail("a colon is missing");
      out.fields.push_back({std::move(key), {}});
      if (!take_value(out.fields.back().value, depth + 1)) return false;
    } while (accept(','));
    return accept('}') || fail("a comma or } is missing");
  }

  bool take_list(JsonValue& out, int depth) {
    out.kind = JsonValue::Kind::kList;
    ++at_;
    if (accept(']')) return true;
    do {
      if (!take_value(out.items.emplace_back(), depth + 1)) return false;
    } while (accept(','));
    return accept(']') || fail("a comma or ] is missing");
  }

  bool digits() {
    const std::size_t first = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > first;
  }

  bool take_number(JsonValue& out) {
    const std::size_t first = at_;
    if (peek() == '-') ++at_;
    const bool zero = peek() == '0';
    const std::size_t whole = at_;
    if (!digits()) return fail("a value is missing");
    if (zero && at_ > whole + 1) return fail("a number begins with 0");
    if (peek() == '.') {
      ++at_;
      if (!digits()) return fail("a digit is missing");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return fail("a digit is missing");
    }
    out.kind = JsonValue::Kind::kNumber;
    const auto read = std::from_chars(text_.data() + first, text_.data() + at_, out.number);
    return read.ec == std::errc() || fail("a number is too large");
  }

  std::optional<unsigned> take_hex() {
    unsigned code = 0;
    if (text_.size() - at_ < 4) return std::nullopt;
    const auto read = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, code, 16);
    if (read.ptr != text_.data() + at_ + 4) return std::nullopt;
    at_ += 4;
    return code;
  }

  static void append(std::string& out, unsigned code) {
    const auto byte = [&](unsigned value) { out += static_cast<char>(value); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
      byte(0xc0u | code >> 6);
    } else if (code < 0x10000) {
      byte(0xe0u | code >> 12);
      byte(0x80u | (code >> 6 & 0x3fu));
    } else {
      byte(0xf0u | code >> 18);
      byte(0x80u | (code >> 12 & 0x3fu));
      byte(0x80u | (code >> 6 & 0x3fu));
    }
    byte(0x80u | (code & 0x3fu));
  }

  bool take_escaped(std::string& out) {
    const auto code = take_hex();
    if (!code) return fail("\\u wants four digits");
    if (*code >= 0xdc80 && *code <= 0xdcff) {
      out += static_cast<char>(*code - 0xdc00);
      return true;
    }
    if (*code < 0xd800 || *code > 0xdfff) {
      append(out, *code);
      return true;
    }
    if (*code > 0xdbff || text_.substr(at_, 2) != "\\u") return fail("half a surrogate pair");
    at_ += 2;
    const auto low = take_hex();
    if (!low || *low < 0xdc00 || *low > 0xdfff) return fail("half a surrogate pair");
    append(out, 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00));
    return true;
  }

  bool take_text(std::string& out) {
    ++at_;
    for (;;) {
      if (at_ >= text_.size()) return fail("a quote is missing");
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return fail("a raw control character");
      if (c != '\\') {
        out += c;
        continue;
      }
      constexpr std::string_view kNames = "\"\\/bfnrt";
      constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
      const char name = peek();
      ++at_;
      if (name == 'u') {
        if (!take_escaped(out)) return false;
        continue;
      }
      const std::size_t which = kNames.find(name);
      if (name == '\0' || which == kNames.npos) return fail("an unknown escape");
      out += kMeant[which];
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const char* what_ = nullptr;
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return &value;
  }
  return nullptr;
}

double JsonValue::number_at(std::string_view key, double otherwise) const {
  const JsonValue* value = find(key);
  return value != nullptr && value->kind == Kind::kNumber ? value->number : otherwise;
}

std::uint64_t JsonValue::amount_at(std::string_view key) const {
  return static_cast<std::uint64_t>(std::clamp(number_at(key), 0.0, 0x1p53));
}

std::optional<int> JsonValue::known_count_at(std::string_view key) const {
  const JsonValue* value = find(key);
  return value != nullptr ? value->whole() : std::nullopt;
}

std::string JsonValue::text_at(std::string_view key) const {
  const JsonValue* value = find(key);
  return value != nullptr ? value->text : std::string();
}

bool JsonValue::truth_at(std::string_view key) const {
  const JsonValue* value = find(key);
  return value != nullptr && value->truth;
}

const std::vector<JsonValue>& JsonValue::items_at(std::string_view key) const {
  static const std::vector<JsonValue> kNone;
  const JsonValue* value = find(key);
  return value != nullptr ? value->items : kNone;
}

std::optional<int> JsonValue::whole() const {
  if (kind != Kind::kNumber || number != std::floor(number) || std::abs(number) > 2e9) {
    return std::nullopt;
  }
  return static_cast<int>(number);
}

Result<JsonValue> read_json(std::string_view text) { return JsonReader(text).read(); }

}  // namespace corewise
