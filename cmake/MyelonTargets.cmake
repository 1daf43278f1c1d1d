# SPDX-License-Identifier: Apache-2.0 OR MIT
# The libraries and the command. One list of sources makes:
#   myelon         libmyelon.so, what users link (myelon::myelon)
#   myelon_static  libmyelon.a (myelon::static)
#   myelon_test    the same sources with test points, for tests of internals and of crashes

find_package(Threads REQUIRED)

add_library(myelon_objects OBJECT)
add_library(myelon_test STATIC EXCLUDE_FROM_ALL)
add_library(myelon SHARED)
add_library(myelon_static STATIC)
add_library(myelon::myelon ALIAS myelon)
add_library(myelon::static ALIAS myelon_static)

foreach(target myelon_objects myelon_test)
  myelon_flags(${target})
  target_include_directories(${target}
    PUBLIC "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include"
    PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
  if(MYELON_DEBUG_CHECKS)
    target_compile_definitions(${target} PRIVATE MYE_DEBUG_CHECKS=1)
  endif()
  if(MYELON_SANITIZE STREQUAL "tsan")
    # ThreadSanitizer knows addresses, not pages: the mirror mapping would hide races and invent some.
    target_compile_definitions(${target} PRIVATE MYE_SINGLE_MAP=1)
  endif()
endforeach()
target_compile_definitions(myelon_test PUBLIC MYE_TEST_POINTS=1)
target_link_libraries(myelon_test PRIVATE Threads::Threads)

foreach(target myelon myelon_static)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:myelon_objects>)
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE Threads::Threads)
  target_link_options(${target} PRIVATE ${MYELON_SANITIZE_FLAGS})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME myelon LINKER_LANGUAGE C)
endforeach()
set_target_properties(myelon_static PROPERTIES EXPORT_NAME static)

set(MYELON_MAP "${PROJECT_SOURCE_DIR}/src/libmyelon.map")
# Before 1.0 a minor version may break the ABI.
set(MYELON_SOVERSION ${PROJECT_VERSION_MAJOR})
if(PROJECT_VERSION_MAJOR EQUAL 0)
  string(APPEND MYELON_SOVERSION ".${PROJECT_VERSION_MINOR}")
endif()
set_target_properties(myelon PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${MYELON_SOVERSION} LINK_DEPENDS "${MYELON_MAP}")
target_link_options(myelon PRIVATE "-Wl,--version-script=${MYELON_MAP}")
if(MYELON_SANITIZE STREQUAL "none")
  target_link_options(myelon PRIVATE -Wl,-z,defs)
endif()

# myelon_sources(FILE...): files of this folder that belong to the library.
function(myelon_sources)
  list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE files)
  foreach(target myelon_objects myelon_test)
    target_sources(${target} PRIVATE ${files})
  endforeach()
endfunction()

# myelon_libraries(LIB...): what the library needs beyond libc.
function(myelon_libraries)
  foreach(target myelon myelon_static myelon_test)
    target_link_libraries(${target} PRIVATE ${ARGN})
  endforeach()
endfunction()

# myelon_definitions(DEF...): definitions for all files of the library.
function(myelon_definitions)
  foreach(target myelon_objects myelon_test)
    target_compile_definitions(${target} PRIVATE ${ARGN})
  endforeach()
endfunction()

# myelon_command_sources(FILE...): files of this folder that belong to the command.
function(myelon_command_sources)
  list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE files)
  set_property(GLOBAL APPEND PROPERTY MYELON_COMMAND_SOURCES ${files})
endfunction()

function(myelon_finish_command)
  get_property(files GLOBAL PROPERTY MYELON_COMMAND_SOURCES)
  if(NOT files)
    return()
  endif()
  add_executable(myelon_command ${files})
  myelon_flags(myelon_command)
  target_include_directories(myelon_command PRIVATE
    "${PROJECT_SOURCE_DIR}/src/cli" "${PROJECT_SOURCE_DIR}/bench")
  target_link_libraries(myelon_command PRIVATE myelon::myelon Threads::Threads m)
  file(RELATIVE_PATH bin_to_lib "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
  set_target_properties(myelon_command PROPERTIES
    OUTPUT_NAME myelon RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin"
    INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
endfunction()

# myelon_add_example(NAME FILE...): a program as a user would write it.
function(myelon_add_example name)
  add_executable(example_${name} ${ARGN})
  myelon_flags(example_${name})
  target_link_libraries(example_${name} PRIVATE myelon::myelon)
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
endfunction()
