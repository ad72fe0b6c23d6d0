# What `cmake --install` lays down: library, headers, find_package(corewise) and pkg-config files.
include(CMakePackageConfigHelpers)

if(SKBUILD)
  # Inside a Python package there is no multiarch.
  set(CMAKE_INSTALL_LIBDIR lib)
endif()

set(COREWISE_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/corewise)
install(TARGETS corewise EXPORT corewise-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(TARGETS corewise_tcm
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/corewise COMPONENT library)
install(FILES include/corewise.h include/corewise.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(EXPORT corewise-targets NAMESPACE corewise:: DESTINATION ${COREWISE_CMAKE_DIR}
  COMPONENT library)
configure_package_config_file(cmake/corewise-config.cmake.in
  ${PROJECT_BINARY_DIR}/corewise-config.cmake INSTALL_DESTINATION ${COREWISE_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/corewise-config-version.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/corewise-config.cmake
  ${PROJECT_BINARY_DIR}/corewise-config-version.cmake
  DESTINATION ${COREWISE_CMAKE_DIR} COMPONENT library)
configure_file(cmake/corewise.pc.in ${PROJECT_BINARY_DIR}/corewise.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/corewise.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
if(TARGET corewise_cli)
  install(TARGETS corewise_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cli)
endif()
