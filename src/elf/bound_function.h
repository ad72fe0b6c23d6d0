// What the loader binds a call to.
#pragma once

#include <string>

namespace corewise::elf {

// What the loader would bind now if the module of that name called `function` without defining it,
// and needed that version of it (empty: any). The first library that has the version counts, or
// that has the function without one. The loader searches the program's global symbols, then the
// module's own dependencies, or the other way round if RTLD_DEEPBIND loaded the module, which
// nobody can ask. So null if it finds none, and if both have one and they differ.
void* bound_function(const std::string& module, const char* function, const std::string& version);

}  // namespace corewise::elf
