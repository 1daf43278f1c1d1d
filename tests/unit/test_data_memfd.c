/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Rings whose slots are in a sealed memfd: who may read them, and how they end. */
#include "memfd_kit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hugepages/hugepages.h"
#include "segment/data.h"
#include "sys/sys.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

TestSuite(memfd, .init = setup, .fini = teardown);
TestSuite(memfd_huge);
TestSuite(memfd_end);

Test(memfd, ring_is_read_in_place_by_whoever_is_handed_the_descriptor)
{
	struct myelon_ring_info info = describe();
	struct myelon_consumer *c;

	cr_assert_eq(info.backing, MYELON_BACKING_MEMFD);
	cr_assert_str_eq(myelon_backing_name(MYELON_BACKING_MEMFD), "memfd");
	cr_assert_eq(strncmp(info.reason, "memfd", 5), 0, "%s", info.reason);
	cr_assert_str_eq(info.data_path, "", "it has no name");
	cr_assert_eq(info.page_size, mye_page_size());
	cr_assert_eq(help_files(), 1, "control alone");
	cr_ok(attach(&c, MYELON_FD(fd)));
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(ring_fill(p), 64);
		ring_pull(c, i * 64, 64);
	}
	/* Mirrored on either side. */
	cr_assert_eq(memcmp(c->data, c->data + info.data_bytes, info.data_bytes), 0);
	cr_ok(myelon_consumer_info(c, &info));
	cr_assert_eq(info.backing, MYELON_BACKING_MEMFD);
	cr_assert_str_eq(info.data_path, "");
	myelon_consumer_close(c);
}

Test(memfd, observer_needs_the_descriptor_too)
{
	struct myelon_observer *o;
	char slot[64];

	cr_assert_eq(myelon_observer_attach(&o, name, NULL), -EINVAL);
	cr_assert(help_says("data_fd"), "%s", myelon_last_error());
	cr_ok(myelon_observer_attach(&o, name, WITH(.data_fd = MYELON_FD(fd))));
	cr_ok(ring_push(p, 1));
	cr_assert_eq(myelon_observe(o, slot, 1, MYELON_TRY, NULL, NULL), 1);
	cr_assert_eq(kit_check(slot, sizeof(slot), RING_SEED, 0), -1);
	myelon_observer_close(o);
}

/* What a receiver can try. @return a descriptor opened for writing, as only root and the owner can. */
static int reopen_for_writing(void)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0 && errno == EACCES) {
		cr_assert_eq(fchmod(fd, 0600), 0);
		again = open(path, O_RDWR | O_CLOEXEC);
	}
	cr_assert_geq(again, 0, "%s", strerror(errno));
	return again;
}

Test(memfd, descriptor_handed_over_is_read_only_and_its_size_is_final)
{
	uint64_t bytes = describe().data_bytes;
	struct stat st;
	int again;

	cr_assert_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0444);
	cr_assert_eq(mmap(NULL, bytes, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	cr_assert_eq(errno, EACCES);
	cr_assert_lt(ftruncate(fd, 0), 0);
	again = reopen_for_writing();
	cr_assert_lt(ftruncate(again, 0), 0);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(ftruncate(again, (off_t)bytes * 2), 0);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(fcntl(again, F_ADD_SEALS, F_SEAL_WRITE), 0);
	cr_assert_eq(errno, EPERM, "no further seals");
	close(again);
}

Test(memfd, nobody_but_the_producer_gets_a_way_to_write)
{
	uint64_t bytes = describe().data_bytes;
	struct myelon_consumer *c;
	int again;
	void *map;

	if (!(fcntl(fd, F_GET_SEALS) & F_SEAL_FUTURE_WRITE))
		kit_skip("kernel", "no F_SEAL_FUTURE_WRITE");
	again = reopen_for_writing();
	cr_assert_eq(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(pwrite(again, "x", 1, 0), 0);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	cr_assert_eq(errno, EPERM);
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, again, 0);
	cr_assert_neq(map, MAP_FAILED);
	cr_assert_lt(mprotect(map, bytes, PROT_READ | PROT_WRITE), 0);
	munmap(map, bytes);
	close(again);
	cr_ok(attach(&c, MYELON_FD(fd)));
	cr_assert_eq(ring_fill(p), 64, "and the producer still writes");
	ring_pull(c, 0, 64);
	myelon_consumer_close(c);
}

Test(memfd, callers_descriptor_is_neither_kept_nor_changed)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
	int before = kit_open_fds(), other = myelon_producer_data_fd(p);
	struct myelon_consumer *c;

	cr_assert_eq(lseek(fd, 7, SEEK_SET), 7);
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	cr_ok(attach(&c, MYELON_FD(fd)));
	myelon_consumer_close(c);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 7);
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	cr_assert_eq(fcntl(other, F_OFD_GETLK, &lock), 0);
	cr_assert_eq(lock.l_type, F_RDLCK, "a lock of the caller's is still there");
	close(other);
	cr_ok(attach(&c, MYELON_FD(fd)));
	close(fd);
	cr_assert_eq(ring_fill(p), 64);
	ring_pull(c, 0, 64);
	myelon_consumer_close(c);
	fd = myelon_producer_data_fd(p);
	cr_assert_eq(kit_open_fds(), before);
}

