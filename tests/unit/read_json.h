// Reads JSON in tests: answers written by scripts, and what corewise itself writes. Throws
// std::runtime_error for anything that is not JSON, so that a test fails.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace corewise::test {

struct JsonValue {
  std::string text;  // of a string as it is, of a number, true, false and null as written
  std::vector<JsonValue> items;
  std::map<std::string, JsonValue> fields;

  const JsonValue& at(const std::string& name) const { return fields.at(name); }
  double number() const { return std::stod(text); }
  bool truth() const { return text == "true"; }
  std::vector<std::string> strings() const {
    std::vector<std::string> all;
    for (const JsonValue& item : items) all.push_back(item.text);
    return all;
  }
};

class JsonReader {
 public:
  static JsonValue read(std::string_view text) {
    JsonReader reader(text);
    JsonValue value = reader.value();
    reader.blanks();
    if (!reader.rest_.empty()) throw std::runtime_error("text after the JSON value");
    return value;
  }

 private:
  explicit JsonReader(std::string_view text) : rest_(text) {}

  void blanks() {
    while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_[0]) != std::string_view::npos) {
      rest_.remove_prefix(1);
    }
  }
  char take() {
    if (rest_.empty()) throw std::runtime_error("JSON cut short");
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }
  bool accept(char c) {
    blanks();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) throw std::runtime_error(std::string("JSON lacks a ") + c);
  }

  JsonValue value() {
    JsonValue result;
    if (accept('{')) {
      if (accept('}')) return result;
      do {
        expect('"');
        const std::string name = string();
        expect(':');
        if (!result.fields.emplace(name, value()).second) {
          throw std::runtime_error("JSON has the key " + name + " twice");
        }
      } while (accept(','));
      expect('}');
    } else if (accept('[')) {
      if (accept(']')) return result;
      do result.items.push_back(value());
      while (accept(','));
      expect(']');
    } else if (accept('"')) {
      result.text = string();
    } else {
      blanks();
      while (!rest_.empty() &&
             std::string_view(",]} \n").find(rest_[0]) == std::string_view::npos) {
        result.text += take();
      }
      if (result.text.empty()) throw std::runtime_error("JSON lacks a value");
    }
    return result;
  }

  // After the opening quote. Escapes stay as written but for those of one character.
  std::string string() {
    std::string text;
    for (;;) {
      char c = take();
      if (c == '"') return text;
      if (static_cast<unsigned char>(c) < 0x20) throw std::runtime_error("raw control in a string");
      if (c == '\\') {
        c = take();
        if (c == 'u') text += "\\";
        if (c == 'n') c = '\n';
      }
      text += c;
    }
  }

  std::string_view rest_;
};

}  // namespace corewise::test
