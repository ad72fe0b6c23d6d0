// A program that corewise starts and waits for, as if corewise were not in between: signals reach
// it, the terminal stays its own, and it can be stopped and continued.
#pragma once

#include <functional>

namespace corewise::cli {

// Runs `become` in a child; `become` returns an exit code only if the program could not be started.
// Returns the child's status, as waitpid returns it, or -errno if there is no child.
int wait_for_child(const std::function<int()>& become);

// Ends this process the way the child ended.
int end_like(int status);

}  // namespace corewise::cli