Test(memfd, producer_in_a_forked_child_hands_nothing_over)
{
	int before = kit_open_fds(), mine = 0, status;
	pid_t child = fork();

	if (child == 0) {
		/* Control, its directory and the memfd of the parent are closed; fd is inherited. */
		mine = myelon_producer_data_fd(p) == -EPERM ? 0 : 1;
		mine |= kit_open_fds() == before - 3 ? 0 : 2;
		mine |= fcntl(fd, F_GET_SEALS) > 0 ? 0 : 4;
		_exit(mine);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0, "%d", WEXITSTATUS(status));
}

Test(memfd, framed_ring_is_handed_over_by_its_inner_handle)
{
	struct myelon_frame_producer *fp;
	struct myelon_frame_consumer *fc;
	struct myelon_message msg = {0};
	char text[8];
	int inner;

	cr_ok(myelon_frame_producer_create(&fp, "framed", MEMFD(.slot_size = 64)));
	inner = myelon_producer_data_fd(myelon_frame_producer_ring(fp));
	cr_assert_geq(inner, 0);
	cr_ok(myelon_frame_consumer_attach(&fc, "framed", WITH(.data_fd = MYELON_FD(inner))));
	cr_assert_geq(myelon_frame_send(fp, "hello", 5, 1, MYELON_TRY), 0);
	cr_assert_geq(myelon_frame_recv(fc, text, sizeof(text), MYELON_TRY, &msg), 0);
	cr_assert_eq(msg.len, 5);
	cr_assert_eq(memcmp(text, "hello", 5), 0);
	myelon_frame_consumer_close(fc);
	myelon_frame_producer_close(fp);
	close(inner);
}

Test(memfd, what_cannot_be_meant_is_refused)
{
	struct myelon_producer *q;
	char path[4200];

	cr_assert_eq(myelon_producer_create(&q, "kept", MEMFD(.flags = MYELON_F_KEEP)), -EINVAL);
	cr_assert(help_says("MYELON_F_KEEP"), "%s", myelon_last_error());
	snprintf(path, sizeof(path), "%s/path", kit_tmp_dir());
	cr_assert_eq(myelon_producer_create(&q, path, MEMFD(.slot_size = 64)), -EINVAL);
	cr_assert_eq(myelon_producer_open(&q, name, NULL), -ENOTSUP);
	cr_assert(help_says("a memfd ring ends with its producer"), "%s", myelon_last_error());
}

Test(memfd, placement_is_verified_as_for_any_backing)
{
	struct myelon_ring_info info;

	teardown();
	make(MEMFD(.numa = MYELON_NUMA_LOCAL));
	info = describe();
	cr_assert_eq(info.node_asked, info.node_obtained, "%s", info.reason);
}

Test(memfd_end, thousand_rings_made_read_and_closed_leave_no_descriptor)
{
	int before = kit_open_fds();
	struct myelon_consumer *c;

	for (int i = 0; i < 1000; i++) {
		setup();
		cr_ok(attach(&c, MYELON_FD(fd)));
		cr_ok(ring_push(p, 1));
		ring_pull(c, 0, 1);
		myelon_consumer_close(c);
		teardown();
	}
	cr_assert_eq(kit_open_fds(), before);
}

Test(memfd_end, last_to_leave_removes_the_name)
{
	struct myelon_consumer *c;
	struct myelon_view v;

	setup();
	cr_ok(attach(&c, MYELON_FD(fd)));
	cr_ok(ring_push(p, 3));
	myelon_producer_close(p);
	cr_assert_eq(help_files(), 1);
	ring_pull(c, 0, 3);
	cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &v), -EPIPE);
	myelon_consumer_close(c);
	cr_assert_eq(help_files(), 0);
	close(fd);
}

/* Segments, since a handle cannot die without its process. */
static void dead_ring(struct mye_segment *seg)
{
	struct myelon_ring_opts o = *MEMFD(.slot_size = 64);

	o.max_consumers = 4;
	kit_ring_name(name, "dead");
	cr_assert_eq(help_create(seg, name, &o), 0, "%s", myelon_last_error());
	fd = mye_memfd_hand_over(seg);
	cr_assert_geq(fd, 0);
	help_die(seg);
}

