/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Inside of a loop (loop.h): its items, and what an engine does.
 *
 * Descriptors of a pollable loop: `epoll_fd` is what others poll, for its whole life, whatever the
 * engine: it holds `event_fd` and the descriptors of the items. uring: the completions of the ring signal `event_fd`. epoll: the helper threads write it.
 */
#ifndef MYE_WAIT_LOOP_ENGINE_H
#define MYE_WAIT_LOOP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sys.h"
#include "wait/loop.h"

struct mye_loop_helper;
struct mye_uring;

enum mye_item_state {
	MYE_ITEM_IDLE = 0, /* epoll: always */
	MYE_ITEM_QUEUED,   /* uring: goes to the kernel with the next sleep or arm; in `queue` */
	MYE_ITEM_PENDING,  /* uring: the kernel has a request of it */
	MYE_ITEM_READY,    /* uring: to be reported; in `ready` */
	MYE_ITEM_BROKEN,   /* uring: reported, and not to be waited for again */
};

struct mye_loop_item {
	struct mye_loop_item *prev, *next; /* of the list it is in */
	uint64_t tag;
	const uint32_t *word;           /* NULL: a descriptor */
	struct mye_loop_helper *helper; /* epoll: who sleeps on the word, if not the owner */
	int fd;              /* of a word: the eventfd to be written, -1: a change is an event */
	uint64_t *told;      /* then: counts */
	uint32_t events;     /* to wait for */
	uint32_t came;       /* READY: what came */
	uint32_t value;      /* of the word when it was added or last reported */
	uint32_t slot;       /* its place in mye_loop.item */
	uint32_t generation; /* of its last request: an older completion is not its own */
	enum mye_item_state state;
	bool in_set;  /* of epoll_fd */
	bool refused; /* READY: the kernel will not take this request again */
};

/* In the order of arrival. */
struct mye_item_list {
	struct mye_loop_item *first, *last;
};

struct mye_loop {
	uint64_t magic; /* 0 in a forked child */
	enum myelon_engine engine;
	uint32_t flags;

	/* Raised by wakes; what the owner has seen of it. */
	uint32_t wake_word;
	uint32_t wake_seen;

	struct mye_loop_item **item; /* by slot, NULL: free */
	uint32_t items;              /* slots */
	uint32_t words, fds;         /* items of either kind */

	int epoll_fd; /* -1: none */
	int event_fd;

	/* uring */
	struct mye_uring *ring;
	struct mye_loop_item wake_item; /* its word is wake_word; in no slot */
	struct mye_item_list queue, ready;
	uint32_t generation;

	/* epoll */
	struct mye_loop_helper *helpers; /* NULL: the owner sleeps on the words itself */
	uint32_t poked; /* event_fd was written for the helpers and not drained since */
	uint32_t scan;  /* the slot the next look begins with */
	bool helped;    /* helpers sleep on the words, and the owner on epoll_fd */

	/* the set */
	bool unread;      /* a descriptor was ready at the last sleep */
	bool words_first; /* next time */
	uint32_t turn;    /* whose turn it is among descriptors that do not all fit */
};

/* With MYE_LOOP_POLLABLE: event_fd is the caller's, and there is no set. */
#define MYE_LOOP_GIVEN (1u << 31)

/* Between the files of a loop: the engine cannot go on, another must. */
#define MYE_LOOP_GIVE_UP (-4095)

/* uring. Open and renew make the ring (again) in this thread. */
int mye_loop_uring_open(struct mye_loop *l);
void mye_loop_uring_close(struct mye_loop *l);
int mye_loop_uring_add(struct mye_loop *l, struct mye_loop_item *it);
int mye_loop_uring_remove(struct mye_loop *l, struct mye_loop_item *it);
int mye_loop_uring_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                         int max);
int mye_loop_uring_arm(struct mye_loop *l);

/* epoll */
int mye_loop_epoll_open(struct mye_loop *l); /* with the items there are */
void mye_loop_epoll_close(struct mye_loop *l);
int mye_loop_epoll_add(struct mye_loop *l, struct mye_loop_item *it);
int mye_loop_epoll_change(struct mye_loop *l, struct mye_loop_item *it);
void mye_loop_epoll_remove(struct mye_loop *l, struct mye_loop_item *it);
int mye_loop_epoll_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                         int max);
int mye_loop_epoll_arm(struct mye_loop *l);

/* Threads that sleep on words in the owner's place (loop_helper.c). */
int mye_helpers_add(struct mye_loop *l, struct mye_loop_item *it);
void mye_helpers_remove(struct mye_loop_item *it);
void mye_helpers_close(struct mye_loop *l);

/*
 * The epoll set: epoll_fd with event_fd and descriptors in it (loop_set.c). Sleep does one pass; when
 * event_fd is readable it calls @p words, which drains it and reports words. @return how many events
 * there were; 0 also if only event_fd was readable; -EINTR; what @p words returned if negative.
 */
typedef int (*mye_loop_words_fn)(struct mye_loop *l, struct mye_loop_event *events, int max);
int mye_loop_set_open(struct mye_loop *l);
int mye_loop_set_add(struct mye_loop *l, struct mye_loop_item *it);
int mye_loop_set_change(struct mye_loop *l, struct mye_loop_item *it);
void mye_loop_set_remove(struct mye_loop *l, struct mye_loop_item *it);
int mye_loop_set_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events, int max,
                       mye_loop_words_fn words);
void mye_loop_set_arm(struct mye_loop *l);

/* Is a change of it answered here, and no event? */
static inline bool mye_item_is_bell(const struct mye_loop_item *it)
{
	return it->word && it->fd >= 0;
}

static inline void mye_bell_tell(int eventfd, uint64_t *told)
{
	__atomic_fetch_add(told, 1, __ATOMIC_RELAXED);
	mye_event_poke(eventfd);
}

static inline bool mye_loop_is_over(int64_t deadline)
{
	return deadline <= 0 || (deadline != MYELON_FOREVER && mye_now() >= deadline);
}

/* Was there a wake since the last call? */
static inline bool mye_loop_take_wake(struct mye_loop *l)
{
	/* seq_cst: pairs with the add in mye_loop_wake(), see there. */
	uint32_t word = __atomic_load_n(&l->wake_word, __ATOMIC_SEQ_CST);
	bool raised = word != l->wake_seen;

	l->wake_seen = word;
	return raised;
}

static inline void mye_items_append(struct mye_item_list *list, struct mye_loop_item *it)
{
	it->next = NULL;
	it->prev = list->last;
	if (list->last)
		list->last->next = it;
	else
		list->first = it;
	list->last = it;
}

static inline void mye_items_remove(struct mye_item_list *list, struct mye_loop_item *it)
{
	if (it->prev)
		it->prev->next = it->next;
	else
		list->first = it->next;
	if (it->next)
		it->next->prev = it->prev;
	else
		list->last = it->prev;
	it->prev = it->next = NULL;
}

#endif
