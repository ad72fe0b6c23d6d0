// The program of this process, which the loader gives no name.
#pragma once

#include <string>

namespace corewise::os {

// Its file, links resolved, by the name that it had when it was started; empty where the kernel
// does not tell.
std::string program_path();

}  // namespace corewise::os
