/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting by strategy: what to do after a poll that found nothing, and the sleep itself. */
#include "wait/waiter.h"

#include <errno.h>

#include "sys/sys.h"

#define COST_FIRST_NS 20000 /* until the first wake was measured */
#define COST_MIN_NS 2000
#define COST_MAX_NS 200000
#define COUNT_EVERY_NS 1000000
#define YIELD_NS_EACH 5000 /* a yield pays that brings a message in each */
#define YIELD_BACKOFF_MAX 1024
#define SLEEP_FIRST_NS 50000
#define SLEEP_MAX_NS 1000000

/* Polls before the clock is looked at, or before the strategy does something else than poll. */
static uint32_t burst_of(enum myelon_wait strategy)
{
	switch (strategy) {
	case MYELON_WAIT_SPIN:
		return 256;
	case MYELON_WAIT_SPIN_PAUSE:
		return 64;
	case MYELON_WAIT_ADAPTIVE:
		return 16;
	case MYELON_WAIT_YIELD:
	case MYELON_WAIT_SLEEP:
	case MYELON_WAIT_PARK:
	case MYELON_WAIT_FD:
		break;
	}
	return 1;
}

/* Crowded or not is known from before: the first polls cost no look at the clock. */
static void choose_first_burst(struct mye_waiter *w)
{
	bool blind = w->strategy == MYELON_WAIT_ADAPTIVE && (w->crowded || !w->counted_ns);

	w->first_burst = w->strategy == MYELON_WAIT_PARK || blind ? 0 : burst_of(w->strategy);
}

void mye_waiter_init(struct mye_waiter *w, enum myelon_wait strategy, const struct mye_segment *seg,
                     uint32_t *parked_word)
{
	*w = (struct mye_waiter){.strategy = strategy, .pinned = -1};
	w->full_mode = seg->header.fence == MYELON_FENCE_FULL;
	/* A light side that could not register is not interrupted by membarrier: it fences itself. */
	w->full_fence = w->full_mode || mye_membarrier_register() < 0;
	w->cpus = mye_usable_cpus(&w->pinned, &w->quota);
	w->cost_ns = COST_FIRST_NS;
	w->sleep_ns = SLEEP_FIRST_NS;
	w->yield_backoff = 1;
	w->parked_word = parked_word;
	w->stats.size = sizeof(w->stats);
	choose_first_burst(w);
}

