/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/descriptor.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "ring/handover.h"
#include "ring/peer.h"
#include "ring/sleeper.h"
#include "sys/sys.h"
#include "wait/keeper.h"
#include "wait/loop.h"

#define COST_MIN_NS 2000
#define COST_MAX_NS 50000
#define SPIN_BACKOFF_MAX 1024
#define FD_OPTS_FIRST MYE_FIRST_SIZE(myelon_fd_opts, spin_ns)

enum { TAG_BELL = 1, TAG_PEER, TAG_LEASE, TAG_CAP };

static struct mye_entry *entry_of(const struct mye_consumer *c)
{
	return &c->seg.entries[c->index];
}

static uint64_t load_epoch(const struct mye_consumer *c)
{
	/* Acquire: pairs with the release store of a new producer (announce_takeover). */
	return __atomic_load_n(&c->seg.producer->slow.epoch, __ATOMIC_ACQUIRE);
}

/* On the consumer's thread. */

static struct mye_descriptor *descriptor_new(struct mye_consumer *c)
{
	struct mye_descriptor *d = mye_handle_alloc(sizeof(*d));

	if (!d)
		return NULL;
	d->c = c;
	d->fd = d->cap_fd = d->peer_fd = d->watch_fd = d->link.fd = -1;
	d->asleep_at = -1;
	d->cost_ns = COST_MIN_NS;
	d->spin_backoff = 1;
	return d;
}

static bool adopted(const struct mye_descriptor *d)
{
	const struct mye_producer_page *p = d->c->seg.producer;

	/* Acquire: pairs with the release store in adopt.c: the producer holds the descriptor. */
	return __atomic_load_n(&entry_of(d->c)->slow.adopted, __ATOMIC_ACQUIRE) ==
	               MYE_ADOPTED(load_epoch(d->c), d->offer) &&
	       __atomic_load_n(&p->slow.state, __ATOMIC_RELAXED) == MYE_PRODUCER_OPEN;
}

static void unwatch(struct mye_descriptor *d)
{
	if (d->peer_fd >= 0)
		mye_loop_remove(d->loop, TAG_PEER);
	mye_fork_close(d->peer_fd);
	d->peer_fd = -1;
	if (d->lease)
		mye_loop_remove(d->loop, TAG_LEASE);
	d->lease = 0;
}

static void begin_dying(struct mye_descriptor *d)
{
	d->dying_ns = mye_dying_pause(0);
}

