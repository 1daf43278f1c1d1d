/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/adopt.h"

#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/handle.h"
#include "ring/handover.h"
#include "sys/sys.h"
#include "wait/keeper.h"

struct adopted {
	int fd;         /* -1: none */
	uint32_t offer; /* answered last */
	bool refused;   /* ... but it was not told yet */
};

struct mye_adoption {
	pthread_mutex_t lock; /* of the table: the publisher writes, the keeper changes it */
	size_t bytes;
	const struct mye_segment *seg;
	uint64_t epoch;
	bool served; /* it was tried to have a server */
	struct mye_handover_server *server;
	uint32_t count;
	struct adopted of[];
};

static struct mye_adoption *adoption_new(const struct mye_segment *seg)
{
	uint32_t count = seg->header.max_consumers;
	size_t bytes = sizeof(struct mye_adoption) + count * sizeof(struct adopted);
	struct mye_adoption *a = mye_handle_alloc(bytes);

	if (!a)
		return NULL;
	pthread_mutex_init(&a->lock, NULL);
	a->bytes = bytes;
	a->seg = seg;
	a->epoch = __atomic_load_n(&seg->producer->slow.epoch, __ATOMIC_RELAXED);
	a->count = count;
	for (uint32_t i = 0; i < count; i++)
		a->of[i].fd = -1;
	return a;
}

/* With the lock held. */
static void forget(struct adopted *own)
{
	if (own->fd < 0)
		return;
	mye_fork_close(own->fd);
	own->fd = -1;
	__atomic_fetch_sub(&mye_keeper_counts()->adopted, 1, __ATOMIC_RELAXED);
}

static void answer(struct mye_adoption *a, uint32_t index, uint32_t offer, bool refused)
{
	uint64_t word = MYE_ADOPTED(a->epoch, offer) | (refused ? MYE_ADOPTED_REFUSED : 0);

	a->of[index].offer = offer;
	mye_point();
	/* Release: pairs with the consumer's acquire load; from here on it relies on us. */
	__atomic_store_n(&a->seg->entries[index].slow.adopted, word, __ATOMIC_RELEASE);
	mye_point();
}

static void keep(struct mye_adoption *a, uint32_t index, uint32_t offer, int fd)
{
	forget(&a->of[index]);
	a->of[index].fd = fd;
	__atomic_fetch_add(&mye_keeper_counts()->adopted, 1, __ATOMIC_RELAXED);
	answer(a, index, offer, false);
}

/*
 * Take the descriptor out of the consumer's process. The entry is written by others: the process must
 * be of the ring's owner or ours, and what it names must be an eventfd, or a stray number would make
 * us write into whatever it is. Named our own process, it must be a descriptor of a handle, or the application's
 * own eventfds would be written.
 */
static int take(const struct mye_adoption *a, const struct mye_entry *e)
{
	struct mye_identity who;
	int number = __atomic_load_n(&e->slow.wake_fd, __ATOMIC_RELAXED);
	int pidfd, fd;
	uint32_t uid;

	mye_identity_read(&who, &e->about.who);
	if (number < 0 || (who.pid == mye_pid() && !mye_fork_keeps(number)))
		return -EBADF;
	pidfd = mye_pidfd_of(&who);
	if (pidfd < 0)
		return pidfd;
	if (mye_uid_of(who.pid, &uid) < 0 || (uid != a->seg->owner && uid != mye_euid())) {
		mye_close(pidfd);
		return -EPERM;
	}
	mye_fork_enter();
	fd = mye_fork_keep(mye_pidfd_take(pidfd, number));
	mye_fork_leave();
	mye_close(pidfd);
	if (fd >= 0 && !mye_is_eventfd(fd)) {
		mye_fork_close(fd);
		return -EBADF;
	}
	return fd;
}

