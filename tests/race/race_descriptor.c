/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One thread polls the descriptor of its consumer, which another thread feeds, while a third opens and
 * closes proxied consumers of another ring, which starts and stops the keeper. The reader detaches and
 * attaches again, so that its own hold on the keeper comes and goes too. With every engine.
 */
#include "race.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define SLOT 64
#define WINDOW 8
#define STINT 50 /* messages before the reader attaches again */
#define NOBODY INT64_MAX

struct scene {
	char name[KIT_NAME], other[KIT_NAME];
	enum myelon_engine engine;
	struct myelon_producer *p;  /* of the feeder */
	struct myelon_producer *op; /* of the third thread */
	_Atomic int64_t seen;       /* the last the reader has seen; NOBODY: it is not attached */
	_Atomic bool enough, done;
};

/* Every other message is waited for: a wake-up that is lost then lasts until the cap, which counts it. */
static void wait_until_seen(struct scene *s, int64_t seq)
{
	int64_t deadline = kit_deadline(20);

	while (s->seen < seq && !race_failed()) {
		if (kit_now_ns() > deadline)
			race_fail("sequence %lld was not seen", (long long)seq);
		sched_yield();
	}
}

static void *feed(void *arg)
{
	struct scene *s = arg;
	uint64_t random = 1;
	struct myelon_span span;

	while (!s->enough && !race_failed()) {
		if (race_random(&random) % 4 == 0)
			usleep(race_random(&random) % 100);
		if (RACE_OK(myelon_claim(s->p, 1, MYELON_FOREVER, &span)) < 0)
			break;
		race_fill(span.base, SLOT, span.seq);
		RACE_OK(myelon_publish(s->p, 1));
		if (race_random(&random) % 2)
			wait_until_seen(s, span.seq);
	}
	myelon_producer_close(s->p);
	return NULL;
}

static int open_fd(struct myelon_consumer **c, const char *name, enum myelon_engine engine)
{
	int fd;

	if (RACE_OK(myelon_consumer_attach(c, name, NULL)) < 0)
		return -1;
	fd = RACE_OK(myelon_consumer_fd(
		*c, &MYELON_FD_OPTS(.engine = engine, .spin_ns = MYELON_NO_SPIN)));
	if (fd < 0)
		myelon_consumer_close(*c);
	return fd;
}

static void close_fd(struct myelon_consumer *c, const char *who)
{
	struct myelon_handle_stats stats = {.size = sizeof(stats)};

	RACE_OK(myelon_consumer_stats(c, &stats));
	if (stats.caps_found)
		race_fail("%s: %llu wake-ups were lost", who, (unsigned long long)stats.caps_found);
	myelon_consumer_close(c);
}

static int poll_peek(struct myelon_consumer *c, int fd, struct myelon_view *v)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	while ((n = myelon_peek(c, MYELON_ALL, MYELON_TRY, v)) == -EAGAIN && !race_failed())
		if (poll(&p, 1, 20000) == 0)
			race_fail("the descriptor does not become readable");
	return n;
}

/* @last: the producer is told to end after it, and its end is read, too. @return whether that came. */
static bool read_stint(struct scene *s, bool last)
{
	struct myelon_consumer *c;
	int fd = open_fd(&c, s->name, s->engine), n = 0;
	int64_t next, end;
	struct myelon_view v;

	if (fd < 0)
		return false;
	next = myelon_consumer_cursor(c) + 1;
	end = next + STINT;
	s->seen = next - 1;
	while ((next < end || last) && (n = poll_peek(c, fd, &v)) > 0) {
		if (v.seq != next)
			race_fail("sequence %lld instead of %lld", (long long)v.seq,
			          (long long)next);
		for (uint32_t i = 0; i < v.count; i++)
			race_check((const char *)v.base + (size_t)i * SLOT, SLOT, v.seq + i,
			           "poll");
		next = v.seq + v.count;
		RACE_OK(myelon_release(c, v.count));
		s->seen = next - 1;
		s->enough = last && next >= end;
	}
	s->seen = NOBODY;
	if (n < 0 && n != -EPIPE)
		RACE_OK(n);
	close_fd(c, "reader");
	return n == -EPIPE;
}

static void *read_all(void *arg)
{
	struct scene *s = arg;
	long stints = race_count(200, 20);

	for (long i = 1; i <= stints && !race_failed(); i++)
		if (read_stint(s, i == stints) != (i == stints))
			race_fail("stint %ld of %ld: the end of the ring", i, stints);
	s->enough = true;
	return NULL;
}

/* A message goes through the proxy of a consumer that is there only for it. */
static void come_and_go(struct scene *s, enum myelon_engine engine, bool read)
{
	struct myelon_consumer *c;
	struct myelon_span span;
	struct myelon_view v;
	int fd = open_fd(&c, s->other, engine);

	if (fd < 0)
		return;
	if (read && RACE_OK(myelon_claim(s->op, 1, MYELON_FOREVER, &span)) >= 0) {
		race_fill(span.base, SLOT, span.seq);
		RACE_OK(myelon_publish(s->op, 1));
		if (RACE_OK(poll_peek(c, fd, &v)) > 0) {
			race_check(v.base, SLOT, span.seq, "passer-by");
			RACE_OK(myelon_release(c, v.count));
		}
	}
	close_fd(c, "passer-by");
}

static void *pass_by(void *arg)
{
	struct scene *s = arg;
	uint64_t random = 7;

	while (!s->done && !race_failed()) {
		uint32_t r = race_random(&random);

		come_and_go(s, r % 4 ? MYELON_ENGINE_PROXY : MYELON_ENGINE_DIRECT, r / 4 % 2);
		usleep(r % 200);
	}
	return NULL;
}

static bool possible(const struct scene *s)
{
	struct myelon_consumer *c;
	int rc;

	if (RACE_OK(myelon_consumer_attach(&c, s->other, NULL)) < 0)
		return false;
	rc = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = s->engine));
	if (rc == -ENOTSUP)
		kit_skip_plain(myelon_engine_name(s->engine), myelon_last_error());
	else
		RACE_OK(rc);
	myelon_consumer_close(c);
	return rc >= 0;
}

static void race(struct scene *s)
{
	pthread_t feeder, reader, passer;

	race_start(&feeder, feed, s);
	race_start(&passer, pass_by, s);
	race_start(&reader, read_all, s);
	race_join(reader);
	race_join(feeder);
	s->done = true;
	race_join(passer);
}

static void run(enum myelon_engine engine)
{
	struct scene s = {.engine = engine, .seen = NOBODY};
	struct myelon_ring_opts opts = MYELON_RING_OPTS(.slot_size = SLOT, .window = WINDOW,
	                                                .backing = MYELON_BACKING_SHM);
	struct myelon_keeper_info info = {.size = sizeof(info)};

	kit_ring_name(s.name, "fd");
	kit_ring_name(s.other, "other");
	if (RACE_OK(myelon_producer_create(&s.p, s.name, &opts)) < 0 ||
	    RACE_OK(myelon_producer_create(&s.op, s.other, &opts)) < 0)
		return;
	if (possible(&s))
		race(&s);
	else
		myelon_producer_close(s.p);
	myelon_producer_close(s.op);
	RACE_OK(myelon_keeper_info(&info));
	if (info.running || info.proxies || info.adopted)
		race_fail("keeper: running %u, %u proxies, %u adopted", info.running, info.proxies,
		          info.adopted);
}

int main(void)
{
	race_watchdog(50);
	run(MYELON_ENGINE_DIRECT);
	run(MYELON_ENGINE_PROXY);
	run(MYELON_ENGINE_URING);
	return race_result();
}
