/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Helper threads: each sleeps on up to 127 words and a control word, and writes the loop's event_fd
 * when one changed. It keeps the value it has told of, so it tells once per change and goes on
 * listening. Words are touched under the lock only, so that a word that was removed is not used.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <myelon/error.h>

#include "base/error.h"
#include "sys/sys.h"
#include "wait/loop_engine.h"

#define WORDS (MYE_FUTEX_WAITV_MAX - 1)
#define LOOK_NS 10000000

struct mye_loop_helper {
	struct mye_loop_helper *next;
	pthread_t thread;
	pthread_mutex_t lock;
	int event_fd;
	uint32_t *poked;  /* of the loop */
	uint32_t control; /* raised with every change of what follows */
	bool stop;
	unsigned int count;
	struct mye_futex word[WORDS]; /* value: what the owner was told of, or knew at the start */
	const struct mye_loop_item *item[WORDS];
};

/* Under the lock: what to sleep on. @return did a word change? */
static bool look(struct mye_loop_helper *h, struct mye_futex *vector, unsigned int *n)
{
	bool changed = false;
	uint32_t value;

	/* relaxed: written under the lock */
	vector[0] = (struct mye_futex){.word = &h->control,
	                               .value = __atomic_load_n(&h->control, __ATOMIC_RELAXED)};
	for (unsigned int i = 0; i < h->count; i++) {
		/* acquire: pairs with the release of whoever raises the word */
		value = __atomic_load_n(h->word[i].word, __ATOMIC_ACQUIRE);
		if (value != h->word[i].value) {
			h->word[i].value = value;
			if (mye_item_is_bell(h->item[i]))
				mye_bell_tell(h->item[i]->fd, h->item[i]->told);
			else
				changed = true;
		}
		vector[1 + i] = h->word[i];
	}
	*n = 1 + h->count;
	return changed;
}

static void tell(struct mye_loop_helper *h)
{
	/* acq_rel: pairs with the exchange of the owner, who looks at the words after it */
	if (!__atomic_exchange_n(h->poked, 1, __ATOMIC_ACQ_REL))
		mye_event_poke(h->event_fd);
}

static void sleep_on(const struct mye_futex *vector, unsigned int n)
{
	int rc = mye_futex_waitv(vector, n, INT64_MAX);

	/* No futex_waitv, or memory of a word is gone: look at all of them now and then. */
	if (rc < 0 && rc != -EAGAIN && rc != -EINTR)
		mye_futex_wait(vector[0].word, vector[0].value, mye_now() + LOOK_NS);
}

static void *run(void *arg)
{
	struct mye_loop_helper *h = arg;
	struct mye_futex vector[MYE_FUTEX_WAITV_MAX];
	unsigned int n;
	bool changed;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		changed = look(h, vector, &n);
		pthread_mutex_unlock(&h->lock);
		if (changed)
			tell(h);
		sleep_on(vector, n);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* Under the lock: have the thread look at what changed here. */
static void raise_control(struct mye_loop_helper *h)
{
	/* relaxed: read under the lock, and by the kernel */
	__atomic_add_fetch(&h->control, 1, __ATOMIC_RELAXED);
	mye_futex_wake_all(&h->control);
}

/* With its first word in it. */
static int start(struct mye_loop *l, struct mye_loop_item *it)
{
	struct mye_loop_helper *h = calloc(1, sizeof(*h));
	int rc = -ENOMEM;

	if (h) {
		pthread_mutex_init(&h->lock, NULL);
		h->event_fd = l->event_fd;
		h->poked = &l->poked;
		h->item[h->count] = it;
		h->word[h->count++] = (struct mye_futex){.word = it->word, .value = it->value};
		rc = mye_thread_start(&h->thread, run, h);
	}
	if (rc < 0) {
		free(h);
		return mye_fail(rc, "no thread to sleep on words: %s", myelon_strerror(rc));
	}
	h->next = l->helpers;
	l->helpers = h;
	it->helper = h;
	return 0;
}

int mye_helpers_add(struct mye_loop *l, struct mye_loop_item *it)
{
	struct mye_loop_helper *h;

	for (h = l->helpers; h; h = h->next) {
		pthread_mutex_lock(&h->lock);
		if (h->count < WORDS) {
			h->item[h->count] = it;
			h->word[h->count++] =
				(struct mye_futex){.word = it->word, .value = it->value};
			raise_control(h);
			it->helper = h;
		}
		pthread_mutex_unlock(&h->lock);
		if (it->helper)
			return 0;
	}
	return start(l, it);
}

void mye_helpers_remove(struct mye_loop_item *it)
{
	struct mye_loop_helper *h = it->helper;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	for (unsigned int i = 0; i < h->count; i++) {
		if (h->item[i] != it)
			continue;
		h->word[i] = h->word[--h->count];
		h->item[i] = h->item[h->count];
		break;
	}
	raise_control(h);
	pthread_mutex_unlock(&h->lock);
	it->helper = NULL;
}

void mye_helpers_close(struct mye_loop *l)
{
	struct mye_loop_helper *h;

	while ((h = l->helpers)) {
		l->helpers = h->next;
		pthread_mutex_lock(&h->lock);
		h->stop = true;
		raise_control(h);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
		pthread_mutex_destroy(&h->lock);
		free(h);
	}
}
