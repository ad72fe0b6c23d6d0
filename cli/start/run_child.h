// A program that corewise starts and waits for, as if it were not in between: signals reach it,
// the terminal stays its own, and it can be stopped and continued.
#pragma once

#include <functional>

namespace corewise::cli {

// Starts `become` in a child, which returns an exit code only if it could not. Returns the child's
// status as waitpid has it; negative: errno, as there is no child.
int wait_for_child(const std::function<int()>& become);

// Ends this process the way the child ended.
int end_like(int status);

}  // namespace corewise::cli
