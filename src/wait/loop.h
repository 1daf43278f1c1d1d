/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One thread waits for words and descriptors at once: what wait sets, the keeper and descriptor
 * consumers have in common. Two engines:
 *
 * - uring: futex waits and polls are requests of one io_uring (kernel 6.7 for the futexes; 6.1 for
 *   SINGLE_ISSUER | DEFER_TASKRUN, with which whoever wakes the futex signals the registered eventfd
 *   itself). A request stays in the kernel over many sleeps, so a sleep costs nothing per idle word.
 * - epoll: without io_uring. With words only, and not pollable, the caller itself sleeps in
 *   futex_waitv; else helper threads sleep in futex_waitv (up to 127 words each) and write an eventfd
 *   in the epoll set. Without futex_waitv (before 5.16): a futex wait of at most 10 ms that looks at
 *   all words.
 *
 * Owned by one thread at a time, except mye_loop_wake(); the thread may change (uring: the ring is
 * made anew in the new thread, behind the same descriptor). If io_uring is denied later on (a seccomp
 * filter installed meanwhile) the loop goes on with epoll behind the same descriptor.
 *
 * A pollable loop has an epoll set, which is what others poll: its descriptors are in there with either
 * engine, and the ring waits for words only.
 *
 * The words: 32 bits, shared futexes, raised with a FUTEX_WAKE. "Changed" means: since the word was
 * added or last reported. So what changes after mye_loop_listen() ends the next sleep, and what
 * changed between the report and that call is reported once more than needed rather than lost. The
 * loop never writes to them.
 *
 * A wait of any kind may also end with -EINTR without a signal: when a ring is closed or made anew, the
 * kernel interrupts a blocking system call of the thread that had it, once.
 */
#ifndef MYE_WAIT_LOOP_H
#define MYE_WAIT_LOOP_H

#include <stdint.h>

#include <myelon/wait.h>

struct mye_loop;

struct mye_loop_event {
	uint64_t tag;
	uint32_t events; /* of a descriptor: EPOLLIN, ...; of a word: 0 */
};

/* Needs a descriptor to be waited for by others (mye_loop_fd). */
#define MYE_LOOP_POLLABLE 1u

/* What MYELON_ENGINE says, or AUTO. @return MYELON_ENGINE_*, or -EINVAL with a sentence that names the choices. */
int mye_engine_from_env(void);

/*
 * @p engine: MYELON_ENGINE_URING (an error where it cannot be had), MYELON_ENGINE_EPOLL, or AUTO: the
 * first that works. @return 0; -ENOTSUP (uring asked for and not there, with the reason), -EMFILE, -ENOMEM.
 */
int mye_loop_open(struct mye_loop **out, enum myelon_engine engine, uint32_t flags);
/*
 * With io_uring, and @p event_fd, the caller's eventfd, for its descriptor: an eventfd wakes faster than a
 * set. What that costs: if io_uring is denied later on, calls return -ENOTSUP, and the caller must go on
 * without the loop. No descriptor in it may be an eventfd: written by somebody, it would not be heard.
 */
int mye_loop_open_on(struct mye_loop **out, int event_fd);
void mye_loop_close(struct mye_loop *l); /* NULL is allowed; also in a forked child */
enum myelon_engine mye_loop_engine(const struct mye_loop *l);

/* Tags are the caller's, below 2^48, and each is in use once. The descriptor stays the caller's; level triggered. */
int mye_loop_add_word(struct mye_loop *l, const uint32_t *word, uint64_t tag);
/*
 * A word on somebody else's behalf: whoever notices a change writes @p eventfd, without a detour through
 * the owner, and counts it in @p told; there is no event. The value is read anew before that, so a change
 * behind the write is another one.
 */
int mye_loop_add_bell(struct mye_loop *l, const uint32_t *word, int eventfd, uint64_t *told,
                      uint64_t tag);
int mye_loop_add_fd(struct mye_loop *l, int fd, uint32_t events, uint64_t tag);
int mye_loop_change_fd(struct mye_loop *l, uint64_t tag, uint32_t events);
/* From its return on the tag is not reported, and the word and the descriptor are not used. */
int mye_loop_remove(struct mye_loop *l, uint64_t tag);

/*
 * From here on a change of any word ends the next sleep. To be called before the caller announces
 * itself and looks, so that nothing falls between.
 */
int mye_loop_listen(struct mye_loop *l);

/*
 * Sleep until an event, a wake, or @p deadline (absolute, MYELON_TRY: do not sleep, MYELON_FOREVER).
 * @return how many events, at most @p max; 0: a wake, the deadline, or a spurious return; -EINTR;
 * another negative errno with a sentence.
 */
int mye_loop_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events, int max);

/* Like a sleep that is done by somebody else, on mye_loop_fd(): what listen found is handed to the kernel. */
int mye_loop_arm(struct mye_loop *l);
/* Readable when a sleep would return at once; may be so without reason. Drained by mye_loop_sleep(). Stays the loop's. */
int mye_loop_fd(const struct mye_loop *l);

/* End the current or next sleep, and make the descriptor readable. Any thread, and signal handlers. */
void mye_loop_wake(struct mye_loop *l);

#endif
