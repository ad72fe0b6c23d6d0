#include <doctest/doctest.h>

#include <set>
#include <string>

#include "base/error.h"

using namespace corewise;

TEST_CASE("each status has a name and a sentence of its own") {
  std::set<std::string> names, messages;
  for (int status = CW_OK; status <= CW_INTERNAL; ++status) {
    INFO(status);
    names.insert(status_name(static_cast<Status>(status)));
    const std::string message = status_message(static_cast<Status>(status));
    CHECK(message.back() == '.');
    messages.insert(message);
  }
  CHECK(names.size() == CW_INTERNAL + 1);
  CHECK(messages.size() == CW_INTERNAL + 1);
}

TEST_CASE("numbers that are no status are a defect of ours") {
  CHECK(std::string(cw_status_name(static_cast<cw_status>(14))) == "internal error");
}

TEST_CASE("a result holds its value or its error") {
  const Result<int> good = 3;
  CHECK(good);
  CHECK(*good == 3);
  CHECK(good.error().status == CW_OK);
  const Result<int> bad = Error{CW_BAD_ELF, "why"};
  CHECK_FALSE(bad);
  CHECK(bad.error().what == "why");
}
