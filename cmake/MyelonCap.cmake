# SPDX-License-Identifier: Apache-2.0 OR MIT
# libcap is optional: without it the library does not raise a capability that is only permitted, it
# just tries.

set(MYELON_HAVE_LIBCAP OFF)
if(NOT MYELON_CAP STREQUAL "OFF")
  find_path(MYELON_CAP_INCLUDE sys/capability.h)
  find_library(MYELON_CAP_LIBRARY cap)
  mark_as_advanced(MYELON_CAP_INCLUDE MYELON_CAP_LIBRARY)
  if(MYELON_CAP_INCLUDE AND MYELON_CAP_LIBRARY)
    set(MYELON_HAVE_LIBCAP ON)
    myelon_definitions(MYE_HAVE_LIBCAP=1)
    myelon_libraries(cap)
  elseif(MYELON_CAP STREQUAL "ON")
    message(FATAL_ERROR "MYELON_CAP is ON but libcap was not found: install libcap-dev, "
      "or configure with -DMYELON_CAP=AUTO or OFF")
  else()
    message(STATUS "libcap not found: building without it (install libcap-dev to have it)")
  endif()
endif()
