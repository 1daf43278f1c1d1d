/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Descriptors that are not those of the ring, and headers that say they were. */
#include "memfd_kit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

TestSuite(memfd_bad, .init = setup, .fini = teardown);

Test(memfd_bad, attach_without_the_descriptor_says_whose_it_is)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "process %d", getpid());
	refused(0, -EINVAL, pid);
	refused(0, -EINVAL, "data_fd");
	refused(MYELON_FD(-1), -EINVAL, "data_fd");
	refused(MYELON_FD(-7), -EINVAL, "data_fd is -6");
	refused(INT32_MIN, -EINVAL, "data_fd");
	refused(INT32_MAX, -EBADF, "not open");
}

static int closed_fd(void)
{
	int closed = dup(fd);

	close(closed);
	return closed;
}

Test(memfd_bad, descriptor_of_anything_else_is_refused_by_what_it_is)
{
	char path[4200];
	int ends[2], other;

	refused(MYELON_FD(closed_fd()), -EBADF, "not open");
	other = open(kit_tmp_dir(), O_RDONLY | O_DIRECTORY);
	refused(MYELON_FD(other), -EINVAL, "a directory");
	close(other);
	/* Opening a pipe again would wait for a writer. */
	cr_assert_eq(pipe(ends), 0);
	refused(MYELON_FD(ends[0]), -EINVAL, "a pipe");
	close(ends[0]);
	close(ends[1]);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	refused(MYELON_FD(other), -EINVAL, "a socket");
	close(other);
	other = open("/dev/null", O_RDWR);
	refused(MYELON_FD(other), -EINVAL, "a device");
	close(other);
	snprintf(path, sizeof(path), "%s/plain", kit_tmp_dir());
	other = open(path, O_RDWR | O_CREAT, 0600);
	cr_assert_eq(ftruncate(other, (off_t)describe().data_bytes), 0);
	refused(MYELON_FD(other), -EINVAL, "a file with a name");
	unlink(path);
	if (fcntl(other, F_GET_SEALS) < 0) /* a tmpfs file has seals */
		refused(MYELON_FD(other), -EINVAL, "cannot be sealed");
	else
		refused(MYELON_FD(other), -EPROTO, "unsealed");
	close(other);
	other = open(help_path(name), O_RDONLY);
	refused(MYELON_FD(other), -EINVAL, "a file with a name");
	close(other);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_PATH);
	refused(MYELON_FD(other), -EINVAL, "O_PATH");
	close(other);
}

Test(memfd_bad, unsealed_one_is_refused_for_what_its_owner_could_do)
{
	static const int lacking[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_SEAL};
	int other;

	for (size_t i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++) {
		other = foreign(describe().data_bytes, lacking[i]);
		refused(MYELON_FD(other), -EPROTO, "unsealed: its owner could truncate it");
		close(other);
	}
	/* Not even if the header says that it is the one. */
	other = foreign(describe().data_bytes, 0);
	{
		struct mye_header h;
		struct stat st;

		cr_assert_eq(fstat(other, &st), 0);
		cr_assert_eq(help_peek(help_path(name), 0, &h, sizeof(h)), 0);
		h.data_ino = st.st_ino;
		h.checksum = mye_header_checksum(&h);
		cr_assert_eq(help_patch(help_path(name), 0, &h, sizeof(h)), 0);
		refused(MYELON_FD(other), -EPROTO, "unsealed");
		refused(MYELON_FD(fd), -EINVAL, "inode");
	}
	close(other);
}

Test(memfd_bad, wrong_one_is_refused_by_what_differs)
{
	uint64_t bytes = describe().data_bytes;
	struct myelon_producer *q = NULL;
	int other = foreign(bytes / 2, F_SEAL_SHRINK | F_SEAL_GROW);

	refused(MYELON_FD(other), -EINVAL, "size is 2048, the ring says 4096");
	close(other);
	other = foreign(bytes * 2, F_SEAL_SHRINK | F_SEAL_GROW);
	refused(MYELON_FD(other), -EINVAL, "size is 8192");
	close(other);
	cr_ok(myelon_producer_create(&q, "other", MEMFD(.slot_size = 64)));
	other = myelon_producer_data_fd(q);
	refused(MYELON_FD(other), -EINVAL, "inode");
	close(other);
	myelon_producer_close(q);
}

Test(memfd_bad, flipped_bit_in_the_header_is_refused_also_with_the_right_descriptor)
{
	const char *path = help_path(name);
	struct myelon_consumer *c;
	unsigned char good, bad;

	for (size_t bit = 0; bit < sizeof(struct mye_header) * 8; bit++) {
		cr_assert_eq(help_peek(path, bit / 8, &good, 1), 0);
		bad = (unsigned char)(good ^ 1u << bit % 8);
		cr_assert_eq(help_patch(path, bit / 8, &bad, 1), 0);
		cr_assert_eq(attach(&c, MYELON_FD(fd)), -EPROTO, "bit %zu", bit);
		cr_assert_eq(help_patch(path, bit / 8, &good, 1), 0);
	}
	cr_ok(attach(&c, MYELON_FD(fd)));
	myelon_consumer_close(c);
}

/* A forger who knows the checksum. */
static void forged(size_t offset, const void *value, size_t n, int expected, const char *word)
{
	const char *path = help_path(name);
	struct mye_header good, bad;

	cr_assert_eq(help_peek(path, 0, &good, sizeof(good)), 0);
	bad = good;
	memcpy((unsigned char *)&bad + offset, value, n);
	bad.checksum = mye_header_checksum(&bad);
	cr_assert_eq(help_patch(path, 0, &bad, sizeof(bad)), 0);
	refused(MYELON_FD(fd), expected, word);
	cr_assert_eq(help_patch(path, 0, &good, sizeof(good)), 0);
}

#define FORGED(field, value, expected, word)                                                       \
	do {                                                                                       \
		__typeof__(((struct mye_header *)0)->field) value_ = (value);                      \
		forged(offsetof(struct mye_header, field), &value_, sizeof(value_), expected,      \
		       word);                                                                      \
	} while (0)

Test(memfd_bad, forged_header_does_not_make_the_descriptor_fit)
{
	FORGED(data_ino, UINT64_MAX, -EINVAL, "inode");
	FORGED(data_dev, UINT64_MAX, -EINVAL, "device");
	FORGED(backing, MYELON_BACKING_SHM, -EINVAL, "leave it out");
	FORGED(backing, MYELON_BACKING_HUGETLB, -EINVAL, "leave it out");
	{
		struct mye_header h;

		/* Half the slots, consistently. */
		cr_assert_eq(help_peek(help_path(name), 0, &h, sizeof(h)), 0);
		h.slots *= 2;
		h.data_bytes *= 2;
		forged(offsetof(struct mye_header, slots), &h.slots, 16, -EINVAL, "size is 4096");
		h.slots *= 256;
		h.data_bytes *= 256;
		h.data_page = HUGE;
		forged(offsetof(struct mye_header, slots), &h.slots, 24, -EINVAL, "size");
	}
}

Test(memfd_bad, descriptor_for_a_ring_in_a_file_is_refused)
{
	struct myelon_producer *q;
	struct myelon_consumer *c;

	cr_ok(myelon_producer_create(&q, "shm", SMALL()));
	cr_assert_eq(myelon_consumer_attach(&c, "shm", WITH(.data_fd = MYELON_FD(fd))), -EINVAL);
	cr_assert(help_says("leave it out"), "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_data_fd(q), -EINVAL);
	cr_assert(help_says("(shm)"), "%s", myelon_last_error());
	myelon_producer_close(q);
}
