/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/handle.h"
#include "hugepages/hugepages.h"
#include "segment/data.h"
#include "sys/sys.h"

/* The mirror doubles the address space. */
#define BYTES_MAX (SIZE_MAX / 4 < INT64_MAX / 4 ? SIZE_MAX / 4 : (size_t)INT64_MAX / 4)

int mye_slots_for(uint32_t slot_size, uint32_t window, uint64_t page, uint64_t *slots)
{
	uint64_t n = 1, bytes;

	if (!slot_size || !window || !page || (page & (page - 1)))
		return mye_fail(-EINVAL, "slot size, window and page size must not be 0");
	while (n < window)
		n *= 2;
	for (;; n *= 2) {
		if (n > INT64_MAX / 2 || __builtin_mul_overflow(n, slot_size, &bytes) ||
		    bytes > BYTES_MAX)
			return mye_fail(-EMSGSIZE,
			                "%" PRIu32 " slots of %" PRIu32
			                " bytes cannot be mapped: make the window smaller",
			                window, slot_size);
		if (bytes % page == 0)
			break;
	}
	*slots = n;
	return 0;
}

uint32_t mye_dir_tag(int dirfd)
{
	struct stat st;
	uint64_t x;

	if (mye_fstat(dirfd, &st))
		return 0;
	/* The finalizer of splitmix64 over both. */
	x = (uint64_t)st.st_dev * 0x9e3779b97f4a7c15ull + (uint64_t)st.st_ino;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(x >> 32) | 1;
}

int mye_nonce_make(int dirfd, uint64_t nonce[2])
{
	int rc = mye_random(nonce, 2 * sizeof(nonce[0]));

	if (rc)
		return mye_fail(rc, "no random numbers: %s", myelon_strerror(rc));
	nonce[0] = (uint64_t)mye_dir_tag(dirfd) << 32 | (uint32_t)nonce[0];
	return 0;
}

void mye_data_name(char *buf, size_t cap, const struct mye_place *place, const uint64_t nonce[2])
{
	if (place->plain)
		snprintf(buf, cap, "%s.data", place->file);
	else
		snprintf(buf, cap, MYE_DATA_PREFIX "%016" PRIx64 "%016" PRIx64, nonce[0], nonce[1]);
}

void mye_socket_name(char *buf, const uint64_t nonce[2])
{
	snprintf(buf, MYE_SOCKET_NAME, MYE_SOCKET_PREFIX "%016" PRIx64 "%016" PRIx64, nonce[0],
	         nonce[1]);
}

/* The same directory may be mounted, and listed, twice. */
struct seen {
	uint64_t dev[MYE_HUGE_MOUNTS + 2], ino[MYE_HUGE_MOUNTS + 2];
	int count;
};

static bool is_new(struct seen *seen, const char *dir)
{
	struct stat st;
	int fd = mye_fork_open_dir(dir), i;
	bool ok;

	if (fd < 0)
		return false;
	ok = mye_fstat(fd, &st) == 0;
	mye_fork_close(fd);
	for (i = 0; ok && i < seen->count; i++)
		ok = seen->dev[i] != st.st_dev || seen->ino[i] != st.st_ino;
	if (ok) {
		seen->dev[seen->count] = st.st_dev;
		seen->ino[seen->count++] = st.st_ino;
	}
	return ok;
}

int mye_data_dirs(const struct mye_place *place, int (*fn)(void *ctx, const char *dir), void *ctx)
{
	struct mye_huge_mount *mounts = calloc(MYE_HUGE_MOUNTS + 1, sizeof(*mounts));
	struct seen seen = {.count = 0};
	int count = 0, more, i, rc = 0;

	if (!mounts)
		return mye_fail_static(-ENOMEM, "no memory for the list of directories");
	if (place->hugetlb_dir[0] && mye_huge_mounts(place->hugetlb_dir, 0, false, mounts, 1) == 1)
		count = 1;
	more = mye_huge_mounts(NULL, 0, false, mounts + count, MYE_HUGE_MOUNTS);
	if (more > 0)
		count += more;
	if (is_new(&seen, place->dir))
		rc = fn(ctx, place->dir);
	for (i = 0; rc == 0 && i < count; i++)
		if (is_new(&seen, mounts[i].dir))
			rc = fn(ctx, mounts[i].dir);
	free(mounts);
	return rc;
}