/* One entry that was armed. @return whether its descriptor was written. */
static bool wake_one(struct mye_adoption *a, uint32_t index)
{
	struct mye_entry *e = &a->seg->entries[index];
	struct adopted *own = &a->of[index];
	/* Acquire: pairs with the release store of the offer, behind wake_fd. */
	uint32_t offer = __atomic_load_n(&e->slow.offer, __ATOMIC_ACQUIRE);
	int fd;

	if (own->offer != offer) {
		forget(own);
		if (MYE_STATE_OF(__atomic_load_n(&e->slow.state, __ATOMIC_RELAXED)) !=
		    MYE_ENTRY_ACTIVE)
			return false;
		fd = take(a, e);
		own->offer = offer;
		own->refused = fd < 0;
		if (fd >= 0)
			keep(a, index, offer, fd);
	}
	if (own->fd < 0)
		return false;
	mye_event_poke(own->fd);
	return true;
}

/*
 * A refused offer can still be handed over, so somebody must listen before it is told. Not with the lock
 * held: the keeper may wait for it.
 */
static void tell_refused(struct mye_adoption *a, struct mye_producer *p)
{
	if (!a->served && mye_handover_serve(&a->server, a, &p->seg) < 0)
		mye_warn("ring %s: no socket for descriptors of consumers: %s; they are woken by "
		         "their keepers",
		         p->seg.place.name, myelon_last_error());
	a->served = true;
	pthread_mutex_lock(&a->lock);
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->of[i].refused)
			answer(a, i, a->of[i].offer, true);
		a->of[i].refused = false;
	}
	pthread_mutex_unlock(&a->lock);
}

bool mye_adopted_wake(struct mye_producer *p)
{
	struct mye_adoption *a = p->adoption;
	bool unheard = false, refused = false;

	if (!a)
		a = p->adoption = adoption_new(&p->seg);
	if (!a)
		return true;
	pthread_mutex_lock(&a->lock);
	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t *armed = &p->seg.entries[i].slow.armed;

		if (!__atomic_load_n(armed, __ATOMIC_RELAXED))
			continue;
		/* Acq_rel: pairs with the seq_cst or behind the consumer's mark; each is answered once. */
		if (!__atomic_exchange_n(armed, 0, __ATOMIC_ACQ_REL))
			continue;
		unheard |= !wake_one(a, i);
		refused |= a->of[i].refused;
	}
	pthread_mutex_unlock(&a->lock);
	if (refused)
		tell_refused(a, p);
	return unheard;
}

int mye_adopt(struct mye_adoption *a, uint32_t index, uint32_t offer, int fd)
{
	const struct mye_entry *e;
	int rc = -EINVAL;

	pthread_mutex_lock(&a->lock);
	e = &a->seg->entries[index < a->count ? index : 0];
	if (index < a->count && offer &&
	    /* Acquire: pairs with the release store of the offer. */
	    __atomic_load_n(&e->slow.offer, __ATOMIC_ACQUIRE) == offer &&
	    MYE_STATE_OF(__atomic_load_n(&e->slow.state, __ATOMIC_RELAXED)) == MYE_ENTRY_ACTIVE &&
	    mye_is_eventfd(fd)) {
		keep(a, index, offer, fd);
		rc = 0;
	}
	pthread_mutex_unlock(&a->lock);
	if (rc)
		mye_fork_close(fd);
	return rc;
}

void mye_adopted_drop(struct mye_adoption *a, uint32_t index, uint32_t offer)
{
	pthread_mutex_lock(&a->lock);
	if (index < a->count && a->of[index].offer == offer)
		forget(&a->of[index]);
	pthread_mutex_unlock(&a->lock);
}

void mye_adoption_close(struct mye_producer *p)
{
	struct mye_adoption *a = p->adoption;

	if (!a)
		return;
	mye_handover_stop(a->server);
	pthread_mutex_lock(&a->lock);
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->of[i].fd >= 0)
			mye_event_poke(a->of[i].fd);
		forget(&a->of[i]);
	}
	pthread_mutex_unlock(&a->lock);
	p->adoption = NULL;
	mye_handle_free(a, a->bytes);
}
