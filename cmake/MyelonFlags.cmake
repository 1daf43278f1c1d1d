# SPDX-License-Identifier: Apache-2.0 OR MIT
# Language, warnings and sanitizers, per target and never global, so that a project which includes
# this one by add_subdirectory() keeps its own flags.

set(MYELON_WARNINGS
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual
  -Wvla -Wformat=2 -Wundef)
if(MYELON_WERROR)
  list(APPEND MYELON_WARNINGS -Werror)
endif()

if(MYELON_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "MYELON_FUZZ needs clang: configure a new build directory with CC=clang")
  endif()
  set(MYELON_SANITIZE asan)
endif()

if(MYELON_SANITIZE STREQUAL "asan")
  set(MYELON_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
elseif(MYELON_SANITIZE STREQUAL "tsan")
  set(MYELON_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # gcc warns at every fence that ThreadSanitizer does not know it: no false alarm depends on one.
    list(APPEND MYELON_SANITIZE_FLAGS -Wno-tsan)
  endif()
endif()
if(MYELON_FUZZ)
  list(APPEND MYELON_SANITIZE_FLAGS -fsanitize=fuzzer-no-link)
endif()
if(NOT MYELON_SANITIZE STREQUAL "none" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # gcc reasons about ranges and initialisation worse under instrumentation; the other builds have these.
  list(APPEND MYELON_SANITIZE_FLAGS -Wno-format-truncation -Wno-maybe-uninitialized)
endif()
if(MYELON_SANITIZE STREQUAL "none")
  set(MYELON_SANITIZE_FLAGS "")
elseif(NOT MYELON_SANITIZE MATCHES "^(asan|tsan)$")
  message(FATAL_ERROR "MYELON_SANITIZE is '${MYELON_SANITIZE}': use none, asan or tsan")
endif()

# Everything this project compiles goes through here.
function(myelon_flags target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS ON
    C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE ${MYELON_WARNINGS} ${MYELON_SANITIZE_FLAGS})
  target_link_options(${target} PRIVATE ${MYELON_SANITIZE_FLAGS})
  if(MYELON_SANITIZE STREQUAL "none")
    # Distributions preset another level, hence -U first.
    target_compile_options(${target} PRIVATE
      $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE>
      $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
  endif()
endfunction()
