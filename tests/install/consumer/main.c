/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <myelon/myelon.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	puts(myelon_version());
	return strcmp(myelon_version(), MYELON_VERSION) != 0;
}
