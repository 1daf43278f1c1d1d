/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One thread reads many rings through a wait set, while their producers, in threads, send, and another
 * thread wakes it. With both engines, and once through the set's descriptor.
 */
#include "race.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define RINGS 6
#define SLOT 64

struct scene {
	char name[RINGS][KIT_NAME];
	struct myelon_producer *p[RINGS];
	struct myelon_consumer *c[RINGS];
	struct myelon_waitset *ws;
	long count; /* messages of each ring */
	_Atomic bool done;
	bool by_fd;
};

struct feeder {
	struct scene *s;
	int ring;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;
	uint64_t random = (uint64_t)f->ring + 1;
	struct myelon_producer *p = f->s->p[f->ring];
	struct myelon_span span;

	for (long i = 0; i < f->s->count && !race_failed(); i++) {
		if (race_random(&random) % 8 == 0)
			usleep(race_random(&random) % 100);
		if (RACE_OK(myelon_claim(p, 1, MYELON_FOREVER, &span)) < 0)
			break;
		race_fill(span.base, SLOT, span.seq);
		RACE_OK(myelon_publish(p, 1));
	}
	myelon_producer_close(p);
	return NULL;
}

static void *wake(void *arg)
{
	struct scene *s = arg;

	while (!s->done && !race_failed()) {
		usleep(200);
		myelon_waitset_wake(s->ws);
	}
	return NULL;
}

static int next(struct scene *s, struct myelon_event *ev)
{
	struct pollfd p;
	int n;

	if (!s->by_fd)
		return myelon_waitset_wait(s->ws, ev, 4, MYELON_FOREVER);
	while ((n = myelon_waitset_wait(s->ws, ev, 4, MYELON_TRY)) == 0) {
		p = (struct pollfd){.fd = myelon_waitset_fd(s->ws), .events = POLLIN};
		if (poll(&p, 1, 20000) == 0)
			race_fail("the descriptor does not become readable");
	}
	return n;
}

static void read_ring(struct scene *s, int i, int64_t *expected)
{
	struct myelon_view v;

	if (RACE_OK(myelon_peek(s->c[i], MYELON_ALL, MYELON_TRY, &v)) < 0)
		return;
	for (uint32_t k = 0; k < v.count; k++, ++*expected) {
		if (v.seq + k != *expected)
			race_fail("sequence %lld", (long long)v.seq + k);
		race_check((const char *)v.base + (size_t)k * SLOT, SLOT, v.seq + k, "set");
	}
	RACE_OK(myelon_release(s->c[i], v.count));
}

static void read_all(struct scene *s)
{
	int64_t expected[RINGS] = {0};
	struct myelon_event ev[4];
	int open = RINGS;

	while (open > 0 && !race_failed()) {
		int n = next(s, ev);

		if (n < 0 && n != -ECANCELED)
			RACE_OK(n);
		for (int i = 0; i < n; i++) {
			long ring = (long)ev[i].user;

			if (ev[i].result == -EPIPE)
				open--;
			else if (RACE_OK(ev[i].result) > 0)
				read_ring(s, (int)ring, &expected[ring]);
		}
	}
	for (int i = 0; i < RINGS && !race_failed(); i++)
		if (expected[i] != s->count)
			race_fail("ring %d ended at %lld", i, (long long)expected[i]);
}

static void run(enum myelon_engine engine, bool by_fd)
{
	struct scene s = {.count = race_count(3000, 500), .by_fd = by_fd};
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};
	struct feeder f[RINGS];
	pthread_t feeder[RINGS], waker;
	int rc = myelon_waitset_create(&s.ws, &MYELON_WAITSET_OPTS(.engine = engine));

	if (rc == -ENOTSUP) {
		kit_skip_plain("uring", myelon_last_error());
		return;
	}
	RACE_OK(rc);
	for (long i = 0; i < RINGS; i++) {
		kit_ring_name(s.name[i], "set");
		RACE_OK(myelon_producer_create(&s.p[i], s.name[i],
		                               &MYELON_RING_OPTS(.slot_size = SLOT, .window = 8,
		                                                 .backing = MYELON_BACKING_SHM)));
		RACE_OK(myelon_consumer_attach(&s.c[i], s.name[i], NULL));
		RACE_OK(myelon_waitset_add_consumer(s.ws, s.c[i], NULL, (void *)i));
		f[i] = (struct feeder){&s, (int)i};
	}
	for (int i = 0; i < RINGS; i++)
		race_start(&feeder[i], feed, &f[i]);
	race_start(&waker, wake, &s);
	read_all(&s);
	s.done = true;
	race_join(waker);
	for (int i = 0; i < RINGS; i++)
		race_join(feeder[i]);
	RACE_OK(myelon_waitset_stats(s.ws, &stats));
	if (stats.caps_found)
		race_fail("%llu wake-ups were lost", (unsigned long long)stats.caps_found);
	myelon_waitset_close(s.ws);
	for (int i = 0; i < RINGS; i++)
		myelon_consumer_close(s.c[i]);
}

int main(void)
{
	race_watchdog(50);
	for (int by_fd = 0; by_fd < 2; by_fd++) {
		run(MYELON_ENGINE_URING, by_fd);
		run(MYELON_ENGINE_EPOLL, by_fd);
	}
	return race_result();
}
