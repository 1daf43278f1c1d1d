/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages of any length, in one piece or many, received in place, copied and owned; and watched. */
#include "race.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READERS 3
#define SLOT 64
#define FRAME_SLOTS 4 /* where a ring is mapped once, every frame is of so many */
#define SEED 5

struct talk {
	char name[KIT_NAME];
	uint32_t window;
	enum myelon_fence fence;
	long total;
	size_t longest;
	bool watched;
	pthread_barrier_t ready; /* the watcher is there */
};

struct reader {
	const struct talk *talk;
	const char *id;
	int (*take)(struct myelon_frame_consumer *fc, struct reader *r, long i);
	enum myelon_wait wait;
	void *buf;
};

/* The length of message @i; the same for sender and receivers. */
static size_t length_of(const struct talk *t, long i)
{
	uint64_t random = (uint64_t)i * 77 + t->window;

	race_random(&random);
	if (RACE_SINGLE_MAP)
		return (size_t)(FRAME_SLOTS - 1) * SLOT + race_random(&random) % (SLOT - 16);
	if (race_random(&random) % 16 == 0)
		return race_random(&random) % (t->longest + 1);
	return race_random(&random) % 300;
}

static void check(const struct talk *t, const char *who, long i, const struct myelon_message *m)
{
	size_t len = length_of(t, i);

	if (m->len != len || m->kind != (uint8_t)i || m->id != (uint32_t)(i + 1))
		race_fail("%s: message %ld has %zu bytes, not %zu; kind %u, id %u", who, i, m->len,
		          len, m->kind, m->id);
	else if (len && kit_check(m->data, len, SEED, (uint64_t)i) >= 0)
		race_fail("%s: message %ld of %zu bytes is not what was sent", who, i, len);
}

static int take_borrowed(struct myelon_frame_consumer *fc, struct reader *r, long i)
{
	struct myelon_message m[8];
	int n = myelon_frame_peek_batch(fc, m, 8, MYELON_FOREVER);

	for (int k = 0; k < n; k++)
		check(r->talk, r->id, i + k, &m[k]);
	if (n > 0)
		RACE_OK(myelon_frame_release(fc, (uint32_t)n));
	return n;
}

static int take_copy(struct myelon_frame_consumer *fc, struct reader *r, long i)
{
	struct myelon_message m;
	int n = myelon_frame_recv(fc, r->buf, r->talk->longest, MYELON_FOREVER, &m);

	if (n > 0)
		check(r->talk, r->id, i, &m);
	return n;
}

static int take_owned(struct myelon_frame_consumer *fc, struct reader *r, long i)
{
	struct myelon_message m;
	int n = myelon_frame_recv_owned(fc, MYELON_FOREVER, &m);

	if (n > 0) {
		check(r->talk, r->id, i, &m);
		myelon_message_free(&m);
	}
	return n;
}

static void *reader_run(void *arg)
{
	struct reader *r = arg;
	struct myelon_frame_consumer *fc;
	long i = 0;
	int n, rc = myelon_frame_consumer_attach(&fc, r->talk->name,
	                                         &MYELON_ATTACH_OPTS(.id = r->id, .wait = r->wait,
	                                                             .timeout_ns = RACE_ATTACH_NS));

	if (RACE_OK(rc) < 0)
		return NULL;
	r->buf = malloc(r->talk->longest);
	while ((n = r->take(fc, r, i)) > 0 && !race_failed())
		i += n;
	if (n != -EPIPE || i != r->talk->total)
		race_fail("%s: ended with %d, %s, after %ld messages", r->id, n,
		          myelon_last_error(), i);
	free(r->buf);
	myelon_frame_consumer_close(fc);
	return NULL;
}

