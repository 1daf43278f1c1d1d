/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A loop that moves between threads, raised words, wakes, and items that come and go meanwhile. */
#include "race.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/sys.h"
#include "wait/loop.h"

#define WORDS 4
#define PASSING_BY 4 /* a tag and a word that are added and removed */

struct table {
	struct mye_loop *l;
	uint32_t word[WORDS + 1];
	uint32_t seen[WORDS + 1]; /* what the owner has seen of each word */
	uint32_t raised[WORDS];
	int fd;
	long total;
	int done;
};

static void ring(uint32_t *word)
{
	/* release: pairs with the acquire of the loop */
	__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
	mye_futex_wake_all(word);
}

/* Raises each word when the owner has seen the last, so that it gets every one or hangs. */
static void *ring_run(void *arg)
{
	struct table *t = arg;
	uint64_t random = 1;

	for (long i = 0; i < t->total && !race_failed(); i++) {
		uint32_t which = race_random(&random) % WORDS, value = ++t->raised[which];
		int64_t deadline = kit_deadline(20);

		ring(&t->word[which]);
		if (race_random(&random) % 8 == 0)
			mye_loop_wake(t->l);
		if (race_random(&random) % 8 == 0)
			eventfd_write(t->fd, 1);
		if (race_random(&random) % 8 == 0)
			ring(&t->word[PASSING_BY]);
		while (__atomic_load_n(&t->seen[which], __ATOMIC_ACQUIRE) != value &&
		       !race_failed()) {
			if (kit_now_ns() > deadline)
				race_fail("word %u: %u was not seen", which, value);
			sched_yield();
		}
	}
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	mye_loop_wake(t->l);
	return NULL;
}

static void note(struct table *t, const struct mye_loop_event *e)
{
	if (e->tag == 9) {
		eventfd_read(t->fd, &(eventfd_t){0});
		return;
	}
	if (e->tag > PASSING_BY) {
		race_fail("tag %llu is nobody's", (unsigned long long)e->tag);
		return;
	}
	__atomic_store_n(&t->seen[e->tag], __atomic_load_n(&t->word[e->tag], __ATOMIC_ACQUIRE),
	                 __ATOMIC_RELEASE);
}

/* Owns the loop for some sleeps. */
static void *own_run(void *arg)
{
	struct table *t = arg;
	struct mye_loop_event e[2];

	for (int i = 0; i < 20 && !__atomic_load_n(&t->done, __ATOMIC_ACQUIRE); i++) {
		int n;

		if (i % 4 == 0)
			RACE_OK(mye_loop_add_word(t->l, &t->word[PASSING_BY], PASSING_BY));
		RACE_OK(mye_loop_listen(t->l));
		if (i % 2 && mye_loop_fd(t->l) >= 0) {
			struct pollfd p = {.fd = mye_loop_fd(t->l), .events = POLLIN};

			RACE_OK(mye_loop_arm(t->l));
			poll(&p, 1, 1000);
		}
		n = mye_loop_sleep(t->l, myelon_deadline_after(1000000000), e, 2);
		if (n < 0 && n != -EINTR)
			race_fail("sleep: %d, %s", n, myelon_last_error());
		for (int k = 0; k < n; k++)
			note(t, &e[k]);
		if (i % 4 == 3 || __atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
			mye_loop_remove(t->l, PASSING_BY);
	}
	mye_loop_remove(t->l, PASSING_BY);
	return NULL;
}

static void play(enum myelon_engine engine, uint32_t flags, bool with_fd)
{
	struct table t = {.total = race_count(10000, 1000)};
	pthread_t ringer, owner;

	t.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (RACE_OK(mye_loop_open(&t.l, engine, flags)) < 0)
		return;
	for (uint64_t i = 0; i < WORDS; i++)
		RACE_OK(mye_loop_add_word(t.l, &t.word[i], i));
	if (with_fd)
		RACE_OK(mye_loop_add_fd(t.l, t.fd, EPOLLIN, 9));
	race_start(&ringer, ring_run, &t);
	while (!__atomic_load_n(&t.done, __ATOMIC_ACQUIRE)) {
		race_start(&owner, own_run, &t);
		race_join(owner);
		own_run(&t);
	}
	race_join(ringer);
	mye_loop_close(t.l);
	close(t.fd);
}

static void play_all(enum myelon_engine engine)
{
	play(engine, 0, false);
	play(engine, 0, true);
	play(engine, MYE_LOOP_POLLABLE, false);
	play(engine, MYE_LOOP_POLLABLE, true);
}

int main(void)
{
	struct mye_loop *l;

	race_watchdog(50);
	play_all(MYELON_ENGINE_EPOLL);
	if (mye_loop_open(&l, MYELON_ENGINE_URING, 0) < 0) {
		kit_skip_plain("uring", myelon_last_error());
		return race_result();
	}
	mye_loop_close(l);
	play_all(MYELON_ENGINE_URING);
	return race_result();
}
