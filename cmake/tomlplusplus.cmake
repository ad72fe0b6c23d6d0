# Sets TOMLPLUSPLUS_INCLUDE to the folder of toml++'s headers: the system's, or else those in a
# package of PyPI. Ubuntu 22.04 has none of its own, and a build by pip reaches PyPI anyway.
find_path(TOMLPLUSPLUS_INCLUDE toml++/toml.h)
if(TOMLPLUSPLUS_INCLUDE OR NOT COREWISE_PYTHON)
  return()
endif()

set(package pytomlpp-1.1.0)
set(archive ${CMAKE_CURRENT_BINARY_DIR}/${package}.tar.gz)
file(DOWNLOAD
  https://files.pythonhosted.org/packages/10/fe/50ca1ac0c1a932d3e71311baff531c0395e546ec0cd42bc8a8a88c36e00b/${package}.tar.gz
  ${archive} STATUS status TIMEOUT 60)
list(GET status 0 code)
if(code EQUAL 0)
  file(SHA256 ${archive} hash)
  if(hash STREQUAL 61a0f73e7ba2fe8bba4e99ce6d2701491885850b53aad8f3e46d03c4b31e594d)
    file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${CMAKE_CURRENT_BINARY_DIR}
      PATTERNS ${package}/third_party/tomlplusplus/include/*)
    set(TOMLPLUSPLUS_INCLUDE ${CMAKE_CURRENT_BINARY_DIR}/${package}/third_party/tomlplusplus/include
      CACHE PATH "" FORCE)
    return()
  endif()
  set(status "0;it is not the file that was published (SHA-256 ${hash})")
endif()
list(GET status 1 why)
message(STATUS "corewise: toml++ cannot be fetched from PyPI: ${why}")
