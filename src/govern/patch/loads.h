// Something was loaded: the one place that notices it, and calls whoever has to do something about
// it.
//
// We do not ask the loader all the time: a program that loads a library to use it then asks dlsym
// for a name, and that is where we look. At that point the library is loaded and initialised, and
// none of its functions has been called.
#pragma once

#include <array>
#include <vector>

#include "hook.h"

namespace corewise::govern::loads {

// Who is called, in this order.
enum class Stage { kGovernor, kDeathWatch };

// `run` is called in the program's threads, before each dlsym that follows a load or unload. It may
// load and lock, but must not wait for a lock whose holder may wait for the loader: instead it
// returns false, and is called again at the next dlsym, as are those after it, which were not
// called. `asked`: somebody calls run_all(). Null: nothing is called.
void set(Stage stage, bool (*run)(bool asked));

// Calls all of them now, whether something was loaded or not.
void run_all();
// For a stage that has just done its part by itself: calls those that follow.
void run_after(Stage stage);

// Where dlsym would return `original` for this name, it returns the replacement, except where the
// handle is RTLD_NEXT. Call it before the GOT entries are rewritten.
struct Substitute {
  const char* symbol = nullptr;
  void* original = nullptr;
  void* replacement = nullptr;
};
using Substitutes = std::array<Substitute, 2>;
void substitute(const Substitutes& all);

std::vector<GotRequest> got_requests();

}  // namespace corewise::govern::loads