/* The lease of a process that cannot be seen. */
static void watch_lease(struct mye_descriptor *d)
{
	struct mye_segment *seg = &d->c->seg;
	uint32_t lease = mye_peer_lease(seg);

	if (mye_lease_state_of(lease) == MYE_LEASE_HELD &&
	    mye_loop_add_word(d->loop, &seg->shared->lease.lease[MYE_LEASE_PRODUCER], TAG_LEASE) ==
	            0)
		d->lease = lease;
	/* Also if that is news since the line above, which the loop took for what the word was. */
	if (mye_lease_look(seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING)
		begin_dying(d);
}

static void watch_with_loop(struct mye_descriptor *d)
{
	struct mye_identity who;

	unwatch(d);
	d->dying_ns = 0;
	mye_identity_read(&who, &d->c->seg.producer->identity);
	d->peer_fd = mye_fork_open_pidfd(&who);
	if (d->peer_fd == -ESRCH)
		begin_dying(d);
	else if (d->peer_fd < 0)
		watch_lease(d);
	if (d->peer_fd >= 0 && mye_loop_add_fd(d->loop, d->peer_fd, EPOLLIN, TAG_PEER) == 0)
		return;
	mye_fork_close(d->peer_fd);
	d->peer_fd = -1;
}

static void close_uring(struct mye_descriptor *d)
{
	mye_loop_close(d->loop);
	mye_fork_close(d->peer_fd);
	mye_fork_close(d->cap_fd);
	d->loop = NULL;
	d->peer_fd = d->cap_fd = -1;
	d->lease = 0;
	d->dying_ns = 0;
}

static int open_uring(struct mye_descriptor *d)
{
	int rc = mye_loop_open_on(&d->loop, d->fd);

	if (rc < 0)
		return rc;
	rc = mye_loop_add_word(d->loop, mye_consumer_bell(d->c), TAG_BELL);
	if (rc == 0) {
		mye_fork_enter();
		rc = d->cap_fd = mye_fork_keep(mye_timerfd_create());
		mye_fork_leave();
	}
	if (rc >= 0)
		rc = mye_loop_add_fd(d->loop, d->cap_fd, EPOLLIN, TAG_CAP);
	if (rc == 0)
		rc = mye_timerfd_set(d->cap_fd, mye_now() + MYE_CAP_NS, MYE_CAP_NS);
	if (rc < 0)
		close_uring(d);
	return rc;
}

/* The number is seen by the producer only behind the descriptor it belongs to. */
static void offer(struct mye_descriptor *d)
{
	struct mye_entry *e = entry_of(d->c);

	d->offer = __atomic_load_n(&e->slow.offer, __ATOMIC_RELAXED) + 1;
	if (d->offer == 0)
		d->offer = 1;
	__atomic_store_n(&e->slow.wake_fd, d->fd, __ATOMIC_RELAXED);
	/* Release: pairs with the producer's acquire load (adopt.c). */
	__atomic_store_n(&e->slow.offer, d->offer, __ATOMIC_RELEASE);
}

static int open_proxy(struct mye_descriptor *d)
{
	int rc = mye_keeper_hold();

	if (rc < 0)
		return rc;
	rc = mye_keeper_call(mye_proxy_begin, d);
	if (rc < 0)
		mye_keeper_drop();
	else if (d->engine == MYELON_ENGINE_DIRECT)
		offer(d);
	return rc;
}

static int open_event(struct mye_descriptor *d)
{
	mye_fork_enter();
	d->fd = mye_fork_keep(mye_event_open());
	mye_fork_leave();
	if (d->fd < 0)
		return mye_fail(d->fd, "no descriptor for consumer %s: %s", d->c->id,
		                myelon_strerror(d->fd));
	return 0;
}

static int choose(struct mye_descriptor *d, enum myelon_engine engine)
{
	int rc = open_event(d);

	if (rc < 0)
		return rc;
	if (engine == MYELON_ENGINE_AUTO || engine == MYELON_ENGINE_URING) {
		rc = open_uring(d);
		d->engine = MYELON_ENGINE_URING;
		if (rc == 0)
			return 0;
	}
	if (engine != MYELON_ENGINE_URING) {
		d->engine =
			engine == MYELON_ENGINE_PROXY ? MYELON_ENGINE_PROXY : MYELON_ENGINE_DIRECT;
		rc = open_proxy(d);
	}
	if (rc < 0)
		mye_fork_close(d->fd);
	return rc;
}

/* @p own: with the engine that the environment says, if the user leaves it open. */
static int read_opts(const struct myelon_fd_opts *user, struct myelon_fd_opts *own)
{
	int rc = mye_opts_read(own, sizeof(*own), FD_OPTS_FIRST, user, "descriptor options");

	if (rc < 0)
		return rc;
	if (!myelon_engine_name((enum myelon_engine)own->engine))
		return mye_fail(-EINVAL, "engine %u is unknown", own->engine);
	rc = own->engine ? (int)own->engine : mye_engine_from_env();
	if (rc >= 0)
		own->engine = (uint32_t)rc;
	return rc < 0 ? rc : 0;
}

/* While messages stream an arm is over before it was paid for: then look as long as it would cost. */
static int look_for_a_while(struct mye_descriptor *d)
{
	const struct mye_consumer *c = d->c;
	/* Unsigned: the waker's time stamp may be of another clock, or anything. */
	int64_t until,
		woken = (int64_t)(__atomic_load_n(&c->seg.shared->bell.wake_ns, __ATOMIC_RELAXED) -
	                          (uint64_t)d->armed_ns);

	if (c->waiter.cpus < 2 || d->spin_ns < 0)
		return 0;
	if (!d->spin_ns && !d->premature && (woken <= 0 || woken > d->cost_ns))
		return 0;
	if (!d->spin_ns && d->spin_skip) {
		d->spin_skip--;
		return 0;
	}
	until = myelon_deadline_after(d->spin_ns ? d->spin_ns : d->cost_ns);
	do {
		for (int i = 0; i < 16; i++) {
			int rc = mye_consumer_look(d->c, false);

			if (rc) {
				d->spin_backoff = 1;
				return rc;
			}
			myelon_relax();
		}
	} while (mye_now() < until);
	d->premature = false;
	d->spin_skip = d->spin_backoff;
	if (d->spin_backoff < SPIN_BACKOFF_MAX)
		d->spin_backoff *= 2;
	return 0;
}

/* The lease changed: the producer is dying, or it left, or there is another. */
static void lease_changed(struct mye_descriptor *d)
{
	struct mye_segment *seg = &d->c->seg;

	mye_lease_pass_on(seg, MYE_LEASE_PRODUCER, d->lease);
	unwatch(d);
	if (mye_lease_look(seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING)
		begin_dying(d);
}

/* The timer: a second went by, or the pause of a dying producer. */
static void at_cap(struct mye_descriptor *d)
{
	bool hurried = d->hurried;

	mye_timerfd_clear(d->cap_fd);
	d->hurried = false;
	if (d->denied || hurried)
		return;
	d->caps++;
	d->caps_found +=
		d->asleep_at >= 0 && d->c->hot.next != d->asleep_at && mye_descriptor_unheard(d);
}

/* Not readable any more, until something new happens. @return whether to ask for the producer's lock. */
static bool clear(struct mye_descriptor *d)
{
	bool ask = __atomic_load_n(&d->ask, __ATOMIC_RELAXED) &&
	           __atomic_exchange_n(&d->ask, 0, __ATOMIC_RELAXED);
	struct mye_loop_event events[4];
	int n;

	if (!d->loop) {
		mye_event_drain(d->fd);
		return ask;
	}
	n = mye_loop_sleep(d->loop, MYELON_TRY, events, 4);
	if (n < 0 && n != -EINTR)
		close_uring(d);
	for (int i = 0; i < n; i++) {
		if (events[i].tag == TAG_PEER) {
			unwatch(d);
			begin_dying(d);
		} else if (events[i].tag == TAG_LEASE) {
			lease_changed(d);
		} else if (events[i].tag == TAG_CAP) {
			at_cap(d);
			ask = true;
		}
	}
	return ask;
}

/* A new producer: another process to watch. */
static void follow(struct mye_descriptor *d)
{
	uint64_t epoch = load_epoch(d->c);

	if (d->watched && epoch == d->watched_epoch)
		return;
	if (d->loop)
		watch_with_loop(d);
	else if (d->watched)
		mye_keeper_call(mye_proxy_watch, d);
	d->watched = true;
	d->watched_epoch = epoch;
}

/* The flags of our announcement. A refused offer is handed over by socket, once per epoch. */
static uint32_t flags_of(struct mye_descriptor *d)
{
	struct mye_entry *e = entry_of(d->c);
	uint64_t epoch, refused;

	if (d->engine != MYELON_ENGINE_DIRECT)
		return MYE_PARKED_FUTEX;
	epoch = load_epoch(d->c);
	refused = MYE_ADOPTED(epoch, d->offer) | MYE_ADOPTED_REFUSED;
	if (d->refused_epoch != epoch &&
	    __atomic_load_n(&e->slow.adopted, __ATOMIC_RELAXED) == refused) {
		d->refused_epoch = epoch;
		mye_keeper_call(mye_proxy_hand_over, d);
	}
	/* Ordered before the flag by its seq_cst or: who takes the flag finds the mark. */
	__atomic_store_n(&e->slow.armed, 1, __ATOMIC_RELAXED);
	return MYE_PARKED_FD | (adopted(d) ? 0 : MYE_PARKED_FUTEX);
}

/* The heavy side has no barrier: nobody may rely on being woken. */
static void no_barrier(struct mye_descriptor *d)
{
	if (d->denied)
		return;
	__atomic_store_n(&d->denied, 1, __ATOMIC_RELAXED);
	if (d->loop)
		mye_timerfd_set(d->cap_fd, mye_now() + MYE_NO_BARRIER_CAP_NS,
		                MYE_NO_BARRIER_CAP_NS);
	else
		mye_keeper_call(mye_proxy_shorten_cap, d);
}

static void learn_cost(struct mye_descriptor *d, int64_t begun)
{
	int64_t cost;

	d->armed_ns = mye_now();
	cost = d->cost_ns + (2 * (d->armed_ns - begun) - d->cost_ns) / 8;
	d->cost_ns = cost < COST_MIN_NS ? COST_MIN_NS : cost > COST_MAX_NS ? COST_MAX_NS : cost;
}

/* io_uring was denied meanwhile, by a filter that came later: go on as if it had been before. */
static void without_uring(struct mye_descriptor *d)
{
	if (d->loop || d->engine != MYELON_ENGINE_URING)
		return;
	d->engine = MYELON_ENGINE_DIRECT;
	if (open_proxy(d) < 0)
		d->engine = MYELON_ENGINE_URING;
	__atomic_store_n(&entry_of(d->c)->slow.engine, d->engine, __ATOMIC_RELAXED);
	d->watched = d->engine == MYELON_ENGINE_DIRECT;
	d->watched_epoch = load_epoch(d->c);
}

/* Dying, and its lock is still held: come again soon, and the timer makes it readable then. */
static void ask_again(struct mye_descriptor *d)
{
	mye_timerfd_set(d->cap_fd, mye_now() + d->dying_ns, MYE_CAP_NS);
	d->dying_ns = mye_dying_pause(d->dying_ns);
	d->hurried = true;
}

int mye_descriptor_arm(struct mye_consumer *c)
{
	struct mye_descriptor *d = c->descriptor;
	int64_t begun;
	uint32_t bell;
	bool ask;
	int rc = look_for_a_while(d);

	if (rc)
		return rc;
	begun = mye_now();
	ask = clear(d);
	without_uring(d);
	follow(d);
	if (d->loop)
		mye_loop_listen(d->loop);
	bell = __atomic_load_n(mye_consumer_bell(c), __ATOMIC_RELAXED);
	mye_consumer_announce(c, flags_of(d));
	if (!mye_sleepers_barrier(mye_consumer_full_fence(c)))
		no_barrier(d);
	rc = mye_consumer_look(c, ask || d->dying_ns);
	if (rc == 0 && d->dying_ns && !d->denied)
		ask_again(d);
	if (d->loop && mye_loop_arm(d->loop) < 0)
		close_uring(d);
	/* Denied just now, or nothing else is to be had: come again, and we do, too. */
	if (!d->loop && d->engine == MYELON_ENGINE_URING)
		mye_event_poke(d->fd);
	if (rc > 0) {
		/* There is something, and it was cleared; and the next publish pays for a wake in vain. */
		d->premature = true;
		__atomic_store_n(&d->asleep_at, -1, __ATOMIC_RELAXED);
		mye_event_poke(d->fd);
		return rc;
	}
	__atomic_store_n(&d->asleep_bell, bell, __ATOMIC_RELAXED);
	__atomic_store_n(&d->asleep_at, c->hot.next, __ATOMIC_RELAXED);
	c->waiter.stats.parks++;
	learn_cost(d, begun);
	return rc;
}

void mye_descriptor_again(const struct mye_consumer *c)
{
	if (c->descriptor)
		mye_event_poke(c->descriptor->fd);
}

void mye_descriptor_count(const struct mye_consumer *c, struct myelon_handle_stats *stats)
{
	const struct mye_descriptor *d = c->descriptor;

	if (!d)
		return;
	stats->caps += __atomic_load_n(&d->caps, __ATOMIC_RELAXED);
	stats->caps_found += __atomic_load_n(&d->caps_found, __ATOMIC_RELAXED);
}

void mye_descriptor_close(struct mye_consumer *c)
{
	struct mye_descriptor *d = c->descriptor;

	if (!d)
		return;
	__atomic_store_n(&entry_of(c)->slow.armed, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&entry_of(c)->slow.engine, MYELON_ENGINE_AUTO, __ATOMIC_RELAXED);
	if (d->loop) {
		close_uring(d);
	} else if (d->engine != MYELON_ENGINE_URING) {
		mye_keeper_call(mye_proxy_end, d);
		mye_keeper_drop();
	}
	mye_fork_close(d->fd);
	c->descriptor = NULL;
	mye_handle_free(d, sizeof(*d));
}

int myelon_consumer_fd(struct myelon_consumer *hot, const struct myelon_fd_opts *user)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	struct myelon_fd_opts opts;
	struct mye_descriptor *d;
	int rc;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("fd");
	if (c->descriptor)
		return c->descriptor->fd;
	rc = read_opts(user, &opts);
	if (rc < 0)
		return rc;
	d = descriptor_new(c);
	if (!d)
		return -ENOMEM;
	d->spin_ns = opts.spin_ns;
	rc = choose(d, (enum myelon_engine)opts.engine);
	if (rc < 0) {
		mye_handle_free(d, sizeof(*d));
		return rc;
	}
	c->descriptor = d;
	__atomic_store_n(&entry_of(c)->slow.engine, d->engine, __ATOMIC_RELAXED);
	__atomic_store_n(&entry_of(c)->slow.wait, MYELON_WAIT_FD, __ATOMIC_RELAXED);
	/* What is there already, or will be before the first call that finds nothing. */
	if (mye_descriptor_arm(c) < 0)
		mye_event_poke(d->fd);
	return d->fd;
}

enum myelon_engine myelon_consumer_fd_engine(const struct myelon_consumer *hot)
{
	const struct mye_consumer *c = (const struct mye_consumer *)(const void *)hot;

	if (c->magic != MYE_CONSUMER_MAGIC || !c->descriptor)
		return MYELON_ENGINE_AUTO;
	if (c->descriptor->engine == MYELON_ENGINE_DIRECT && !adopted(c->descriptor))
		return MYELON_ENGINE_PROXY;
	return c->descriptor->engine;
}
