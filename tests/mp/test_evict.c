/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Consumers that are stopped, dead, or busy, and evicted from outside. The others read every message,
 * whole and in order; the evicted one trusts nothing that was overwritten, and knows what it lost.
 */
#include "ring_cast.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT 64
#define SEED 1 /* the seed of ring_actor */

/* Words of the page. */
enum { VICTIM = 20, FOUND = 21, STORM = 22 };
/* Results of the page, beside those of the cast. */
enum { OF_VICTIM = 20, OF_EVICTOR = 21 };

static struct cast cast;

static int force(void)
{
	return myelon_evict(cast.name, "victim", MYELON_F_FORCE, NULL);
}

/* Slots of a view that are not what was published. */
static uint32_t torn(const struct myelon_view *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->count; i++)
		n += kit_check((const char *)v->base + (size_t)i * SLOT, SLOT, SEED,
		               (uint64_t)v->seq + i) != -1;
	return n;
}

static int attach_victim(struct myelon_consumer **c, enum myelon_wait wait)
{
	return myelon_consumer_attach(
		c, cast.name,
		&MYELON_ATTACH_OPTS(.id = "victim", .wait = wait, .timeout_ns = 60000000000ll));
}

static uint64_t lost_of(const struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	myelon_consumer_stats(c, &s);
	return s.lost;
}

static void rest_us(unsigned int us)
{
	const struct timespec t = {.tv_nsec = 1000l * us};

	nanosleep(&t, NULL);
}

/*
 * Read and release one batch; what a release accepts must be whole. @us: a pause with the slots in the
 * hand. @return as peek and release.
 */
static int read_batch(struct myelon_consumer *c, struct kit_result *r, int64_t *next,
                      unsigned int us)
{
	struct myelon_view v;
	uint32_t bad;
	int n = myelon_peek(c, 1 + (uint32_t)(*next % 7), MYELON_FOREVER, &v), rc;

	if (n < 0)
		return n;
	if (us)
		rest_us(us);
	bad = torn(&v);
	rc = myelon_release(c, v.count);
	if (rc < 0) {
		r->value[0] += bad > 0;
		return rc;
	}
	if (bad || v.seq != *next)
		kit_violation(r, "%u torn slots of %u from %lld (expected %lld) were accepted", bad,
		              v.count, (long long)v.seq, (long long)*next);
	*next = v.seq + v.count;
	r->value[1] = (uint64_t)(*next - 1);
	r->count += v.count;
	return 0;
}

/* The id goes on behind @next - 1, minus what it is told it lost. */
static void check_first(const struct myelon_consumer *c, struct kit_result *r, int64_t next)
{
	int64_t first = myelon_consumer_cursor(c) + 1;

	r->lost += lost_of(c);
	if (first != next + (int64_t)lost_of(c))
		kit_violation(r, "left at %lld, lost %llu, goes on at %lld", (long long)next,
		              (unsigned long long)lost_of(c), (long long)first);
}

/* Peeks, is stopped and evicted, goes on, finds out, comes back. */
static int stopped_victim(void *arg)
{
	struct kit_result *r = &cast.page->result[OF_VICTIM];
	struct myelon_consumer *c;
	struct myelon_view v;
	unsigned char slot[SLOT];
	int64_t next;

	(void)arg;
	if (attach_victim(&c, MYELON_WAIT_ADAPTIVE) < 0)
		return 1;
	next = myelon_consumer_cursor(c) + 1;
	for (int i = 0; i < 3; i++)
		if (read_batch(c, r, &next, 0) < 0)
			return 2;
	if (myelon_peek(c, 4, MYELON_FOREVER, &v) < 1)
		return 3;
	kit_set(cast.page, VICTIM, 1);
	raise(SIGSTOP);
	if (torn(&v) == 0)
		return 4; /* the producer did not come by, so the test shows nothing */
	if (myelon_release(c, v.count) != -ESTALE)
		return 5;
	if (myelon_peek(c, 1, MYELON_FOREVER, &v) != -ESTALE)
		return 6;
	if (myelon_consume_copy(c, slot, 1, MYELON_FOREVER) != -ESTALE)
		return 7;
	myelon_consumer_close(c);
	if (attach_victim(&c, MYELON_WAIT_PARK) < 0)
		return 8;
	check_first(c, r, next);
	next = myelon_consumer_cursor(c) + 1;
	kit_set(cast.page, FOUND, 1);
	while (read_batch(c, r, &next, 0) == 0)
		;
	myelon_consumer_close(c);
	return r->violations ? 9 : 0;
}

