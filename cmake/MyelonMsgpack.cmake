# SPDX-License-Identifier: Apache-2.0 OR MIT
# msgpack-c is optional: without it myelon_codec_msgpack() says so. Its packer is all inline, so there is nothing to link.

set(MYELON_HAVE_MSGPACK OFF)
if(NOT MYELON_MSGPACK STREQUAL "OFF")
  find_path(MYELON_MSGPACK_INCLUDE msgpack/pack.h)
  mark_as_advanced(MYELON_MSGPACK_INCLUDE)
  set(MYELON_MSGPACK_PROBLEM "msgpack-c was not found")
  if(MYELON_MSGPACK_INCLUDE)
    # The headers of C++ alone, or of a time before bin, do not do.
    include(CheckCSourceCompiles)
    set(CMAKE_REQUIRED_INCLUDES "${MYELON_MSGPACK_INCLUDE}")
    check_c_source_compiles("
      #include <msgpack/pack.h>
      static int put(void *data, const char *bytes, size_t n) { (void)data; (void)bytes; return (int)n; }
      int main(void) { msgpack_packer pk = {0, put}; return msgpack_pack_bin(&pk, 1); }"
      MYELON_MSGPACK_PACKS)
    unset(CMAKE_REQUIRED_INCLUDES)
    set(MYELON_MSGPACK_PROBLEM "msgpack-c is too old or for C++ only")
  endif()
  if(MYELON_MSGPACK_PACKS)
    set(MYELON_HAVE_MSGPACK ON)
    myelon_definitions(MYE_HAVE_MSGPACK=1)
  elseif(MYELON_MSGPACK STREQUAL "ON")
    message(FATAL_ERROR "MYELON_MSGPACK is ON but ${MYELON_MSGPACK_PROBLEM}: install libmsgpack-dev, "
      "or configure with -DMYELON_MSGPACK=AUTO or OFF")
  else()
    message(STATUS "${MYELON_MSGPACK_PROBLEM}: building without it (install libmsgpack-dev to have the msgpack codec)")
  endif()
endif()
