/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A loop, whatever its engine: items and tags, descriptors, wakes, and the change of engine. */
#include "wait/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <myelon/error.h>

#include "base/error.h"
#include "base/handle.h"
#include "sys/sys.h"
#include "wait/loop_engine.h"

#define MAGIC 0x706f6f6c65796dull
#define TAG_END (1ull << 48)
#define EVENTS                                                                                     \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP |             \
	            EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | EPOLLWRBAND | EPOLLMSG))

int mye_engine_from_env(void)
{
	const char *name = mye_env("MYELON_ENGINE");
	int engine = name ? myelon_engine_parse(name) : MYELON_ENGINE_AUTO;

	if (engine < 0)
		return mye_fail(-EINVAL,
		                "MYELON_ENGINE is '%.40s': use auto, uring, epoll, direct or proxy",
		                name);
	return engine;
}

static bool is_open(const struct mye_loop *l)
{
	return l->magic == MAGIC;
}

static int not_open(void)
{
	return mye_fail_static(-EPERM,
	                       "a loop that was opened before a fork belongs to the parent");
}

static int open_engine(struct mye_loop *l, enum myelon_engine engine)
{
	int rc;

	if (engine != MYELON_ENGINE_EPOLL) {
		rc = mye_loop_uring_open(l);
		if (rc == 0 || engine == MYELON_ENGINE_URING)
			return rc;
	}
	return mye_loop_epoll_open(l);
}