/* What an observer gets is intact, whatever it lost in between. */
static void *watcher_run(void *arg)
{
	struct talk *t = arg;
	struct myelon_frame_observer *fo;
	struct myelon_message m;
	long last = -1;
	int n = 0, rc = myelon_frame_observer_attach(
			   &fo, t->name, &MYELON_ATTACH_OPTS(.timeout_ns = RACE_ATTACH_NS));

	pthread_barrier_wait(&t->ready);
	if (RACE_OK(rc) < 0)
		return NULL;
	while (!race_failed()) {
		n = myelon_frame_observe(fo, MYELON_FOREVER, &m, NULL);
		if (n == -EBADMSG)
			continue;
		if (n < 0)
			break;
		if ((long)m.id - 1 <= last)
			race_fail("watcher: message %u after %ld", m.id, last);
		last = (long)m.id - 1;
		check(t, "watcher", last, &m);
	}
	if (n != -EPIPE)
		race_fail("watcher: ended with %d, %s", n, myelon_last_error());
	myelon_frame_observer_close(fo);
	return NULL;
}

/* Some are built in place, in more room than they need. */
static void send_one(struct myelon_frame_producer *fp, const struct talk *t, void *buf, long i)
{
	size_t len = length_of(t, i), room = len + (RACE_SINGLE_MAP ? 0 : (size_t)(i % 100));
	void *at;

	if (i % 3 || room > myelon_frame_producer_max_frame(fp)) {
		kit_fill(buf, len, SEED, (uint64_t)i);
		RACE_OK(myelon_frame_send(fp, buf, len, (uint8_t)i, MYELON_FOREVER));
		return;
	}
	if (RACE_OK(myelon_frame_claim(fp, room, MYELON_FOREVER, &at)) < 0)
		return;
	kit_fill(at, len, SEED, (uint64_t)i);
	RACE_OK(myelon_frame_commit(fp, len, (uint8_t)i));
}

static void *producer_run(void *arg)
{
	struct talk *t = arg;
	struct myelon_frame_producer *fp;
	void *buf = malloc(t->longest);
	int rc = myelon_frame_producer_create(
		&fp, t->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = t->window, .fence = t->fence,
	                          .backing = MYELON_BACKING_SHM, .wait_for = {.count = READERS}));

	RACE_OK(rc);
	if (t->watched)
		pthread_barrier_wait(&t->ready);
	if (rc == 0) {
		for (long i = 0; i < t->total && !race_failed(); i++)
			send_one(fp, t, buf, i);
		myelon_frame_producer_close(fp);
	}
	free(buf);
	return NULL;
}

static void talk(uint32_t window, enum myelon_fence fence)
{
	struct talk t = {
		.window = window,
		.fence = fence,
		.total = race_count(8000, 5000),
		.longest = (size_t)window * SLOT * 3,
		/* A plain store of the library beside the observer's look is what it is for. */
		.watched = !RACE_SINGLE_MAP};
	struct reader readers[READERS] = {
		{&t, "borrowed", take_borrowed, MYELON_WAIT_ADAPTIVE, NULL},
		{&t, "copy", take_copy, MYELON_WAIT_PARK, NULL},
		{&t, "owned", take_owned, MYELON_WAIT_YIELD, NULL},
	};
	pthread_t thread[READERS + 2];

	kit_ring_name(t.name, "talk");
	pthread_barrier_init(&t.ready, NULL, 2);
	race_start(&thread[0], producer_run, &t);
	for (int i = 0; i < READERS; i++)
		race_start(&thread[i + 1], reader_run, &readers[i]);
	if (t.watched)
		race_start(&thread[READERS + 1], watcher_run, &t);
	for (int i = 0; i < READERS + 1 + t.watched; i++)
		race_join(thread[i]);
	pthread_barrier_destroy(&t.ready);
}

int main(void)
{
	race_watchdog(50);
	talk(256, MYELON_FENCE_AUTO);
	talk(64, MYELON_FENCE_FULL);
	talk(1000, MYELON_FENCE_AUTO);
	return race_result();
}