static int count_files(void *ctx, const struct myelon_gc_item *item)
{
	*(int *)ctx += item->error == 0;
	return 0;
}

Test(memfd_end, ring_of_a_dead_producer_is_read_by_who_has_its_descriptor_and_taken_by_gc)
{
	struct mye_segment dead;
	struct myelon_consumer *c;
	struct myelon_view v;
	int removed = 0;

	dead_ring(&dead);
	cr_ok(attach(&c, MYELON_FD(fd)));
	cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &v), -EOWNERDEAD);
	cr_assert_eq(myelon_gc(NULL, count_files, &removed), 0, "it is used");
	myelon_consumer_close(c);
	cr_assert_eq(help_files(), 1);
	cr_assert_eq(myelon_gc(NULL, count_files, &removed), 1);
	cr_assert_eq(removed, 1);
	cr_assert_eq(help_files(), 0);
	close(fd);
}

Test(memfd_end, name_of_a_dead_ring_can_be_had_again_but_not_taken_over)
{
	struct myelon_producer *q;
	struct mye_segment dead;

	dead_ring(&dead);
	cr_assert_eq(myelon_producer_open(&q, name, NULL), -ENOTSUP);
	cr_assert_eq(myelon_producer_create(&q, name, MEMFD(.slot_size = 64)), -EEXIST);
	cr_assert(!help_says("myelon_producer_open"), "%s", myelon_last_error());
	cr_ok(myelon_producer_create(&q, name, MEMFD(.flags = MYELON_F_REPLACE_DEAD)));
	refused(MYELON_FD(fd), -EINVAL, "inode");
	myelon_producer_close(q);
	cr_assert_eq(help_files(), 0);
	close(fd);
	dead_ring(&dead);
	cr_ok(myelon_ring_remove(name, NULL));
	cr_assert_eq(help_files(), 0);
	close(fd);
}

#define ARG(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IF_NOT(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define IF_UNSET(bit, skip) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bit), 0, (skip))
#define ANSWER(err) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (err))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* For the rest of this test, which is a process of its own. */
static void pretend(struct sock_filter *filter, size_t count)
{
	struct sock_fprog prog = {.len = (unsigned short)count, .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		kit_skip("seccomp", strerror(errno));
}

Test(memfd_end, older_kernel_that_lacks_the_write_seal_gives_a_ring_that_says_so)
{
	struct sock_filter filter[] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		IF_NOT(SYS_fcntl, 5),
		LOAD(ARG(1)),
		IF_NOT(F_ADD_SEALS, 7),
		LOAD(ARG(2)),
		IF_UNSET(F_SEAL_FUTURE_WRITE, 5),
		ANSWER(EINVAL),
		IF_NOT(SYS_memfd_create, 3),
		LOAD(ARG(1)),
		IF_UNSET(MFD_NOEXEC_SEAL, 1),
		ANSWER(EINVAL),
		ALLOW,
	};
	struct myelon_consumer *c;

	pretend(filter, sizeof(filter) / sizeof(filter[0]));
	setup();
	cr_assert(strstr(describe().reason, "cannot seal it against writes"), "%s",
	          describe().reason);
	cr_assert_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	cr_ok(attach(&c, MYELON_FD(fd)));
	cr_ok(ring_push(p, 1));
	ring_pull(c, 0, 1);
	myelon_consumer_close(c);
	teardown();
}

Test(memfd_end, forbidden_memfd_is_an_error_of_create_that_names_it)
{
	struct sock_filter filter[] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		IF_NOT(SYS_memfd_create, 1),
		ANSWER(EPERM),
		ALLOW,
	};
	int fds = kit_open_fds();

	pretend(filter, sizeof(filter) / sizeof(filter[0]));
	cr_assert_eq(myelon_producer_create(&p, "x", MEMFD(.slot_size = 64)), -EPERM);
	cr_assert(help_says("in a memfd: the kernel gives none"), "%s", myelon_last_error());
	cr_assert_eq(kit_open_fds(), fds);
	cr_assert_eq(help_files(), 0);
}

static void need_pages(unsigned int pages)
{
	if (!kit_hugepages_reserve(pages))
		kit_skip("hugepages", "no 2 MiB pages, or no right to reserve them");
}

static uint64_t free_pages(void)
{
	struct mye_huge_pool pool;

	cr_assert_eq(mye_huge_pool(HUGE, -1, &pool), 0);
	return pool.free - pool.reserved;
}

