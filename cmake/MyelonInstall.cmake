# SPDX-License-Identifier: Apache-2.0 OR MIT
include(CMakePackageConfigHelpers)

set(MYELON_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/myelon")

install(TARGETS myelon myelon_static EXPORT myelonTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT myelonTargets NAMESPACE myelon:: DESTINATION "${MYELON_CMAKE_DIR}")
install(DIRECTORY include/myelon DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING
  PATTERN "*.h")
install(FILES "${PROJECT_BINARY_DIR}/include/myelon/version.h"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/myelon")

configure_package_config_file(cmake/myelonConfig.cmake.in myelonConfig.cmake
  INSTALL_DESTINATION "${MYELON_CMAKE_DIR}")
write_basic_package_version_file(myelonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/myelonConfig.cmake"
  "${PROJECT_BINARY_DIR}/myelonConfigVersion.cmake" DESTINATION "${MYELON_CMAKE_DIR}")

# The prefix is found from where the file lies, so the tree may be installed anywhere or moved.
file(RELATIVE_PATH MYELON_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" MYELON_PC_TO_PREFIX "${MYELON_PC_TO_PREFIX}")
set(MYELON_PC_LIBS_PRIVATE "-pthread")
if(MYELON_HAVE_LIBNUMA)
  string(APPEND MYELON_PC_LIBS_PRIVATE " -lnuma")
endif()
if(MYELON_HAVE_LIBCAP)
  string(APPEND MYELON_PC_LIBS_PRIVATE " -lcap")
endif()
if(MYELON_HAVE_LIBURING)
  string(APPEND MYELON_PC_LIBS_PRIVATE " -luring")
endif()
configure_file(cmake/myelon.pc.in myelon.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/myelon.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

if(TARGET myelon_command)
  install(TARGETS myelon_command RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

foreach(section 1 3 7)
  install(DIRECTORY docs/man/ DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}" OPTIONAL
    FILES_MATCHING PATTERN "*.${section}")
endforeach()
install(FILES LICENSE LICENSE-APACHE LICENSE-MIT DESTINATION "${CMAKE_INSTALL_DOCDIR}")
