// What the loader binds a call to.
#pragma once

#include <string>

namespace corewise::elf {

// What the loader would bind now if the module of that name (empty: the program) called `function`
// without defining it, and needed that version of it (empty: any). Null if that is not known.
//
// The loader searches the global scope: the libraries that were there at the start, in their order,
// and those that were opened with RTLD_GLOBAL. For a module that was loaded later it then searches
// the libraries that dlopen loaded with it, or first with RTLD_DEEPBIND. Nobody can ask for these:
// there we know only what is defined once, and what the module's own libraries do not define anew.
void* bound_function(const std::string& module, const char* function, const std::string& version);

// Tells that all modules that are loaded now were there at the start.
void remember_start();

}  // namespace corewise::elf
