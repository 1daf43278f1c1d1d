/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The keeper: the one sleeping thread of a process, or the application in its place
 * (<myelon/keeper.h>). It waits on one mye_loop and calls whoever asked for what came.
 *
 * Everything of a task runs on the keeper's thread, so tasks need no locks among themselves. Others
 * reach it by mye_keeper_call() only.
 */
#ifndef MYE_WAIT_KEEPER_H
#define MYE_WAIT_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct that a member is part of. */
#define MYE_CONTAINER(member_at, type, member)                                                     \
	((type *)(void *)((char *)(member_at)-offsetof(type, member)))

/*
 * One thing the keeper waits for; part of its owner's memory. All of it is used on the keeper's thread only.
 */
struct mye_task {
	/* Something came; @p events as in loop.h. */
	void (*ready)(struct mye_task *t, uint32_t events);
	/* The deadline passed; it is cleared before the call. */
	void (*expired)(struct mye_task *t);
	int64_t deadline; /* absolute, MYELON_FOREVER: none */
	uint64_t tag;     /* the keeper's */
	bool linked;
	struct mye_task *next, *prev;
};

/* For myelon_keeper_info(); changed by relaxed atomics. */
struct mye_keeper_counts {
	uint32_t proxies, adopted, leases, refused;
	uint64_t wakes, loops;
};
struct mye_keeper_counts *mye_keeper_counts(void);

/*
 * Need the keeper from now on: the first starts the thread, unless the application drives it.
 * @return 0; -EAGAIN, -ENOMEM, -EMFILE with a sentence. Every success is undone by one drop; the last ends the thread.
 */
int mye_keeper_hold(void);
void mye_keeper_drop(void);

/*
 * Run fn(arg) on the keeper's thread and wait for it; from a task (a hook of the user's) at once. Between hold
 * and drop only. When the application drives the keeper, it runs in the caller, with the keeper kept from
 * servicing meanwhile.
 * @return what fn returned.
 */
int mye_keeper_call(int (*fn)(void *arg), void *arg);

/* Is there a thread of its own, which can own leases? */
bool mye_keeper_is_thread(void);

/* On the keeper's thread, if it is one (keeper_cpu.c): where to run. @p cpu: of who is woken by it from
 * now on, or no longer; -1: pinned to none. */
void mye_keeper_cpu_begin(void);
void mye_keeper_cpu_serve(int cpu, bool begin);

/* On the keeper's thread: one bell or one descriptor per task, or only a deadline. */
/* A word of which every change writes @p eventfd; ready is not called. */
int mye_task_bell(struct mye_task *t, const uint32_t *word, int eventfd);
/* A word of which every change calls ready. */
int mye_task_word(struct mye_task *t, const uint32_t *word);
int mye_task_fd(struct mye_task *t, int fd, uint32_t events);
void mye_task_timer(struct mye_task *t);
/* Nothing is called any more. A task that was never begun is ignored. */
void mye_task_end(struct mye_task *t);

#endif
