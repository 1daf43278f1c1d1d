/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Capabilities. They are attributes of a thread, so other threads of the program notice nothing. */
#include <errno.h>

#include "sys/sys.h"

#ifdef MYE_HAVE_LIBCAP
#include <sys/capability.h>

static const cap_value_t values[] = {
	[MYE_CAP_SYS_ADMIN] = CAP_SYS_ADMIN,
	[MYE_CAP_DAC_OVERRIDE] = CAP_DAC_OVERRIDE,
};

static bool has(cap_t caps, cap_flag_t set, enum mye_cap cap)
{
	cap_flag_value_t value = CAP_CLEAR;

	return cap_get_flag(caps, values[cap], set, &value) == 0 && value == CAP_SET;
}

static int set_effective(cap_t caps, enum mye_cap cap, cap_flag_value_t value)
{
	if (cap_set_flag(caps, CAP_EFFECTIVE, 1, &values[cap], value) || cap_set_proc(caps))
		return -errno;
	return 0;
}

int mye_cap_raise(enum mye_cap cap)
{
	cap_t caps = cap_get_proc();
	int rc = 0;

	if (!caps)
		return -errno;
	if (!has(caps, CAP_EFFECTIVE, cap) && has(caps, CAP_PERMITTED, cap))
		rc = set_effective(caps, cap, CAP_SET) ? -EPERM : 1;
	cap_free(caps);
	return rc;
}

void mye_cap_drop(enum mye_cap cap, int raised)
{
	cap_t caps;

	if (raised <= 0)
		return;
	caps = cap_get_proc();
	if (!caps)
		return;
	set_effective(caps, cap, CAP_CLEAR);
	cap_free(caps);
}

#else

int mye_cap_raise(enum mye_cap cap)
{
	(void)cap;
	return -ENOTSUP;
}

void mye_cap_drop(enum mye_cap cap, int raised)
{
	(void)cap;
	(void)raised;
}

#endif