/* The state of the victim, by its entry. */
static int see(void *ctx, const struct myelon_consumer_entry *e)
{
	struct myelon_consumer_entry *out = ctx;

	if (strcmp(e->id, "victim") == 0)
		*out = *e;
	return 0;
}

static struct myelon_consumer_entry victim_entry(void)
{
	struct myelon_consumer_entry e = {0};

	myelon_ring_consumers(cast.name, NULL, see, &e);
	return e;
}

/* Wait until the producer can publish no more because of the victim. */
static void until_blocked(uint64_t window)
{
	int64_t deadline = kit_deadline(30);

	for (;;) {
		struct myelon_consumer_entry e = victim_entry();

		if (e.gating && e.lag >= window)
			return;
		cr_assert_lt(kit_now_ns(), deadline, "the ring does not fill up");
		cast_rest(1);
	}
}

Test(evict, stopped_one_is_overtaken_finds_out_and_may_come_back)
{
	struct kit_result *r;
	struct kit_actor v;
	struct myelon_consumer *c;
	uint64_t at;
	char pid[16];

	cast_begin(&cast);
	r = &cast.page->result[OF_VICTIM];
	cast_start(&cast, 1, "consume", "id=keep wait=park");
	cast_start(&cast, 0, "publish", "for=2 count=300000 window=16 wait=park slow=20 every=64");
	cr_assert_eq(kit_fork(&v, stopped_victim, NULL), 0);
	cr_assert(kit_await(cast.page, VICTIM, 1, 30));
	until_blocked(16);
	at = cast.page->result[0].count;
	snprintf(pid, sizeof(pid), "%d", v.pid);
	cr_assert_eq(myelon_evict(cast.name, "victim", 0, NULL), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), pid), "%s", myelon_last_error());
	cr_assert_eq(victim_entry().state, MYELON_PEER_ALIVE, "stopped is not dead");
	cr_assert_eq(force(), 1);
	cast_progress(&cast, 0, at + 160);
	cr_assert_eq(victim_entry().state, MYELON_PEER_EVICTED);
	cr_assert_eq(myelon_consumer_attach(&c, cast.name, &MYELON_ATTACH_OPTS(.id = "victim")),
	             -EBUSY, "its place is its own until it ends");
	cr_assert_eq(force(), 0);
	kit_kill(&v, SIGCONT);
	cr_assert(kit_await(cast.page, FOUND, 1, 30));
	cr_assert_eq(kit_wait(&v, 60), 0, "%s: %s", v.output, r->text);
	cr_assert_gt(r->lost, 0);
	/* Nobody else noticed. */
	r = cast_done(&cast, 1);
	cr_assert_eq(r->count, 300000);
	cast_done(&cast, 0);
	cast_end(&cast, false);
}

static int dead_victim(void *arg)
{
	struct myelon_consumer *c;

	(void)arg;
	if (attach_victim(&c, MYELON_WAIT_PARK) < 0)
		return 1;
	kit_set(cast.page, VICTIM, 1);
	for (;;)
		pause();
}

/* No sleep of the producer may end at its cap of 1 s with room there: then nobody rang. */
static void dead_one_gates(const char *wait)
{
	struct kit_actor v;

	cast_begin(&cast);
	cr_assert_eq(kit_fork(&v, dead_victim, NULL), 0);
	cast_start(&cast, 1, "consume", "id=keep wait=%s", wait);
	cast_start(&cast, 0, "publish", "for=2 count=20000 window=32 wait=%s", wait);
	cr_assert(kit_await(cast.page, VICTIM, 1, 30));
	until_blocked(32);
	kit_kill(&v, SIGKILL);
	cr_assert_eq(kit_wait(&v, 30), -SIGKILL);
	cr_assert_eq(victim_entry().state, MYELON_PEER_DEAD);
	cr_assert_eq(cast.page->result[0].count, 32);
	cr_assert_eq(myelon_evict(cast.name, "victim", 0, NULL), 1, "%s", myelon_last_error());
	cr_assert_eq(cast_done_well(&cast, 1)->count, 20000);
	cast_done_well(&cast, 0);
	cast_end(&cast, true);
}

