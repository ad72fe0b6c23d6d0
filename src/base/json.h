// Writes JSON. json_reader.h reads it.
//
// Each byte that is not UTF-8 (file paths may hold any) becomes one of \udc80..\udcff, as in
// Python's surrogateescape: the text stays valid and a reader can recover the bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corewise {

class Json {
 public:
  Json& open(char bracket) {
    separate();
    text_ += bracket;
    fresh_ = true;
    return *this;
  }
  Json& close(char bracket) {
    text_ += bracket;
    fresh_ = false;
    return *this;
  }
  Json& key(std::string_view name) {
    separate();
    quote(name);
    text_ += ':';
    fresh_ = true;
    return *this;
  }
  Json& value(std::string_view text) {
    separate();
    quote(text);
    return *this;
  }
  Json& value(const char* text) { return value(std::string_view(text)); }
  Json& value(std::int64_t number) { return raw(std::to_string(number)); }
  Json& value(std::uint64_t number) { return raw(std::to_string(number)); }
  Json& value(int number) { return raw(std::to_string(number)); }
  Json& value(bool truth) { return raw(truth ? "true" : "false"); }
  Json& value(double number);
  Json& null() { return raw("null"); }
  // Text that is JSON already.
  Json& raw(std::string_view json) {
    separate();
    text_ += json;
    return *this;
  }

  template <class T>
  Json& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  // Null for a text that is empty, a count below 1 and an optional without a value.
  Json& known(std::string_view name, const std::string& text) {
    return text.empty() ? key(name).null() : field(name, text);
  }
  Json& known(std::string_view name, int count) {
    return count < 1 ? key(name).null() : field(name, count);
  }
  template <class T>
  Json& known(std::string_view name, const std::optional<T>& content) {
    return content ? field(name, *content) : key(name).null();
  }

  // An array of these texts or numbers.
  template <class Values>
  Json& array(std::string_view name, const Values& values) {
    key(name).open('[');
    for (const auto& each : values) value(each);
    return close(']');
  }

  const std::string& text() const { return text_; }

 private:
  void separate() {
    if (!fresh_) text_ += ',';
    fresh_ = false;
  }
  void quote(std::string_view text);

  std::string text_;
  bool fresh_ = true;
};

}  // namespace corewise
