/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/opts.h"

/* No struct of ours comes near; a size word that was never set mostly does. */
#define PLAUSIBLE 16384u

static uint32_t size_of(const void *user)
{
	uint32_t size;

	memcpy(&size, user, sizeof(size));
	return size;
}

static void set_size(void *own, uint32_t size)
{
	memcpy(own, &size, sizeof(size));
}

int mye_opts_read(void *own, size_t known, size_t first, const void *user, const char *what)
{
	const unsigned char *bytes = user;
	uint32_t size;
	size_t i;

	memset(own, 0, known);
	if (user) {
		size = size_of(user);
		if (size < first)
			return mye_fail(
				-EINVAL,
				"%s: size is %u, the smallest is %zu: initialise it with its "
				"macro",
				what, size, first);
		if (size > PLAUSIBLE)
			return mye_fail(
				-E2BIG,
				"%s: size is %u, this library knows %zu: initialise it with "
				"its macro",
				what, size, known);
		for (i = known; i < size; i++)
			if (bytes[i])
				return mye_fail(
					-E2BIG,
					"%s: byte %zu is set, this library knows %zu bytes: "
					"use a newer libmyelon or leave the option out",
					what, i, known);
		memcpy(own, user, size < known ? size : known);
	}
	set_size(own, (uint32_t)known);
	return 0;
}

int mye_info_write(void *user, const void *own, size_t known, const char *what)
{
	uint32_t size;

	if (!user)
		return mye_fail(-EINVAL, "%s is NULL", what);
	size = size_of(user);
	if (size < 2 * sizeof(size) || size > PLAUSIBLE)
		return mye_fail(-EINVAL,
		                "%s: size is %u, this library knows %zu: set it to the struct's "
		                "size",
		                what, size, known);
	memset(user, 0, size);
	memcpy(user, own, size < known ? size : known);
	set_size(user, size);
	return 0;
}
