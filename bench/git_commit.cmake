# SPDX-License-Identifier: Apache-2.0 OR MIT
# Writes OUTPUT, a header with the commit of SOURCE; touches it only if that changed. Without git or
# a repository the commit is empty.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "#define MYELON_GIT_COMMIT \"${commit}\"\n")
