// What the tests of gates share: the way to a replacement, and regions that bend.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "govern/patch/hook.h"
#include "govern/teams/bends.h"

namespace corewise::test {

// What takes the place of the runtime's function of that name.
template <class Function>
Function* replacement_in(const std::vector<govern::GotRequest>& all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &govern::GotRequest::symbol);
  REQUIRE(found != all.end());
  return reinterpret_cast<Function*>(const_cast<void*>(found->replacement));
}

// For its life the regions whose functions stand in this program bend.
class ThisProgramBends {
 public:
  ThisProgramBends() { say("corewise_unit"); }
  ThisProgramBends(const ThisProgramBends&) = delete;
  ThisProgramBends& operator=(const ThisProgramBends&) = delete;
  ~ThisProgramBends() { say(""); }

 private:
  static void say(const char* names) {
    setenv("COREWISE_BEND", names, 1);
    govern::find_bending();
  }
};

}  // namespace corewise::test
