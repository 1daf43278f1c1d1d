/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Decoding from memory that somebody goes on writing. */
#ifndef TESTS_CODEC_SCRIBBLE_H
#define TESTS_CODEC_SCRIBBLE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <myelon/codec.h>
#include <myelon/error.h>

#include "object.h"

#define ARENA (1u << 20)

struct scribble {
	unsigned char *bytes;
	size_t len;
	atomic_bool stop;
};

/* A producer that goes on writing what it sent. */
static inline void *scribbler(void *arg)
{
	struct scribble *s = arg;
	struct object_rng r = {.state = 99};

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		size_t at = object_random(&r) % s->len;
		unsigned char old = __atomic_load_n(s->bytes + at, __ATOMIC_RELAXED);

		__atomic_store_n(s->bytes + at, (unsigned char)object_random(&r), __ATOMIC_RELAXED);
		for (int i = 0; i < 200; i++)
			__asm__ volatile("" ::: "memory");
		__atomic_store_n(s->bytes + at, old, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* What decode took is sound: encode, which refuses what is not, takes it too. */
static inline void decode_scribbled(struct myelon_codec *c, unsigned char *bytes, size_t len,
                                    int times)
{
	struct scribble s = {.bytes = bytes, .len = len};
	unsigned char object[1024] __attribute__((aligned(16)));
	static unsigned char again[1 << 20];
	struct myelon_arena a;
	pthread_t t;
	int taken = 0;

	myelon_arena_init(&a, NULL, 0, ARENA);
	cr_assert_eq(pthread_create(&t, NULL, scribbler, &s), 0);
	for (int i = 0; i < times; i++) {
		int rc = myelon_codec_decode(c, bytes, len, object, &a);

		cr_assert(rc == 0 || rc == -EBADMSG, "%d: %s", rc, myelon_last_error());
		if (rc == 0) {
			taken++;
			cr_assert_gt(myelon_codec_encode(c, object, again, sizeof(again)), 0, "%s",
			             myelon_last_error());
		}
		myelon_arena_reset(&a);
	}
	atomic_store(&s.stop, true);
	pthread_join(t, NULL);
	myelon_arena_free(&a);
	cr_assert_gt(taken, 0);
}

#endif
