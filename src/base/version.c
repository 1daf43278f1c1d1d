/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <myelon/version.h>

const char *myelon_version(void)
{
	return MYELON_VERSION;
}
