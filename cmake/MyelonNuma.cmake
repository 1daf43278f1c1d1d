# SPDX-License-Identifier: Apache-2.0 OR MIT
# libnuma is optional: without it the library places memory with the plain system calls and says so.

set(MYELON_HAVE_LIBNUMA OFF)
if(NOT MYELON_NUMA STREQUAL "OFF")
  find_path(MYELON_NUMA_INCLUDE numa.h)
  find_library(MYELON_NUMA_LIBRARY numa)
  mark_as_advanced(MYELON_NUMA_INCLUDE MYELON_NUMA_LIBRARY)
  if(MYELON_NUMA_INCLUDE AND MYELON_NUMA_LIBRARY)
    set(MYELON_HAVE_LIBNUMA ON)
    myelon_definitions(MYE_HAVE_LIBNUMA=1)
    # By name, so that the exported static library does not carry this machine's path.
    myelon_libraries(numa)
  elseif(MYELON_NUMA STREQUAL "ON")
    message(FATAL_ERROR "MYELON_NUMA is ON but libnuma was not found: install libnuma-dev, "
      "or configure with -DMYELON_NUMA=AUTO or OFF")
  else()
    message(STATUS "libnuma not found: building without it (install libnuma-dev to have it)")
  endif()
endif()
