# SPDX-License-Identifier: Apache-2.0 OR MIT
# Tests. All programs land in <build>/tests/bin, so that a test finds its actors beside itself;
# every test runs under tests/support/run.sh.

set(MYELON_TEST_BIN "${PROJECT_BINARY_DIR}/tests/bin")
set(MYELON_TEST_RUN "${PROJECT_SOURCE_DIR}/tests/support/run.sh")
set(MYELON_TEST_SCALE_none 1)
set(MYELON_TEST_SCALE_asan 4)
set(MYELON_TEST_SCALE_tsan 10)
set(MYELON_TEST_SCALE ${MYELON_TEST_SCALE_${MYELON_SANITIZE}})

if(NOT MYELON_SANITIZE STREQUAL "tsan")
  find_path(MYELON_CRITERION_INCLUDE criterion/criterion.h)
  find_library(MYELON_CRITERION_LIBRARY criterion)
  mark_as_advanced(MYELON_CRITERION_INCLUDE MYELON_CRITERION_LIBRARY)
  if(NOT MYELON_CRITERION_INCLUDE OR NOT MYELON_CRITERION_LIBRARY)
    message(FATAL_ERROR "Criterion was not found: install libcriterion-dev, "
      "or configure with -DMYELON_TESTS=OFF")
  endif()
endif()

# The programs link the public library (shared) or the one with test points (test).
function(myelon_test_program target libs)
  myelon_flags(${target})
  target_link_libraries(${target} PRIVATE myelon_kit Threads::Threads m)
  if(libs STREQUAL "test")
    target_link_libraries(${target} PRIVATE myelon_test)
    target_include_directories(${target} PRIVATE
      "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
    if(MYELON_DEBUG_CHECKS)
      target_compile_definitions(${target} PRIVATE MYE_DEBUG_CHECKS=1)
    endif()
    if(MYELON_SANITIZE STREQUAL "tsan")
      target_compile_definitions(${target} PRIVATE MYE_SINGLE_MAP=1)
    endif()
  elseif(libs STREQUAL "shared")
    target_link_libraries(${target} PRIVATE myelon::myelon)
  else()
    message(FATAL_ERROR "${target}: LIBS is '${libs}': use test or shared")
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${MYELON_TEST_BIN}")
endfunction()

# Registers a command line as a CTest test under the runner; KIND is criterion, plain or script.
function(myelon_register_test kind program)
  cmake_parse_arguments(arg "" "NAME;TIMEOUT" "LABELS;RESOURCE_LOCK" ${ARGN})
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  if(NOT arg_LABELS)
    set(arg_LABELS ${folder})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  math(EXPR limit "${arg_TIMEOUT} * ${MYELON_TEST_SCALE}")
  add_test(NAME ${arg_NAME} COMMAND "${MYELON_TEST_RUN}" --kind ${kind} --name ${arg_NAME}
    --scale ${MYELON_TEST_SCALE} --timeout ${limit} --sanitize ${MYELON_SANITIZE} -- ${program})
  # The runner knows the environment's time scale, ends what takes too long and cleans up after it;
  # CTest, which would only kill the runner, is the second net.
  math(EXPR limit "${limit} * 40 + 60")
  set_tests_properties(${arg_NAME} PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${limit} SKIP_RETURN_CODE 77)
  if(arg_RESOURCE_LOCK)
    set_tests_properties(${arg_NAME} PROPERTIES RESOURCE_LOCK "${arg_RESOURCE_LOCK}")
    if(arg_RESOURCE_LOCK MATCHES "hugepages")
      # They count free pages; any ring of another test may take some, or give them back, meanwhile.
      set_tests_properties(${arg_NAME} PROPERTIES RUN_SERIAL TRUE)
    endif()
  endif()
  set(environment "MYELON_BUILD_DIR=${PROJECT_BINARY_DIR}"
    "MYELON_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
  if(TARGET myelon_command)
    list(APPEND environment "MYELON_COMMAND=${PROJECT_BINARY_DIR}/bin/myelon")
  endif()
  set_tests_properties(${arg_NAME} PROPERTIES ENVIRONMENT "${environment}")
endfunction()

# myelon_add_test(NAME n SOURCES f... LIBS test|shared [LABELS l...] [RESOURCE_LOCK r...]
#   [TIMEOUT seconds]): a Criterion program.
function(myelon_add_test)
  cmake_parse_arguments(arg "" "NAME;LIBS;TIMEOUT" "SOURCES;LABELS;RESOURCE_LOCK" ${ARGN})
  if(MYELON_SANITIZE STREQUAL "tsan")
    return() # Criterion cannot run under ThreadSanitizer
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_include_directories(${arg_NAME} SYSTEM PRIVATE "${MYELON_CRITERION_INCLUDE}")
  myelon_test_program(${arg_NAME} "${arg_LIBS}")
  target_link_libraries(${arg_NAME} PRIVATE myelon_kit_criterion "${MYELON_CRITERION_LIBRARY}")
  # Criterion defines one function per test with external linkage and no prototype.
  target_compile_options(${arg_NAME} PRIVATE -Wno-missing-prototypes -Wno-strict-prototypes)
  myelon_register_test(criterion $<TARGET_FILE:${arg_NAME}> NAME ${arg_NAME}
    LABELS ${arg_LABELS} RESOURCE_LOCK ${arg_RESOURCE_LOCK} TIMEOUT ${arg_TIMEOUT})
endfunction()

# myelon_add_actor(NAME n SOURCES f... LIBS test|shared): a program that kit_spawn() starts.
function(myelon_add_actor)
  cmake_parse_arguments(arg "" "NAME;LIBS" "SOURCES" ${ARGN})
  if(MYELON_SANITIZE STREQUAL "tsan")
    return()
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  myelon_test_program(${arg_NAME} "${arg_LIBS}")
endfunction()

# myelon_add_race_test(NAME n SOURCES f... [LABELS l...] [RESOURCE_LOCK r...] [TIMEOUT seconds]):
# threads in a plain main() that returns 0, 1 or 77 (skip); the only tests of the tsan preset.
function(myelon_add_race_test)
  cmake_parse_arguments(arg "" "NAME;TIMEOUT" "SOURCES;LABELS;RESOURCE_LOCK" ${ARGN})
  add_executable(${arg_NAME} ${arg_SOURCES})
  myelon_test_program(${arg_NAME} test)
  myelon_register_test(plain $<TARGET_FILE:${arg_NAME}> NAME ${arg_NAME}
    LABELS ${arg_LABELS} RESOURCE_LOCK ${arg_RESOURCE_LOCK} TIMEOUT ${arg_TIMEOUT})
endfunction()

# myelon_add_script_test(NAME n SCRIPT f [LABELS l...] [RESOURCE_LOCK r...] [TIMEOUT seconds]):
# a bash script that exits 0, 1 or 77 (skip).
function(myelon_add_script_test)
  cmake_parse_arguments(arg "" "NAME;SCRIPT;TIMEOUT" "LABELS;RESOURCE_LOCK" ${ARGN})
  if(MYELON_SANITIZE STREQUAL "tsan")
    return()
  endif()
  myelon_register_test(script "${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT}" NAME ${arg_NAME}
    LABELS ${arg_LABELS} RESOURCE_LOCK ${arg_RESOURCE_LOCK} TIMEOUT ${arg_TIMEOUT})
endfunction()
