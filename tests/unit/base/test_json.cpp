#include <doctest/doctest.h>

#include <limits>

#include "base/json.h"

using corewise::Json;

namespace {
std::string quoted(std::string_view text) { return Json().value(text).text(); }
}  // namespace

TEST_CASE("commas come between values and nowhere else") {
  Json json;
  json.open('{').field("a", 1).key("b").open('[').value(2).null().open('[').close(']');
  json.open('{').close('}').close(']').field("c", true).close('}');
  CHECK(json.text() == R"({"a":1,"b":[2,null,[],{}],"c":true})");
}

TEST_CASE("numbers") {
  CHECK(Json().value(std::numeric_limits<std::int64_t>::min()).text() == "-9223372036854775808");
  CHECK(Json().value(std::numeric_limits<std::uint64_t>::max()).text() == "18446744073709551615");
  CHECK(Json().value(0.1).text() == "0.1");
  CHECK(Json().value(std::numeric_limits<double>::infinity()).text() == "null");
  CHECK(Json().value(std::numeric_limits<double>::quiet_NaN()).text() == "null");
}

TEST_CASE("quotes, backslashes and control characters are escaped") {
  CHECK(quoted("a\"b\\c") == R"("a\"b\\c")");
  CHECK(quoted({"\0\x1f\x7f\n", 4}) == R"("\u0000\u001f\u007f\u000a")");
}

TEST_CASE("well-formed UTF-8 stays, every other byte becomes a surrogate escape") {
  CHECK(quoted("é€😀") == "\"é€😀\"");
  CHECK(quoted("\xe9x") == "\"\\udce9x\"");
  CHECK(quoted("\xc3") == "\"\\udcc3\"");                                   // cut short
  CHECK(quoted("\xc0\xaf") == "\"\\udcc0\\udcaf\"");                        // overlong
  CHECK(quoted("\xe0\x9f\xbf") == "\"\\udce0\\udc9f\\udcbf\"");             // overlong
  CHECK(quoted("\xed\xa0\x80") == "\"\\udced\\udca0\\udc80\"");             // a surrogate
  CHECK(quoted("\xf4\x90\x80\x80") == "\"\\udcf4\\udc90\\udc80\\udc80\"");  // above U+10FFFF
  CHECK(quoted("\xf4\x8f\xbf\xbf") == "\"\xf4\x8f\xbf\xbf\"");
  CHECK(quoted("\xff\x80") == "\"\\udcff\\udc80\"");
}
