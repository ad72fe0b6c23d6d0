// Bends for the tests of gates: whether the regions of this program do.
#pragma once

#include <cstdlib>

#include "govern/teams/bends.h"

namespace corewise::test {

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
