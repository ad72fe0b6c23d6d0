# A text that is a file of its own, for editors, linters and formatters, and a constant in the
# program: #include <embedded/NAME.h> has it as corewise::cli::CONSTANT.
function(corewise_embed target file constant)
  file(READ ${file} text)
  get_filename_component(name ${file} NAME)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/embedded.h.in
    ${CMAKE_CURRENT_BINARY_DIR}/generated/embedded/${name}.h @ONLY)
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endfunction()
