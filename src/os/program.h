// The file of this process's program: the loader gives the program no name.
#pragma once

#include <string>

namespace corewise::os {

// The program's file, links resolved; empty if the kernel does not tell.
std::string program_path();

}  // namespace corewise::os
