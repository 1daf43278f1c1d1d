/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <myelon/wait.h>

#include "sys/sys.h"

int64_t myelon_now(void)
{
	return mye_now();
}

/* Never 0 or less: MYELON_TRY is not a deadline that has passed. */
int64_t myelon_deadline_after(int64_t ns)
{
	int64_t deadline;

	if (__builtin_add_overflow(mye_now(), ns, &deadline))
		return MYELON_FOREVER;
	return deadline > 0 ? deadline : 1;
}
