# How every target of the project is compiled.
add_library(corewise_options INTERFACE)
# The core is linked whole into libcorewise and into the command line; each drops what only the other
# calls. For libcorewise that is two fifths.
target_compile_options(corewise_options INTERFACE -ffunction-sections -fdata-sections)
target_link_options(corewise_options INTERFACE -Wl,--gc-sections)
if(COREWISE_DEVELOPER)
  target_compile_options(corewise_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror)
endif()
if(COREWISE_SANITIZE)
  # Its check of virtual calls opens a pipe, where tests take the files away.
  target_compile_options(corewise_options INTERFACE
    -fsanitize=${COREWISE_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(corewise_options INTERFACE -fsanitize=${COREWISE_SANITIZE})
endif()
if(COREWISE_FUZZ)
  # Without it the fuzzer sees no coverage, and guesses blindly.
  target_compile_options(corewise_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(corewise_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
