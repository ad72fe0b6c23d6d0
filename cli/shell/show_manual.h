// corewise help --man: the man page, even where `man corewise` does not find it.
#pragma once

namespace corewise::cli {

// Becomes `man`, or says where the page is and returns the exit code.
int show_manual();

}  // namespace corewise::cli
