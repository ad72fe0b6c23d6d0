// Reads JSON (RFC 8259) that others wrote: requests to the control socket, and its answers.
//
// Strict: one value and nothing after it, no duplicate keys, no raw control characters, at most 16
// levels. Undoes Json's escapes: \udc80..\udcff become single bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace corewise {

struct JsonField;

struct JsonValue {
  enum class Kind { kNull, kTruth, kNumber, kText, kList, kObject };
  Kind kind = Kind::kNull;
  bool truth = false;
  double number = 0;
  std::string text;
  std::vector<JsonValue> items;
  std::vector<JsonField> fields;  // in document order

  // Null if this is not an object, or has no such key.
  const JsonValue* find(std::string_view key) const;

  // The value of a key, or the default if it is missing or of another kind.
  double number_at(std::string_view key, double otherwise = 0) const;
  int count_at(std::string_view key) const { return known_count_at(key).value_or(0); }
  std::optional<int> known_count_at(std::string_view key) const;
  // The nearest of 0 to 2^53, which a double holds exactly.
  std::uint64_t amount_at(std::string_view key) const;
  std::string text_at(std::string_view key) const;
  bool truth_at(std::string_view key) const;
  // Empty if the key has no list.
  const std::vector<JsonValue>& items_at(std::string_view key) const;

  // A number without a fraction, in the range of an int.
  std::optional<int> whole() const;
};

struct JsonField {
  std::string name;
  JsonValue value;
};

// CW_BAD_ARGUMENT with a sentence that says what is wrong, and where.
Result<JsonValue> read_json(std::string_view text);

}  // namespace corewise
