/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* No wake-up is lost between two processes that announce, look and sleep at random times. */
#include "loop_kit.h"

#include <signal.h>
#include <sys/wait.h>

/* As a ring does it: a value to be seen, a flag that somebody sleeps, a bell. One pair per direction. */
struct lane {
	uint32_t bell;
	uint32_t pad0[31];
	uint32_t parked;
	uint32_t pad1[31];
	uint32_t value;
	uint32_t pad2[31];
};

static long rounds(void)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	double n = 100000 * (text ? strtod(text, NULL) : 1);

	return n < 1 ? 1 : (long)n;
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static void dawdle(uint64_t *state)
{
	uint32_t n = next_random(state) % 8;

	for (uint32_t i = n < 3 ? next_random(state) % (1u << (4 * n)) : 0; i; i--)
		__asm__ __volatile__("" ::: "memory");
}

static void send(struct lane *lane, uint32_t value)
{
	/* seq_cst: the store of the value, then the load of the flag; the sleeper does it crosswise */
	__atomic_store_n(&lane->value, value, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&lane->parked, 0, __ATOMIC_SEQ_CST))
		loop_ring(&lane->bell);
}

/* How often a sleep ended only at its cap with something to see. */
static int receive(struct mye_loop *l, struct lane *lane, uint32_t value, uint64_t *random)
{
	struct mye_loop_event e[2];
	bool pollable = mye_loop_fd(l) >= 0;
	int n = 0;

	for (;;) {
		int64_t cap = kit_deadline(5);
		bool by_poll = pollable && next_random(random) % 2;

		mye_loop_listen(l);
		dawdle(random);
		__atomic_store_n(&lane->parked, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&lane->value, __ATOMIC_SEQ_CST) == value)
			return 0;
		dawdle(random);
		if (by_poll) {
			struct pollfd p = {.fd = mye_loop_fd(l), .events = POLLIN};

			mye_loop_arm(l);
			n = poll(&p, 1, 5000);
			if (n != 0)
				n = mye_loop_sleep(l, MYELON_TRY, e, 2);
		} else {
			n = mye_loop_sleep(l, cap, e, 2);
		}
		if (n < 0 && n != -EINTR)
			return 1000;
		if (kit_now_ns() >= cap)
			return 1;
	}
}

static int play(struct lane *in, struct lane *out, enum myelon_engine engine, uint32_t flags,
                int64_t seed)
{
	uint64_t random = (uint64_t)seed;
	struct mye_loop *l;
	int lost = 0;

	if (mye_loop_open(&l, engine, flags) < 0 || mye_loop_add_word(l, &in->bell, 1) < 0)
		return 99;
	for (uint32_t i = 1; i <= rounds() && !lost; i++) {
		if (seed == 1) {
			send(out, i);
			dawdle(&random);
		}
		lost = receive(l, in, i, &random);
		dawdle(&random);
		if (seed == 2)
			send(out, i);
	}
	mye_loop_close(l);
	return lost;
}

static void race(enum myelon_engine engine, uint32_t flags)
{
	struct lane *lane = (struct lane *)(void *)loop_words(2 * sizeof(*lane) / sizeof(uint32_t));
	pid_t pid = fork();
	int lost, status;

	if (pid == 0) {
		kit_die_with_parent(getppid());
		_exit(play(&lane[0], &lane[1], engine, flags, 2));
	}
	lost = play(&lane[1], &lane[0], engine, flags, 1);
	if (lost)
		kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(lost, 0);
	cr_assert_eq(status, 0);
}

Test(loop_race, uring)
{
	race(need_uring(), 0);
}

Test(loop_race, uring_pollable)
{
	race(need_uring(), MYE_LOOP_POLLABLE);
}

Test(loop_race, owner_in_futex_waitv)
{
	race(MYELON_ENGINE_EPOLL, 0);
}

Test(loop_race, helper_and_epoll)
{
	race(MYELON_ENGINE_EPOLL, MYE_LOOP_POLLABLE);
}