Test(memfd_huge, ring_lies_on_huge_pages_without_any_mount_and_costs_them_once)
{
	struct myelon_ring_info info;
	struct myelon_consumer *c;
	struct stat st;
	uint64_t before;
	int small;

	need_pages(4);
	before = free_pages();
	make(PAGED(65536, MYELON_HUGE_TRY, .numa = MYELON_NUMA_LOCAL));
	info = describe();
	cr_assert_eq(info.backing, MYELON_BACKING_MEMFD);
	cr_assert_eq(info.page_size, HUGE, "%s", info.reason);
	cr_assert_eq(strncmp(info.reason, "memfd 2 MiB on node", 19), 0, "%s", info.reason);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq((uint64_t)st.st_blksize, HUGE);
	cr_assert_eq(before - free_pages(), 2);
	cr_ok(attach(&c, MYELON_FD(fd)));
	cr_assert_eq(before - free_pages(), 2);
	cr_assert_eq(ring_fill(p), 65536);
	ring_pull(c, 0, 65536);
	cr_assert_eq(ring_fill(p), 65536);
	ring_pull(c, 65536, 65536);
	cr_assert_eq(mmap(NULL, info.data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
	             MAP_FAILED);
	myelon_consumer_close(c);
	/* The same size, but small pages. */
	small = foreign(info.data_bytes, F_SEAL_SHRINK | F_SEAL_GROW);
	refused(MYELON_FD(small), -EINVAL, "page size is 4096, the ring says 2097152");
	close(small);
	teardown();
	cr_assert_eq(free_pages(), before);
	kit_hugepages_restore();
}

Test(memfd_huge, nobody_writes_to_huge_pages_but_the_producer)
{
	int again;

	need_pages(2);
	make(PAGED(32768, MYELON_HUGE_REQUIRE, .slot_size = 64));
	if (!(fcntl(fd, F_GET_SEALS) & F_SEAL_FUTURE_WRITE)) {
		kit_hugepages_restore();
		kit_skip("kernel", "no F_SEAL_FUTURE_WRITE");
	}
	again = reopen_for_writing();
	cr_assert_eq(mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(ftruncate(again, 0), 0);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)HUGE),
	             0);
	cr_assert_eq(errno, EPERM);
	close(again);
	cr_ok(ring_push(p, 1));
	teardown();
	kit_hugepages_restore();
}

Test(memfd_huge, short_pool_falls_back_with_the_reason_or_fails_and_gives_all_pages_back)
{
	uint32_t window = 32768;
	struct myelon_producer *q;
	uint64_t before;
	int fds;

	need_pages(2);
	before = free_pages();
	while (window * 64ull <= before * HUGE)
		window *= 2;
	fds = kit_open_fds();
	make(PAGED(window, MYELON_HUGE_TRY, .slot_size = 64));
	cr_assert_eq(describe().backing, MYELON_BACKING_MEMFD);
	cr_assert_eq(describe().page_size, mye_page_size());
	cr_assert(strstr(describe().reason, "no huge pages: 2 MiB pool"), "%s", describe().reason);
	teardown();
	cr_assert_eq(myelon_producer_create(&q, name,
	                                    PAGED(window, MYELON_HUGE_REQUIRE, .slot_size = 64)),
	             -ENOSPC);
	cr_assert(help_says("nr_hugepages") && help_says("in a memfd"), "%s", myelon_last_error());
	cr_assert_eq(free_pages(), before);
	cr_assert_eq(kit_open_fds(), fds);
	cr_assert_eq(help_files(), 0);
	kit_hugepages_restore();
}

Test(memfd_huge, small_ring_is_rounded_up_only_when_huge_pages_are_required)
{
	need_pages(1);
	make(PAGED(64, MYELON_HUGE_REQUIRE, .slot_size = 64));
	cr_assert_eq(describe().data_bytes, HUGE);
	cr_assert_eq(describe().slots, HUGE / 64);
	teardown();
	make(PAGED(64, MYELON_HUGE_TRY, .slot_size = 64));
	cr_assert_eq(describe().slots, 64);
	cr_assert(strstr(describe().reason, "ring smaller than page"), "%s", describe().reason);
	teardown();
	kit_hugepages_restore();
}

Test(memfd_huge, page_size_nobody_has_is_named)
{
	struct myelon_producer *q;
	uint64_t sizes[MYE_HUGE_SIZES];

	if (mye_huge_sizes(sizes, MYE_HUGE_SIZES) == 0)
		kit_skip("hugepages", "the kernel has none");
	cr_assert_eq(
		myelon_producer_create(&q, "x", PAGED(64, MYELON_HUGE_REQUIRE, .page_size = 8192)),
		-EINVAL);
	cr_assert(help_says("8192"), "%s", myelon_last_error());
	cr_assert_eq(help_files(), 0);
}
