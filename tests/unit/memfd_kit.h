/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A ring in a memfd and its descriptor, for the tests of both. */
#ifndef MYELON_TEST_MEMFD_KIT_H
#define MYELON_TEST_MEMFD_KIT_H

#include "ring_kit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "segment_help.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#define HUGE (2ull << 20)

#define MEMFD(...)                                                                                 \
	(&MYELON_RING_OPTS(.window = 64, .backing = MYELON_BACKING_MEMFD, .huge = MYELON_HUGE_OFF, \
	                   __VA_ARGS__))

#define PAGED(win, how, ...)                                                                       \
	(&MYELON_RING_OPTS(.window = (win), .backing = MYELON_BACKING_MEMFD, .huge = (how),        \
	                   __VA_ARGS__))

static char name[KIT_NAME];
static struct myelon_producer *p;
static int fd; /* handed over */

static inline void make(const struct myelon_ring_opts *opts)
{
	p = ring_make(name, opts);
	fd = myelon_producer_data_fd(p);
	cr_assert_geq(fd, 0, "%s", myelon_last_error());
}

static inline void setup(void)
{
	make(MEMFD(.slot_size = 64));
}

static inline void teardown(void)
{
	myelon_producer_close(p);
	p = NULL;
	close(fd);
	cr_assert_eq(help_files(), 0);
}

static inline struct myelon_ring_info describe(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	cr_ok(myelon_ring_describe(name, NULL, &info));
	return info;
}

static inline int attach(struct myelon_consumer **c, int32_t data_fd)
{
	return myelon_consumer_attach(c, name, WITH(.id = "c", .data_fd = data_fd));
}

/* Refused for consumer and observer, with the sentence, and nothing is left behind. */
static inline void refused(int32_t data_fd, int expected, const char *word)
{
	int before = kit_open_fds();
	struct myelon_consumer *c;
	struct myelon_observer *o;
	int rc;

	rc = attach(&c, data_fd);
	cr_assert_eq(rc, expected, "%d: %s", rc, myelon_last_error());
	cr_assert(help_says(word), "'%s' is not in: %s", word, myelon_last_error());
	cr_assert_null(c);
	cr_assert_eq(myelon_observer_attach(&o, name, WITH(.data_fd = data_fd)), expected);
	cr_assert_eq(kit_open_fds(), before);
	cr_assert_eq(describe().consumers, 0);
}

static inline int foreign(uint64_t bytes, int seals)
{
	int other = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_geq(other, 0);
	cr_assert_eq(ftruncate(other, (off_t)bytes), 0);
	cr_assert_eq(fcntl(other, F_ADD_SEALS, seals), 0);
	return other;
}

#endif
