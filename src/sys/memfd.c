/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Files without a name, and what can no longer be done to them once they are sealed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "sys/sys.h"

/* The C library's headers may be older than the kernel. */
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 0x1
#define F_SEAL_SHRINK 0x2
#define F_SEAL_GROW 0x4
#define F_SEAL_WRITE 0x8
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4U
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#define HUGE_SHIFT 26

/* Never to be executed: newer kernels want to be told, and may insist on it (vm.memfd_noexec). */
int mye_memfd_create(const char *name, uint64_t huge_page)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (huge_page)
		flags |= MFD_HUGETLB | (unsigned int)__builtin_ctzll(huge_page) << HUGE_SHIFT;
	mye_point();
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before 6.3 */
		fd = memfd_create(name, flags);
	mye_point();
	return fd < 0 ? -errno : fd;
}

int mye_seals_add(int fd, unsigned int seals)
{
	int bits = 0, rc;

	if (seals & MYE_SEAL_SIZE)
		bits |= F_SEAL_SHRINK | F_SEAL_GROW;
	if (seals & MYE_SEAL_WRITE)
		bits |= F_SEAL_FUTURE_WRITE;
	if (seals & MYE_SEAL_SEALS)
		bits |= F_SEAL_SEAL;
	mye_point();
	rc = fcntl(fd, F_ADD_SEALS, bits) < 0 ? -errno : 0;
	mye_point();
	return rc;
}

int mye_seals_get(int fd)
{
	int bits = fcntl(fd, F_GET_SEALS), size = F_SEAL_SHRINK | F_SEAL_GROW;

	if (bits < 0)
		return -errno;
	return (int)(((bits & size) == size ? MYE_SEAL_SIZE : 0) |
	             (bits & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ? MYE_SEAL_WRITE : 0) |
	             (bits & F_SEAL_SEAL ? MYE_SEAL_SEALS : 0));
}

int mye_chmod(int fd, mode_t mode)
{
	return fchmod(fd, mode) < 0 ? -errno : 0;
}
