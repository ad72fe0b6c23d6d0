// corewise help --man: the man page, which a wheel keeps where `man corewise` does not look.
#pragma once

namespace corewise::cli {

// Becomes `man`, or says where the page is; the exit code.
int show_manual();

}  // namespace corewise::cli
