# Installs, builds the examples both ways, runs them, and compares what they print.
set(prefix ${WORK}/prefix)
file(REMOVE_RECURSE ${prefix} ${WORK}/by-package ${WORK}/by-pkg-config)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "${ARGV}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

find_program(pkg_config pkg-config)
execute_process(COMMAND ${pkg_config} --exists openblas RESULT_VARIABLE missing)
if(NOT pkg_config OR missing)
  message("SKIPPED: needs pkg-config and libopenblas-dev")
  return()
endif()

set(expected "before:  team of 4, blas 3\ninside:  team of 2, blas 1\nafter:   team of 4, blas 3\nrefused: bad count\n")
function(check program)
  run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${prefix}/${LIBDIR} OMP_DYNAMIC=false
      --unset=OMP_NUM_THREADS --unset=OMP_THREAD_LIMIT --unset=OPENBLAS_NUM_THREADS ${program})
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "${program} printed\n${output}\nand not\n${expected}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --component library)

run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/by-package -G ${GENERATOR}
    -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_C_COMPILER=${CC})
run(${CMAKE_COMMAND} --build ${WORK}/by-package)
check(${WORK}/by-package/regions)
run(${WORK}/by-package/pools)
if(NOT output MATCHES "blas libopenblas: 1\n")
  message(FATAL_ERROR "pools printed\n${output}")
endif()

set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
run(${pkg_config} --cflags --libs corewise openblas)
separate_arguments(flags UNIX_COMMAND "${output}")
file(MAKE_DIRECTORY ${WORK}/by-pkg-config)
run(${CXX} -std=c++20 -fopenmp ${SOURCE}/regions.cpp ${flags} -o ${WORK}/by-pkg-config/regions)
check(${WORK}/by-pkg-config/regions)
