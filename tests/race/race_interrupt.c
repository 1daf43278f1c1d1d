/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* An interrupt from another thread ends exactly one wait, whatever the handle is doing at the time. */
#include "race.h"

#include <errno.h>
#include <unistd.h>

#define SLOT 64

enum role { CONSUMER, PRODUCER, OBSERVER };

struct target {
	enum role role;
	enum myelon_wait wait;
	struct myelon_producer *producer;
	struct myelon_consumer *consumer;
	struct myelon_observer *observer;
	long rounds;
	_Atomic long cancelled; /* waits that ended so */
};

static int wait_once(struct target *t, int64_t deadline)
{
	struct myelon_span span;
	struct myelon_view view;
	char slot[SLOT];

	switch (t->role) {
	case CONSUMER:
		return myelon_peek(t->consumer, 1, deadline, &view);
	case PRODUCER:
		return myelon_claim(t->producer, 1, deadline, &span);
	default:
		return myelon_observe(t->observer, slot, 1, deadline, NULL, NULL);
	}
}

static void *waiter_run(void *arg)
{
	struct target *t = arg;
	uint64_t random = (uint64_t)t->wait + 1;

	for (long i = 0; i < t->rounds && !race_failed(); i++) {
		int rc = wait_once(t, MYELON_FOREVER);

		if (rc != -ECANCELED)
			race_fail("role %d, %s: wait %ld ended with %d, %s", t->role,
			          myelon_wait_name(t->wait), i, rc, myelon_last_error());
		/* It was one interrupt: the next wait is not cancelled. */
		rc = wait_once(t, myelon_deadline_after(race_random(&random) % 30000));
		if (rc != -ETIMEDOUT)
			race_fail("role %d, %s: after %ld interrupts, %d", t->role,
			          myelon_wait_name(t->wait), i + 1, rc);
		t->cancelled = i + 1;
	}
	return NULL;
}

static void interrupt(struct target *t)
{
	switch (t->role) {
	case CONSUMER:
		myelon_consumer_interrupt(t->consumer);
		break;
	case PRODUCER:
		myelon_producer_interrupt(t->producer);
		break;
	default:
		myelon_observer_interrupt(t->observer);
		break;
	}
}

/* One interrupt per wait, at any moment: also before it began. */
static void interrupt_all(struct target *t)
{
	uint64_t random = 99;

	for (long i = 0; i < t->rounds && !race_failed(); i++) {
		if (race_random(&random) % 4)
			usleep(race_random(&random) % 150);
		interrupt(t);
		while (t->cancelled <= i && !race_failed())
			usleep(10);
	}
}

static void fill(struct myelon_producer *p)
{
	struct myelon_span span;

	while (myelon_claim(p, 1, MYELON_TRY, &span) == 0) {
		race_fill(span.base, SLOT, span.seq);
		RACE_OK(myelon_publish(p, 1));
	}
}

static void run(enum role role, enum myelon_wait wait, enum myelon_fence fence)
{
	struct target t = {.role = role, .wait = wait, .rounds = race_count(150, 60)};
	struct myelon_attach_opts opts = MYELON_ATTACH_OPTS(.wait = wait);
	char name[KIT_NAME];
	pthread_t thread;
	int rc;

	kit_ring_name(name, "interrupt");
	rc = myelon_producer_create(&t.producer, name,
	                            &MYELON_RING_OPTS(.slot_size = SLOT, .window = 8,
	                                              .fence = fence, .wait = wait,
	                                              .backing = MYELON_BACKING_SHM));
	if (RACE_OK(rc) < 0)
		return;
	if (role == OBSERVER)
		rc = myelon_observer_attach(&t.observer, name, &opts);
	else
		rc = myelon_consumer_attach(&t.consumer, name, &opts);
	if (RACE_OK(rc) == 0) {
		if (role == PRODUCER)
			fill(t.producer);
		race_start(&thread, waiter_run, &t);
		interrupt_all(&t);
		race_join(thread);
	}
	myelon_observer_close(t.observer);
	myelon_consumer_close(t.consumer);
	myelon_producer_close(t.producer);
}

int main(void)
{
	static const enum role roles[] = {CONSUMER, PRODUCER, OBSERVER};
	static const enum myelon_wait waits[] = {MYELON_WAIT_ADAPTIVE,   MYELON_WAIT_SPIN,
	                                         MYELON_WAIT_SPIN_PAUSE, MYELON_WAIT_YIELD,
	                                         MYELON_WAIT_SLEEP,      MYELON_WAIT_PARK};

	race_watchdog(50);
	for (int r = 0; r < 3; r++)
		for (int w = 0; w < 6; w++)
			run(roles[r], waits[w], w % 2 ? MYELON_FENCE_FULL : MYELON_FENCE_AUTO);
	return race_result();
}
