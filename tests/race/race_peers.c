/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Everybody leaves in order, or is evicted: a producer that supervises, one after the other, and consumers, with
 * leases and without. So nobody who looks meanwhile, watches, descriptions, readers, may say that somebody died.
 */
#include "race.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CONSUMERS 3
#define WATCHES 2 /* of each kind */
#define SLOT 64
/* What the kernel follows lies in front of each mapping, and in that build they all are one. */
#define LEASE (RACE_SINGLE_MAP ? 0 : MYELON_F_LEASE)

static struct scene {
	char name[KIT_NAME];
	long legs;
	int over;
	uint64_t told; /* changes, by all watches */
} scene;

static bool over(void)
{
	return __atomic_load_n(&scene.over, __ATOMIC_RELAXED) || race_failed();
}

/* ---- who comes and goes ---- */

static void alert(void *ctx, const struct myelon_failure *f)
{
	(void)ctx;
	if (f->cause != MYELON_CAUSE_STALLED)
		race_fail("%s is %s", f->id, myelon_cause_name((enum myelon_cause)f->cause));
}

static void lead(struct myelon_producer *p, uint64_t *random)
{
	char slot[SLOT] = "";
	uint32_t n = race_random(random) % 40;

	RACE_OK(myelon_producer_require(
		p, &MYELON_LIVENESS_OPTS(.on_failure = MYELON_ON_FAILURE_LOG, .hook = alert)));
	while (n-- && !race_failed()) {
		int rc = myelon_publish_copy_managed(p, slot, 1, myelon_deadline_after(1000000));

		if (rc != -ETIMEDOUT)
			RACE_OK(rc);
	}
	myelon_producer_close(p);
}

static void *produce(void *arg)
{
	uint64_t random = 1;

	(void)arg;
	for (long i = 0; i < scene.legs && !race_failed(); i++) {
		struct myelon_producer *p;
		const struct myelon_open_opts o = MYELON_OPEN_OPTS(.flags = i % 2 ? LEASE : 0);

		if (RACE_OK(myelon_producer_open(&p, scene.name, &o)) == 0)
			lead(p, &random);
		if (race_random(&random) % 2)
			usleep(race_random(&random) % 200);
	}
	__atomic_store_n(&scene.over, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void visit(const char *id, uint64_t *random)
{
	struct myelon_consumer *c;
	uint32_t flags = race_random(random) % 2 ? LEASE : 0;
	int rc = myelon_consumer_attach(&c, scene.name,
	                                &MYELON_ATTACH_OPTS(.id = id, .flags = flags));

	if (rc == -EBUSY) /* evicted while joining */
		return;
	if (RACE_OK(rc) < 0)
		return;
	for (uint32_t n = race_random(random) % 20; n > 0 && rc != -ESTALE; n--) {
		struct myelon_view v;

		rc = myelon_peek(c, MYELON_ALL, myelon_deadline_after(100000), &v);
		if (rc > 0)
			rc = myelon_release(c, v.count);
		if (rc == -EOWNERDEAD)
			race_fail("%s: a producer died: %s", id, myelon_last_error());
	}
	myelon_consumer_close(c);
}

static void *consume(void *arg)
{
	const char *id = arg;
	uint64_t random = (uint64_t)id[1];

	while (!over())
		visit(id, &random);
	return NULL;
}

static void *evict(void *arg)
{
	uint64_t random = 7;

	(void)arg;
	while (!over()) {
		const char id[] = {'c', (char)('0' + race_random(&random) % CONSUMERS), '\0'};
		int rc = myelon_evict(scene.name, id, MYELON_F_FORCE, NULL);

		if (rc != -ENOENT && rc != -EBUSY)
			RACE_OK(rc);
		usleep(race_random(&random) % 2000);
	}
	return NULL;
}

/* ---- who looks ---- */

static void note(void *ctx, const struct myelon_peer_event *e)
{
	(void)ctx;
	__atomic_fetch_add(&scene.told, 1, __ATOMIC_RELAXED);
	if (e->change == MYELON_CHANGE_DIED || e->change == MYELON_CHANGE_DYING ||
	    e->change == MYELON_CHANGE_REMOVED)
		race_fail("a watch says %s of '%s', generation %llu",
		          myelon_peer_change_name((enum myelon_peer_change)e->change), e->id,
		          (unsigned long long)e->generation);
}

static void *watch(void *arg)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct myelon_peers *w = arg;

	while (!over()) {
		int rc = myelon_peers_next(w, &e, myelon_deadline_after(10000000));

		if (rc == 0)
			note(NULL, &e);
		else if (rc != -ETIMEDOUT)
			RACE_OK(rc);
	}
	return NULL;
}

static int described(void *ctx, const struct myelon_consumer_entry *e)
{
	(void)ctx;
	if (e->state == MYELON_PEER_DEAD)
		race_fail("%s is described as dead", e->id);
	return 0;
}

static void *describe(void *arg)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	(void)arg;
	while (!over()) {
		RACE_OK(myelon_ring_describe(scene.name, NULL, &info));
		if (info.producer_state == MYELON_PEER_DEAD || info.dead_consumers)
			race_fail(
				"described: producer %s, %u dead",
				myelon_peer_state_name((enum myelon_peer_state)info.producer_state),
				info.dead_consumers);
		RACE_OK(myelon_ring_consumers(scene.name, NULL, described, NULL));
	}
	return NULL;
}

