// Something was loaded: the one place that notices it, and calls whoever has to do something about
// it.
//
// We do not ask the loader all the time: a program that loads a library to use it then asks dlsym
// for a name, and that is where we look. At that point the library is loaded and initialised, and
// none of its functions has been called.
#pragma once

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

// Where dlsym would return the function that one of these requests is about (`only`), it returns
// the replacement. Call it before the GOT entries are rewritten; the names must live for good.
void substitute(const std::vector<GotRequest>& requests);

std::vector<GotRequest> got_requests();

}  // namespace corewise::govern::loads