Test(evict, dead_one_lets_a_parked_producer_go_on_at_once)
{
	dead_one_gates("park");
	dead_one_gates("adaptive");
}

static int sleeper(void *arg)
{
	enum myelon_wait wait = (enum myelon_wait)(intptr_t)arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = attach_victim(&c, wait);

	if (rc < 0)
		return 1;
	kit_set(cast.page, VICTIM, 1);
	rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
	myelon_consumer_stats(c, &s);
	/* A sleep that the cap ended counts as found only with messages; here it is the first one. */
	cast.page->result[OF_VICTIM].value[0] = s.caps;
	myelon_consumer_close(c);
	return rc == -ESTALE ? 0 : 2;
}

Test(evict, sleeping_one_hears_of_it_however_it_waits)
{
	static const enum myelon_wait waits[] = {MYELON_WAIT_PARK, MYELON_WAIT_ADAPTIVE,
	                                         MYELON_WAIT_SPIN_PAUSE, MYELON_WAIT_YIELD,
	                                         MYELON_WAIT_SLEEP};

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct myelon_producer *p;
		struct kit_actor v;

		cast_begin(&cast);
		cr_assert_eq(myelon_producer_create(&p, cast.name,
		                                    &MYELON_RING_OPTS(.backing = MYELON_BACKING_SHM,
		                                                      .huge = MYELON_HUGE_OFF)),
		             0);
		cr_assert_eq(kit_fork(&v, sleeper, (void *)(intptr_t)waits[i]), 0);
		cr_assert(kit_await(cast.page, VICTIM, 1, 30));
		while (waits[i] == MYELON_WAIT_PARK && !victim_entry().parked)
			cast_rest(1);
		cr_assert_eq(force(), 1);
		cr_assert_eq(kit_wait(&v, 30), 0, "%s", myelon_wait_name(waits[i]));
		myelon_producer_close(p);
		cast_end(&cast, false);
	}
}

/* Comes and goes, whatever happens to it; -ESTALE just means that it comes again. */
static int busy_victim(void *arg)
{
	struct kit_result *r = &cast.page->result[OF_VICTIM];
	/* Where an earlier incarnation, that was killed, left off is only known roughly. */
	int64_t next = -1;
	unsigned int seed = 7;

	(void)arg;
	while (!cast.page->word[STORM]) {
		struct myelon_consumer *c;
		int rc = attach_victim(&c,
		                       rand_r(&seed) % 2 ? MYELON_WAIT_PARK : MYELON_WAIT_ADAPTIVE);

		if (rc == -EBUSY) /* evicted while it joined, or an evictor holds the place */
			continue;
		if (rc < 0)
			return 1;
		if (next >= 0)
			check_first(c, r, next);
		next = myelon_consumer_cursor(c) + 1;
		r->value[2]++;
		for (int i = rand_r(&seed) % 50; rc == 0 && i >= 0; i--)
			rc = read_batch(c, r, &next, rand_r(&seed) % 3 ? 0 : 100);
		if (rc < 0 && rc != -ESTALE && rc != -EPIPE)
			return 2;
		r->bytes += rc == -ESTALE;
		myelon_consumer_close(c);
	}
	return r->violations ? 3 : 0;
}

struct evictor {
	unsigned int seed;
	uint32_t flags;
};

static int busy_evictor(void *arg)
{
	struct kit_result *r = &cast.page->result[OF_EVICTOR];
	struct evictor *e = arg;

	while (!cast.page->word[STORM]) {
		int rc = myelon_evict(cast.name, "victim", e->flags, NULL);

		if (rc > 0)
			r->count++;
		else if (rc < 0 && rc != -ENOENT && !(rc == -EBUSY && e->flags == 0))
			kit_violation(r, "evict: %d: %s", rc, myelon_last_error());
		r->value[0]++;
		rest_us(rand_r(&e->seed) % 300);
	}
	return 0;
}