void mye_waiter_barrier(struct mye_waiter *w)
{
	w->park_begun_ns = mye_now();
	if (!w->full_mode && mye_membarrier() == 0) {
		w->no_barrier = false;
		return;
	}
	w->no_barrier = !w->full_mode;
	/* Pairs with the fence of publish and release in full mode (docs/ordering.md). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Does another handle of the ring that is not asleep run on our CPU, or do they outnumber the CPUs? */
static bool count_spinners(const struct mye_waiter *w, const struct mye_segment *seg)
{
	const struct mye_producer_page *p = seg->producer;
	uint32_t running = 0;

	if (w->quota)
		return true;
	if (__atomic_load_n(&p->slow.state, __ATOMIC_RELAXED) == MYE_PRODUCER_OPEN)
		running++;
	for (uint32_t i = 0; i < seg->header.max_consumers; i++) {
		const struct mye_entry *e = &seg->entries[i];
		uint64_t word = __atomic_load_n(&e->slow.state, __ATOMIC_RELAXED);

		if (MYE_STATE_OF(word) != MYE_ENTRY_ACTIVE)
			continue;
		running++;
		if (w->pinned >= 0 && &e->slow.parked != w->parked_word &&
		    __atomic_load_n(&e->about.who.cpu, __ATOMIC_RELAXED) == w->pinned)
			return true;
	}
	return running > w->cpus;
}

static void recount(struct mye_waiter *w, const struct mye_segment *seg, int64_t now)
{
	if (w->strategy != MYELON_WAIT_ADAPTIVE ||
	    (w->counted_ns && now - w->counted_ns < COUNT_EVERY_NS))
		return;
	w->counted_ns = now;
	w->crowded = count_spinners(w, seg);
	choose_first_burst(w);
}

void mye_episode_begin(struct mye_episode *e, int64_t deadline)
{
	*e = (struct mye_episode){.deadline = deadline};
}

static enum mye_step sleep_step(struct mye_waiter *w, struct mye_episode *e)
{
	int64_t until = e->now_ns + w->sleep_ns;

	if (w->sleep_ns < SLEEP_MAX_NS)
		w->sleep_ns += w->sleep_ns / 2;
	if (until > e->deadline)
		until = e->deadline;
	w->stats.parks++;
	return mye_sleep_until(until) == -EINTR ? MYE_STEP_EINTR : MYE_STEP_POLL;
}

/*
 * More handles than CPUs: whoever spins keeps the others from running. But when messages stream, a
 * sleep costs everybody more (the barrier, the wake, two switches) than giving the CPU away once, after
 * which there is a batch to be read. It is tried and kept while it pays: a yield that brings less than a
 * message per 5 us, because the stream is slow or somebody else had the CPU for long, is followed by
 * 1, 2, 4 .. 1024 waits without.
 */
static bool may_yield(struct mye_waiter *w, struct mye_episode *e)
{
	if (!w->crowded || e->yielded)
		return false;
	if (w->yield_skip) {
		w->yield_skip--;
		return false;
	}
	return true;
}

static void judge_yield(struct mye_waiter *w, const struct mye_episode *e, uint64_t found)
{
	if (!e->parked && (uint64_t)(mye_now() - e->now_ns) <= found * YIELD_NS_EACH) {
		w->yield_backoff = 1;
		return;
	}
	w->yield_skip = w->yield_backoff;
	if (w->yield_backoff < YIELD_BACKOFF_MAX)
		w->yield_backoff *= 2;
}

static enum mye_step adaptive_step(struct mye_waiter *w, struct mye_episode *e,
                                   const struct mye_segment *seg)
{
	recount(w, seg, e->now_ns);
	if (!e->parked && may_yield(w, e)) {
		e->yielded = true;
		e->begun_ns = 0; /* what passes now was not spun */
		w->stats.yields++;
		mye_yield();
		return MYE_STEP_POLL;
	}
	if (!w->crowded && e->now_ns - e->begun_ns < w->cost_ns)
		return MYE_STEP_POLL;
	if (!e->parked) {
		w->stats.spin_ns += (uint64_t)(e->now_ns - e->begun_ns);
		w->stats.futile_spins += e->now_ns > e->begun_ns;
	}
	e->parked = true;
	return MYE_STEP_PARK;
}

enum mye_step mye_episode_step(struct mye_waiter *w, struct mye_episode *e,
                               const struct mye_segment *seg)
{
	e->burst = burst_of(w->strategy);
	if (e->steps++ == 0 && w->first_burst)
		return MYE_STEP_POLL;
	e->now_ns = mye_now();
	if (!e->begun_ns)
		e->begun_ns = e->asked_ns = e->now_ns;
	if (e->now_ns >= e->deadline)
		return MYE_STEP_TIMEOUT;
	if (w->strategy == MYELON_WAIT_PARK) {
		e->parked = true;
		return MYE_STEP_PARK;
	}
	if (w->strategy == MYELON_WAIT_ADAPTIVE)
		return adaptive_step(w, e, seg);
	if (e->now_ns - e->asked_ns >= MYE_ASK_NS) {
		e->asked_ns = e->now_ns;
		return MYE_STEP_ASK;
	}
	if (w->strategy == MYELON_WAIT_YIELD && e->steps > 16)
		mye_yield();
	if (w->strategy == MYELON_WAIT_SLEEP)
		return sleep_step(w, e);
	return MYE_STEP_POLL;
}

void mye_episode_end(struct mye_waiter *w, const struct mye_episode *e, uint64_t found)
{
	if (e->yielded)
		judge_yield(w, e, found);
	w->sleep_ns = SLEEP_FIRST_NS;
	if (w->strategy == MYELON_WAIT_ADAPTIVE && !e->parked && e->begun_ns)
		w->stats.spin_ns += (uint64_t)(e->now_ns - e->begun_ns);
}

/* A wake was seen @p late ns after it was sent, parking took @p entry ns: both together are the price. */
static void learn_cost(struct mye_waiter *w, int64_t entry, int64_t late)
{
	int64_t most = 10 * COST_MAX_NS, sample;

	if (entry < 0 || entry > most || late <= 0 || late > most)
		return;
	sample = entry + late;
	w->cost_ns += (sample - w->cost_ns) / 8;
	if (w->cost_ns < COST_MIN_NS)
		w->cost_ns = COST_MIN_NS;
	if (w->cost_ns > COST_MAX_NS)
		w->cost_ns = COST_MAX_NS;
}

/* @return as mye_futex_wait(); not 0 when it was something else than the bell that ended it. */
static int doze(const struct mye_waiter *w, const uint32_t *bell, uint32_t value, int64_t until)
{
	const struct mye_futex words[] = {
		{.word = bell, .value = value},
		w->watched[0],
		w->watched[1],
	};
	int rc;

	if (w->doze)
		return w->doze(w->doze_ctx, bell, value, until);
	rc = w->watching ? mye_futex_waitv(words, 1 + w->watching, until) : -ENOSYS;

	if (rc == -ENOSYS)
		return mye_futex_wait(bell, value, until);
	if (rc == 0 && __atomic_load_n(bell, __ATOMIC_RELAXED) == value)
		return -EAGAIN;
	return rc;
}

int mye_waiter_park(struct mye_waiter *w, const struct mye_segment *seg, const uint32_t *bell,
                    uint32_t value, const uint64_t *wake_ns, int64_t deadline)
{
	int64_t now = mye_now();
	int64_t cap = now + (w->no_barrier ? MYE_NO_BARRIER_CAP_NS : MYE_CAP_NS);
	int64_t entry = now - w->park_begun_ns;
	int rc;

	w->stats.parks++;
	if (w->parked_word)
		__atomic_store_n(w->parked_word, 1, __ATOMIC_RELAXED);
	rc = doze(w, bell, value, deadline < cap ? deadline : cap);
	if (w->parked_word)
		__atomic_store_n(w->parked_word, 0, __ATOMIC_RELAXED);
	now = mye_now();
	recount(w, seg, now);
	if (rc == 0)
		learn_cost(w, entry,
		           (int64_t)((uint64_t)now - __atomic_load_n(wake_ns, __ATOMIC_RELAXED)));
	if (rc != -ETIMEDOUT || deadline <= cap)
		return rc;
	if (w->no_barrier)
		return 0;
	w->stats.caps++;
	return 1;
}

void mye_raise_bell(uint32_t *bell, uint64_t *wake_ns)
{
	mye_point();
	__atomic_store_n(wake_ns, (uint64_t)mye_now(), __ATOMIC_RELAXED);
	/* Seq_cst: pairs with the acquire load of the bell at the top of each sleeper's loop. */
	__atomic_fetch_add(bell, 1, __ATOMIC_SEQ_CST);
	mye_point();
}

void mye_ring_bell(uint32_t *bell, uint64_t *wake_ns)
{
	mye_raise_bell(bell, wake_ns);
	mye_futex_wake_all(bell);
}
