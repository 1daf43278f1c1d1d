/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

/* A seccomp filter says EPERM, an old or odd kernel ENOSYS or EINVAL: all mean that it is not to be
 * had. */
static int call(int command)
{
	if (syscall(SYS_membarrier, command, 0, 0) == 0)
		return 0;
	return errno == ENOMEM ? -ENOMEM : -ENOTSUP;
}

/* A fork keeps the registration and this variable, an exec clears both. A refusal is not kept: asking
 * again is cheap and nothing promises that the answer stays. */
int mye_membarrier_register(void)
{
	static int registered;
	int rc;

	if (__atomic_load_n(&registered, __ATOMIC_RELAXED))
		return 0;
	rc = call(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
	if (rc == 0)
		__atomic_store_n(&registered, 1, __ATOMIC_RELAXED);
	return rc;
}

int mye_membarrier(void)
{
	return call(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