/* Until the victim was evicted @n times. With @kill it is killed now and then. */
static void storm(unsigned int evictors, uint64_t n, bool kill, uint32_t window)
{
	struct evictor e[3] = {{1, MYELON_F_FORCE}, {2, MYELON_F_FORCE}, {3, 0}};
	struct kit_result *of_victim, *of_evictor;
	int64_t deadline = kit_deadline(60);
	struct kit_actor v, actors[3];

	cast_begin(&cast);
	of_victim = &cast.page->result[OF_VICTIM];
	of_evictor = &cast.page->result[OF_EVICTOR];
	cast_start(&cast, 1, "consume", "id=keep wait=park");
	cast_start(&cast, 2, "consume", "id=other wait=adaptive");
	cast_start(&cast, 0, "publish", "for=2 count=1000000000 window=%u wait=park batch=3",
	           window);
	cast_attached(&cast, 0);
	cr_assert_eq(kit_fork(&v, busy_victim, NULL), 0);
	for (unsigned int i = 0; i < evictors; i++)
		cr_assert_eq(kit_fork(&actors[i], busy_evictor, &e[i]), 0);
	while (of_evictor->count < n) {
		uint64_t at = cast.page->result[1].count;

		cr_assert_lt(kit_now_ns(), deadline, "only %llu evictions; victim: %llu read, %s",
		             (unsigned long long)of_evictor->count,
		             (unsigned long long)of_victim->count, of_victim->text);
		cast_rest(kill ? 5 : 20);
		if (kill) {
			kit_kill(&v, SIGKILL);
			cr_assert_eq(kit_wait(&v, 30), -SIGKILL);
			cr_assert_eq(kit_fork(&v, busy_victim, NULL), 0);
		}
		/* Somebody evicts it, or it is back: the stream goes on. */
		cast_progress(&cast, 1, at + 1);
	}
	kit_set(cast.page, STORM, 1);
	for (unsigned int i = 0; i < evictors; i++)
		cr_assert_eq(kit_wait(&actors[i], 30), 0);
	cr_assert_eq(kit_wait(&v, 30), 0, "%s", of_victim->text);
	cr_assert_eq(of_victim->violations, 0, "%s", of_victim->text);
	cr_assert_eq(of_evictor->violations, 0, "%s", of_evictor->text);
	/* A small window has many more slots than that: nobody gets round it in time. */
	if (window >= 32)
		cr_assert_gt(of_victim->value[0], 0,
		             "the producer never came by, so nothing was shown");
	cr_log_info("%llu evictions in %llu tries, %llu joins, %llu read, %llu lost, %llu refused, "
	            "%llu of them torn",
	            (unsigned long long)of_evictor->count, (unsigned long long)of_evictor->value[0],
	            (unsigned long long)of_victim->value[2], (unsigned long long)of_victim->count,
	            (unsigned long long)of_victim->lost, (unsigned long long)of_victim->bytes,
	            (unsigned long long)of_victim->value[0]);
	cast_kill(&cast, 0);
	cast_done(&cast, 1);
	cast_done(&cast, 2);
	cr_assert_eq(cast.page->result[1].value[0], cast.page->result[2].value[0]);
	cast_end(&cast, true);
}

static uint64_t scaled(uint64_t n)
{
	const char *scale = getenv("MYELON_TEST_SCALE");
	double by = scale ? atof(scale) : 1;

	return by > 0 ? (uint64_t)((double)n * by) + 1 : n;
}

Test(storm, evictor_and_a_consumer_that_comes_reads_and_goes, .timeout = 120)
{
	storm(1, scaled(400), false, 64);
	storm(1, scaled(400), false, 8);
}

Test(storm, two_evictors_at_once_and_a_polite_one, .timeout = 120)
{
	storm(3, scaled(600), false, 32);
}

Test(storm, evictors_of_a_consumer_that_is_killed_meanwhile, .timeout = 120)
{
	storm(3, scaled(300), true, 32);
}
