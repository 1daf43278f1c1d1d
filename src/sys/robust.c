/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A robust list of our own, for the one thread that owns words for the whole process.
 *
 * The kernel walks it when the thread ends, and finds the word of an entry at a distance that is one
 * for the list: so the entries can lie in private memory, in front of the mappings with the words, and
 * no pointer is in shared memory. A pthread robust mutex has its entry beside its word, for every peer
 * to write to, and crashes whoever unlocks or unmaps it in another thread.
 *
 * Whatever the thread is about to do to a word is announced in list_op_pending first: the kernel looks
 * at that word too, and if it is 0 already wakes one sleeper.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

struct entry {
	struct robust_list link; /* next: all the kernel follows */
	struct entry *prev;      /* NULL: the first */
};

static struct robust_list_head head;
static struct robust_list_head *before; /* the thread's list before ours */
static uint32_t owner;                  /* tid of the thread, 0: not installed */
static uint32_t held;

/* The kernel reads the list as of one instruction of this thread: only the compiler could reorder. */
static void keep_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static struct entry *entry_of(uint32_t *word)
{
	return (struct entry *)(void *)((char *)word - MYE_ROBUST_DISTANCE);
}

static void announce(struct entry *e)
{
	keep_order();
	head.list_op_pending = e ? &e->link : NULL;
	keep_order();
}

int mye_robust_install(void)
{
	size_t bytes = 0;

	head.list.next = &head.list;
	head.futex_offset = MYE_ROBUST_DISTANCE;
	head.list_op_pending = NULL;
	before = NULL;
	__atomic_store_n(&held, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&owner, 0, __ATOMIC_RELAXED);
	if (syscall(SYS_get_robust_list, 0, &before, &bytes) < 0 ||
	    syscall(SYS_set_robust_list, &head, sizeof(head)) < 0)
		return -errno;
	__atomic_store_n(&owner, mye_tid(), __ATOMIC_RELAXED);
	return 0;
}

void mye_robust_uninstall(void)
{
	if (!mye_robust_installed())
		return;
	__atomic_store_n(&owner, 0, __ATOMIC_RELAXED);
	syscall(SYS_set_robust_list, before, sizeof(head));
}

bool mye_robust_installed(void)
{
	return __atomic_load_n(&owner, __ATOMIC_RELAXED) != 0;
}

uint32_t mye_robust_held(void)
{
	return __atomic_load_n(&held, __ATOMIC_RELAXED);
}

int mye_robust_own(uint32_t *word)
{
	struct entry *e = entry_of(word), *second;

	if (!mye_robust_installed())
		return -ENOTSUP;
	if (held >= MYE_ROBUST_MAX)
		return -ENOSPC;
	announce(e);
	mye_point();
	/* Release: pairs with the acquire load in mye_lease_watch(). */
	__atomic_store_n(word, owner, __ATOMIC_RELEASE);
	mye_point();
	e->prev = NULL;
	e->link.next = head.list.next;
	if (head.list.next != &head.list) {
		second = (struct entry *)(void *)head.list.next;
		second->prev = e;
	}
	keep_order();
	head.list.next = &e->link;
	announce(NULL);
	__atomic_store_n(&held, held + 1, __ATOMIC_RELAXED);
	/* Who slept on what the word was would not hear of our death. */
	mye_futex_wake_all(word);
	return 0;
}

static void unlink_entry(struct entry *e)
{
	struct robust_list *next = e->link.next;

	if (e->prev)
		e->prev->link.next = next;
	else
		head.list.next = next;
	if (next != &head.list)
		((struct entry *)(void *)next)->prev = e->prev;
}

void mye_robust_disown(uint32_t *word)
{
	struct entry *e = entry_of(word);
	uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

	announce(e);
	mye_point();
	/* Others may set FUTEX_WAITERS meanwhile; what is no longer ours is not cleared.
	   Release: pairs with the acquire load in mye_lease_watch(). */
	while ((value & FUTEX_TID_MASK) == owner &&
	       !__atomic_compare_exchange_n(word, &value, 0, false, __ATOMIC_RELEASE,
	                                    __ATOMIC_RELAXED))
		;
	mye_point();
	mye_futex_wake_all(word);
	unlink_entry(e);
	announce(NULL);
	__atomic_store_n(&held, held - 1, __ATOMIC_RELAXED);
}
