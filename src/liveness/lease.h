/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Lease words: how a sleeper hears at once that a peer died, also in another pid namespace. The word is
 * owned by the keeper's thread of the peer's process, and marked by the kernel when that thread ends:
 * with the process, or at exec. A sleeper sleeps on its doorbell and on the word.
 *
 * A marked word says "dying", never "dead": the process may need long to give its memory back, and any
 * peer can write here. The one verdict is the lock. So who finds a marked word asks for the lock again
 * and again, and does not sleep on the word any more.
 *
 * Index 0 of shared->lease is the producer's; the even ones above are those of the first 14 consumer
 * entries, the odd ones are not used (what the kernel keeps per word is 8 bytes). Whoever holds the lock
 * of an entry may change its word.
 */
#ifndef MYE_LIVENESS_LEASE_H
#define MYE_LIVENESS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/segment.h"
#include "sys/sys.h"

#define MYE_LEASE_PRODUCER 0u
/* Of consumer entry i. The later ones have none: MYE_LEASE_WORDS or more, which all calls below allow. */
#define MYE_LEASE_ENTRY(i) (2u * ((unsigned int)(i) + 1u))
#define MYE_LEASE_WORDS                                                                            \
	((unsigned int)(sizeof(((struct mye_shared_page *)0)->lease.lease) / sizeof(uint32_t)))
#define MYE_LEASE_ENTRIES (MYE_LEASE_WORDS / 2u - 1u)

enum mye_lease_state {
	MYE_LEASE_NONE,  /* nobody's: ask for the lock at each cap */
	MYE_LEASE_HELD,  /* somebody's, by what the word says */
	MYE_LEASE_DYING, /* marked */
};

/*
 * Own a word, on behalf of who holds the lock of that role. Starts the keeper. Wakes all who slept on
 * what the word was. @return 0; -ENOTSUP (the kernel refuses, or the application drives the keeper),
 * -ENOSPC (2000 are owned, or there is no such word), or as mye_keeper_hold(). Every success is undone by
 * one release.
 */
int mye_lease_take(struct mye_segment *seg, unsigned int index);
/* Any thread; before the lock of the role is given up, and before the segment is unmapped. */
void mye_lease_release(struct mye_segment *seg, unsigned int index);
/* Could this process own one now? Between mye_keeper_hold() and mye_keeper_drop(). */
bool mye_lease_available(void);
/* Of the role whose lock we took over: the predecessor's word goes, and who slept on it wakes. */
void mye_lease_clear(struct mye_segment *seg, unsigned int index);

static inline enum mye_lease_state mye_lease_state_of(uint32_t value)
{
	if (value & MYE_ROBUST_DIED)
		return MYE_LEASE_DYING;
	return value & MYE_ROBUST_TID ? MYE_LEASE_HELD : MYE_LEASE_NONE;
}

enum mye_lease_state mye_lease_look(const struct mye_segment *seg, unsigned int index);

/*
 * Before a sleep: ask to be woken by the word. @return the value to sleep with, if it says HELD. Without
 * a lease this is one load.
 */
uint32_t mye_lease_watch(struct mye_segment *seg, unsigned int index);

/*
 * After every return from a sleep on the word with @p value, whatever ended it: the kernel wakes only
 * one, who may have been killed as well; whoever sees a change wakes all others.
 */
void mye_lease_pass_on(struct mye_segment *seg, unsigned int index, uint32_t value);

#endif
