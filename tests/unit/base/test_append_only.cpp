#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/append_only.h"

using namespace corewise;

TEST_CASE("append_only: an entry shows once it is appended, and there is an end") {
  AppendOnly<std::string, 2> table;
  CHECK(table.all().empty());
  *table.next() = "one";
  CHECK(table.all().empty());
  table.append();
  REQUIRE(table.all().size() == 1);
  const std::string* const first = table.all().data();
  *table.next() = "two";
  table.append();
  CHECK(table.next() == nullptr);
  CHECK(table.all()[1] == "two");
  CHECK(table.all().data() == first);
}

TEST_CASE("append_only: readers see whole entries while another thread appends") {
  constexpr std::size_t kEntries = 2000;
  struct Entry {
    std::size_t number = 0;
    std::size_t twice = 0;
  };
  static AppendOnly<Entry, kEntries> table;
  std::atomic<int> torn{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (table.size() < kEntries) {
        for (std::size_t at = 0; const Entry& entry : table.all()) {
          if (entry.number != at || entry.twice != 2 * at) ++torn;
          ++at;
        }
      }
    });
  }
  for (std::size_t i = 0; i < kEntries; ++i) {
    Entry* const next = table.next();
    REQUIRE(next != nullptr);
    *next = {i, 2 * i};
    table.append();
    if (i % 64 == 0) std::this_thread::yield();
  }
  readers.clear();
  CHECK(torn == 0);
}