int mye_loop_open(struct mye_loop **out, enum myelon_engine engine, uint32_t flags)
{
	struct mye_loop *l;
	int rc = 0;

	if (engine != MYELON_ENGINE_AUTO && engine != MYELON_ENGINE_URING &&
	    engine != MYELON_ENGINE_EPOLL)
		return mye_fail(-EINVAL, "engine %d is none of a loop: use auto, uring or epoll",
		                (int)engine);
	l = mye_handle_alloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->flags = flags;
	l->epoll_fd = l->event_fd = -1;
	if (flags & MYE_LOOP_POLLABLE)
		rc = mye_loop_set_open(l);
	if (rc == 0)
		rc = open_engine(l, engine);
	l->magic = MAGIC;
	if (rc < 0) {
		mye_loop_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

int mye_loop_open_on(struct mye_loop **out, int event_fd)
{
	struct mye_loop *l = mye_handle_alloc(sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	l->flags = MYE_LOOP_POLLABLE | MYE_LOOP_GIVEN;
	l->epoll_fd = -1;
	l->event_fd = event_fd;
	rc = mye_loop_uring_open(l);
	l->magic = MAGIC;
	if (rc < 0) {
		mye_loop_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

void mye_loop_close(struct mye_loop *l)
{
	if (!l)
		return;
	if (is_open(l)) {
		l->magic = 0;
		mye_loop_uring_close(l);
		mye_loop_epoll_close(l);
		mye_fork_close(l->epoll_fd);
		if (!(l->flags & MYE_LOOP_GIVEN))
			mye_fork_close(l->event_fd);
		for (uint32_t i = 0; i < l->items; i++)
			free(l->item[i]);
		free(l->item);
	}
	mye_handle_free(l, sizeof(*l));
}

enum myelon_engine mye_loop_engine(const struct mye_loop *l)
{
	return l->engine;
}

/* The kernel takes the ring away from us: everything goes on with epoll, behind the same descriptor. */
static int give_up_uring(struct mye_loop *l)
{
	mye_loop_uring_close(l);
	if (l->flags & MYE_LOOP_GIVEN)
		return mye_fail_static(-ENOTSUP, "io_uring was denied meanwhile");
	return mye_loop_epoll_open(l);
}

static struct mye_loop_item *find(struct mye_loop *l, uint64_t tag)
{
	for (uint32_t i = 0; i < l->items; i++)
		if (l->item[i] && l->item[i]->tag == tag)
			return l->item[i];
	return NULL;
}

static bool has_fd(struct mye_loop *l, int fd)
{
	for (uint32_t i = 0; i < l->items; i++)
		if (l->item[i] && !l->item[i]->word && l->item[i]->fd == fd)
			return true;
	return false;
}

static int free_slot(struct mye_loop *l, uint32_t *slot)
{
	struct mye_loop_item **more;
	uint32_t n = l->items ? 2 * l->items : 16;

	for (*slot = 0; *slot < l->items; ++*slot)
		if (!l->item[*slot])
			return 0;
	more = realloc(l->item, n * sizeof(struct mye_loop_item *));
	if (!more)
		return -ENOMEM;
	memset(more + l->items, 0, (n - l->items) * sizeof(struct mye_loop_item *));
	l->item = more;
	l->items = n;
	return 0;
}

static uint32_t *count_of(struct mye_loop *l, const struct mye_loop_item *it)
{
	return it->word ? &l->words : &l->fds;
}

static void forget(struct mye_loop *l, struct mye_loop_item *it)
{
	l->item[it->slot] = NULL;
	--*count_of(l, it);
	free(it);
}

static int engine_add(struct mye_loop *l, struct mye_loop_item *it)
{
	return l->engine == MYELON_ENGINE_URING ? mye_loop_uring_add(l, it)
	                                        : mye_loop_epoll_add(l, it);
}

/* @p model: what the item is to be. */
static int add(struct mye_loop *l, const struct mye_loop_item *model)
{
	struct mye_loop_item *it;
	uint32_t slot;
	int rc = 0;

	if (model->tag >= TAG_END)
		return mye_fail(-EINVAL, "tag %llu is not below 2^48",
		                (unsigned long long)model->tag);
	if (find(l, model->tag))
		return mye_fail(-EEXIST, "tag %llu is in use in this loop",
		                (unsigned long long)model->tag);
	it = malloc(sizeof(*it));
	if (!it || free_slot(l, &slot) < 0) {
		free(it);
		return mye_fail(-ENOMEM, "no memory for one more thing to wait for");
	}
	*it = *model;
	it->slot = slot;
	l->item[slot] = it;
	++*count_of(l, it);
	rc = engine_add(l, it);
	if (rc < 0)
		forget(l, it);
	return rc;
}

int mye_loop_add_word(struct mye_loop *l, const uint32_t *word, uint64_t tag)
{
	struct mye_loop_item model = {.word = word, .tag = tag, .fd = -1};

	if (!is_open(l))
		return not_open();
	/* acquire: pairs with the release of whoever raises the word */
	model.value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	return add(l, &model);
}

int mye_loop_add_bell(struct mye_loop *l, const uint32_t *word, int eventfd, uint64_t *told,
                      uint64_t tag)
{
	struct mye_loop_item model = {.word = word, .tag = tag, .fd = eventfd, .told = told};

	if (!is_open(l))
		return not_open();
	/* acquire: pairs with the release of whoever raises the word */
	model.value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	return add(l, &model);
}

int mye_loop_add_fd(struct mye_loop *l, int fd, uint32_t events, uint64_t tag)
{
	struct mye_loop_item model = {.fd = fd, .events = events, .tag = tag};
	struct stat st;

	if (!is_open(l))
		return not_open();
	if (events & ~EVENTS)
		return mye_fail(-EINVAL, "events 0x%x of a descriptor: only level-triggered ones",
		                events);
	if (mye_fstat(fd, &st) < 0)
		return mye_fail(-EBADF, "descriptor %d is not open", fd);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return mye_fail(-EPERM, "descriptor %d is a file, which is always ready", fd);
	if (has_fd(l, fd))
		return mye_fail(-EEXIST, "descriptor %d is waited for in this loop already", fd);
	return add(l, &model);
}

static int no_tag(uint64_t tag)
{
	return mye_fail(-ENOENT, "tag %llu is not in this loop", (unsigned long long)tag);
}

/* After it the kernel and the engine know nothing of the item. */
static int withdraw(struct mye_loop *l, struct mye_loop_item *it)
{
	int rc;

	if (l->engine == MYELON_ENGINE_URING) {
		rc = mye_loop_uring_remove(l, it);
		if (rc != MYE_LOOP_GIVE_UP)
			return rc;
		/* Not to be taken along. */
		it->state = MYE_ITEM_IDLE;
		l->item[it->slot] = NULL;
		rc = give_up_uring(l);
		l->item[it->slot] = it;
		return rc;
	}
	mye_loop_epoll_remove(l, it);
	return 0;
}

int mye_loop_change_fd(struct mye_loop *l, uint64_t tag, uint32_t events)
{
	struct mye_loop_item *it;
	int rc;

	if (!is_open(l))
		return not_open();
	it = find(l, tag);
	if (!it || it->word)
		return no_tag(tag);
	if (events & ~EVENTS)
		return mye_fail(-EINVAL, "events 0x%x of a descriptor: only level-triggered ones",
		                events);
	it->events = events;
	if (it->in_set)
		return mye_loop_set_change(l, it);
	rc = withdraw(l, it);
	return rc < 0 ? rc : engine_add(l, it);
}

int mye_loop_remove(struct mye_loop *l, uint64_t tag)
{
	struct mye_loop_item *it;
	int rc;

	if (!is_open(l))
		return not_open();
	it = find(l, tag);
	if (!it)
		return no_tag(tag);
	rc = withdraw(l, it);
	forget(l, it);
	return rc;
}

/*
 * Nothing to do: the value that counts is the one loaded when the word was last reported (or added),
 * which is older than any loaded here. So whatever changes after this call ends the next sleep, and
 * so does, once, what changed between the report and this call: nothing is dropped.
 *
 * uring: a request that is not in the kernel yet is handed over with that value, and the kernel
 * compares. One that is there ends with the first FUTEX_WAKE after its submission, whatever the
 * value. If that wake came before this call, its completion was not reaped yet, and ends the sleep too.
 * epoll: the owner (or a helper, with a value that was the word's not before the owner's) compares.
 */
int mye_loop_listen(struct mye_loop *l)
{
	return is_open(l) ? 0 : not_open();
}

int mye_loop_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events, int max)
{
	int rc;

	if (!is_open(l))
		return not_open();
	if (max < 1)
		return mye_fail(-EINVAL, "room for %d events is none", max);
	if (l->engine == MYELON_ENGINE_URING) {
		rc = mye_loop_uring_sleep(l, deadline, events, max);
		if (rc != MYE_LOOP_GIVE_UP)
			return rc;
		rc = give_up_uring(l);
		if (rc < 0)
			return rc;
	}
	return mye_loop_epoll_sleep(l, deadline, events, max);
}

int mye_loop_arm(struct mye_loop *l)
{
	int rc;

	if (!is_open(l))
		return not_open();
	if (l->engine == MYELON_ENGINE_URING) {
		rc = mye_loop_uring_arm(l);
		if (rc != MYE_LOOP_GIVE_UP)
			return rc;
		rc = give_up_uring(l);
		if (rc < 0)
			return rc;
	}
	return mye_loop_epoll_arm(l);
}

int mye_loop_fd(const struct mye_loop *l)
{
	if (!is_open(l))
		return not_open();
	if (!(l->flags & MYE_LOOP_POLLABLE))
		return mye_fail_static(-EINVAL, "the loop was not opened to be polled");
	return l->flags & MYE_LOOP_GIVEN ? l->event_fd : l->epoll_fd;
}

/*
 * The owner sleeps on the word or on event_fd. While it changes from one to the other: it stores
 * event_fd, then loads the word (mye_loop_take_wake()) before it sleeps on event_fd; here the word is
 * raised, then event_fd loaded. All four are seq_cst, so the owner sees the word or we the descriptor.
 */
void mye_loop_wake(struct mye_loop *l)
{
	int fd;

	/* In a forked child there are no descriptors. */
	if (__atomic_load_n(&l->magic, __ATOMIC_RELAXED) != MAGIC)
		return;
	__atomic_add_fetch(&l->wake_word, 1, __ATOMIC_SEQ_CST);
	mye_futex_wake_all(&l->wake_word);
	fd = __atomic_load_n(&l->event_fd, __ATOMIC_SEQ_CST);
	if (fd >= 0)
		mye_event_poke(fd);
}