static void *observe(void *arg)
{
	(void)arg;
	while (!over()) {
		struct myelon_observer *o;
		char slot[SLOT];

		if (RACE_OK(myelon_observer_attach(&o, scene.name, NULL)) < 0)
			break;
		/* It never asked, so it does now. */
		if (myelon_observe(o, slot, 1, MYELON_TRY, NULL, NULL) == -EOWNERDEAD)
			race_fail("an observer: %s", myelon_last_error());
		myelon_observer_close(o);
	}
	return NULL;
}

static void run(void)
{
	static char ids[CONSUMERS][3] = {"c0", "c1", "c2"};
	void *(*const others[])(void *) = {produce, evict, describe, observe};
	pthread_t thread[CONSUMERS + WATCHES + 4];
	struct myelon_peers *w[2 * WATCHES];
	int n = 0;

	for (int i = 0; i < 2 * WATCHES; i++)
		if (RACE_OK(myelon_peers_open(
			    &w[i], scene.name,
			    &MYELON_PEERS_OPTS(.on_peer_change = i % 2 ? note : NULL))) < 0)
			return;
	for (int i = 0; i < WATCHES; i++)
		race_start(&thread[n++], watch, w[(size_t)2 * (size_t)i]);
	for (int i = 0; i < CONSUMERS; i++)
		race_start(&thread[n++], consume, ids[i]);
	for (int i = 0; i < 4; i++)
		race_start(&thread[n++], others[i], NULL);
	for (int i = 0; i < n; i++)
		race_join(thread[i]);
	for (int i = 0; i < 2 * WATCHES; i++)
		RACE_OK(myelon_peers_close(w[i]));
	if (!race_failed() && scene.told < (uint64_t)scene.legs)
		race_fail("only %llu changes were told", (unsigned long long)scene.told);
}

int main(void)
{
	struct myelon_producer *p;
	int rc;

	race_watchdog(60);
	kit_ring_name(scene.name, "peers");
	scene.legs = race_count(800, 150);
	rc = myelon_producer_create(&p, scene.name,
	                            &MYELON_RING_OPTS(.slot_size = SLOT, .window = 64,
	                                              .backing = MYELON_BACKING_SHM,
	                                              .flags = MYELON_F_KEEP,
	                                              .unattended = MYELON_UNATTENDED_OVERWRITE));
	if (RACE_OK(rc) == 0) {
		myelon_producer_close(p);
		run();
		RACE_OK(myelon_ring_remove(scene.name, NULL));
	}
	return race_result();
}
