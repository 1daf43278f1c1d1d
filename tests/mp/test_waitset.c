/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One thread that waits for many rings of other processes; what their death looks like from there. */
#include "waitset_stage.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define READY 1 /* words */
#define GO 2

static struct stage stage;

/* ---- everything arrives ---- */

static int feed(void *arg)
{
	struct stage *s = arg;

	if (stage_make(s, 0, s->rings, 8))
		return 1;
	kit_set(s->page, READY, 1);
	if (!kit_await(s->page, GO, 1, 60))
		return 1;
	for (long i = 0; i < s->count; i++) {
		TRY_(stage_push(s, (int)(stage_random(s) % (uint32_t)s->rings), MYELON_FOREVER));
		if (i % 8 == 0)
			stage_delay(s, 100);
	}
	for (int i = 0; i < s->rings; i++)
		myelon_producer_close(s->p[i]);
	return 0;
}

/* Read all rings until their producers closed them. */
static void drain(struct stage *s)
{
	struct myelon_event ev[16];
	long seen = 0;
	int open = s->rings;

	while (open > 0) {
		int n = myelon_waitset_wait(s->ws, ev, 16, kit_deadline(60));

		cr_assert_gt(n, 0, "wait: %d after %ld messages", n, seen);
		for (int i = 0; i < n; i++) {
			long got = 0;

			if (ev[i].result == -EPIPE)
				open--;
			else
				got = stage_pull(s, stage_ring(s, &ev[i]));
			cr_assert_geq(got, 0, "event %d", ev[i].result);
			seen += got;
		}
	}
	cr_assert_eq(seen, s->count);
}

BOTH(messages_of_128_rings_all_arrive)
{
	struct kit_actor a;

	stage_begin(&stage, engine, STAGE_RINGS, stage_count(20000));
	cr_assert_eq(kit_fork(&a, feed, &stage), 0);
	cr_assert(kit_await(stage.page, READY, 1, 60));
	cr_assert_eq(stage_attach(&stage, 0, stage.rings), 0);
	cr_assert_eq(stage_set(&stage, 0, stage.rings), 0);
	kit_set(stage.page, GO, 1);
	drain(&stage);
	cr_assert_eq(kit_wait(&a, 60), 0);
	set_close(stage.ws);
	stage_end(&stage, false);
}

/* ---- without membarrier ---- */

static int deny_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static int drain_without_membarrier(void *arg)
{
	struct stage *s = arg;
	struct myelon_event ev[4];
	long seen = 0;

	if (deny_membarrier() || stage_attach(s, 0, s->rings) || stage_set(s, 0, s->rings))
		return 1;
	kit_set(s->page, GO, 1);
	while (seen < s->count) {
		int n = myelon_waitset_wait(s->ws, ev, 4, MYELON_FOREVER);

		TRY_(n);
		for (int i = 0; i < n; i++) {
			long got =
				ev[i].result == -EPIPE ? 0 : stage_pull(s, stage_ring(s, &ev[i]));

			if (got < 0)
				return 1;
			seen += got;
		}
	}
	myelon_waitset_close(s->ws);
	for (int i = 0; i < s->rings; i++)
		myelon_consumer_close(s->c[i]);
	return 0;
}

BOTH(set_that_may_not_call_membarrier_misses_nothing)
{
	struct kit_actor a, b;

	stage_begin(&stage, engine, 4, stage_count(3000));
	cr_assert_eq(kit_fork(&a, feed, &stage), 0);
	cr_assert(kit_await(stage.page, READY, 1, 60));
	cr_assert_eq(kit_fork(&b, drain_without_membarrier, &stage), 0);
	cr_assert_eq(kit_wait(&b, 60), 0, "%s", b.output);
	cr_assert_eq(kit_wait(&a, 60), 0, "%s", a.output);
	stage_end(&stage, false);
}

/* ---- death ---- */

static int publish_and_hang(void *arg)
{
	struct stage *s = arg;
	char name[KIT_NAME];

	for (int i = 0; i < s->rings; i++) {
		stage_name(s, i, name);
		if (myelon_producer_open(&s->p[i], name, NULL) < 0)
			TRY_(myelon_producer_create(&s->p[i], name, SMALL()));
		TRY_(stage_push(s, i, MYELON_TRY));
	}
	kit_set(s->page, READY, 1);
	for (;;)
		pause();
	return 0;
}

static void *kill_later(void *arg)
{
	usleep(50000);
	kit_kill(arg, SIGKILL);
	return NULL;
}

/* @more: there is a descriptor in the set as well, so that processes are watched with both engines. */
static void live_and_die(enum myelon_engine engine, bool more)
{
	struct myelon_event ev[8];
	struct kit_actor a;
	pthread_t thread;
	int pipes[2];

	stage_begin(&stage, engine, 3, 0);
	for (int round = 0; round < 3; round++) {
		int dead = 0, news = 0;

		kit_set(stage.page, READY, 0);
		cr_assert_eq(kit_fork(&a, publish_and_hang, &stage), 0);
		cr_assert(kit_await(stage.page, READY, 1, 60));
		if (round == 0) {
			cr_assert_eq(pipe(pipes), 0);
			cr_assert_eq(stage_attach(&stage, 0, stage.rings), 0);
			cr_assert_eq(stage_set(&stage, 0, stage.rings), 0);
			if (more)
				set_id(myelon_waitset_add_fd(stage.ws, pipes[0], EPOLLIN, NULL,
				                             NULL));
		}
		cr_assert_eq(pthread_create(&thread, NULL, kill_later, &a), 0);
		while (dead < stage.rings) {
			int n = myelon_waitset_wait(stage.ws, ev, 8, kit_deadline(60));

			cr_assert_gt(n, 0);
			for (int i = 0; i < n; i++) {
				if (ev[i].result > 0)
					news += (int)stage_pull(&stage, stage_ring(&stage, &ev[i]));
				else
					cr_assert_eq(ev[i].result, -EOWNERDEAD);
				dead += ev[i].result < 0;
			}
		}
		cr_assert_eq(news, stage.rings, "round %d", round);
		pthread_join(thread, NULL);
		cr_assert_eq(kit_wait(&a, 30), -SIGKILL);
		set_none(stage.ws);
		/* Once is enough, however long it takes. */
		cr_assert_eq(myelon_waitset_wait(stage.ws, ev, 8, myelon_deadline_after(30 * MS)),
		             0);
	}
	myelon_waitset_close(stage.ws);
	close(pipes[0]);
	close(pipes[1]);
	stage_end(&stage, true);
}

BOTH(killed_producer_is_an_event_and_its_successor_goes_on)
{
	live_and_die(engine, false);
}

BOTH(killed_producer_is_an_event_beside_descriptors)
{
	live_and_die(engine, true);
}

BOTH(ring_whose_producer_is_dead_already_says_so)
{
	struct kit_actor a;

	stage_begin(&stage, engine, 1, 0);
	cr_assert_eq(kit_fork(&a, publish_and_hang, &stage), 0);
	cr_assert(kit_await(stage.page, READY, 1, 60));
	cr_assert_eq(stage_attach(&stage, 0, 1), 0);
	kit_kill(&a, SIGKILL);
	cr_assert_eq(kit_wait(&a, 30), -SIGKILL);
	cr_assert_eq(stage_set(&stage, 0, 1), 0);
	for (int expected = 1; expected >= 0; expected--) {
		struct myelon_event ev;

		cr_assert_eq(myelon_waitset_wait(stage.ws, &ev, 1, kit_deadline(30)), 1);
		cr_assert_eq(ev.result, expected ? 1 : -EOWNERDEAD);
		if (expected)
			cr_assert_eq(stage_pull(&stage, 0), 1);
	}
	myelon_waitset_close(stage.ws);
	stage_end(&stage, true);
}

/* The producer of ring 0 execs: its locks go, its process stays. */
static int publish_and_exec(void *arg)
{
	struct stage *s = arg;
	char *const argv[] = {"sleep", "1000", NULL};

	if (stage_make(s, 0, 1, 8))
		return 1;
	kit_set(s->page, READY, 1);
	if (!kit_await(s->page, GO, 1, 60))
		return 1;
	execvp("sleep", argv);
	return 1;
}

BOTH(producer_that_execs_is_dead)
{
	struct myelon_event ev;
	struct kit_actor a;

	stage_begin(&stage, engine, 1, 0);
	cr_assert_eq(kit_fork(&a, publish_and_exec, &stage), 0);
	cr_assert(kit_await(stage.page, READY, 1, 60));
	cr_assert_eq(stage_attach(&stage, 0, 1), 0);
	cr_assert_eq(stage_set(&stage, 0, 1), 0);
	kit_set(stage.page, GO, 1);
	cr_assert_eq(myelon_waitset_wait(stage.ws, &ev, 1, kit_deadline(60)), 1);
	cr_assert_eq(ev.result, -EOWNERDEAD);
	kit_kill(&a, SIGKILL);
	cr_assert_eq(kit_wait(&a, 30), -SIGKILL);
	myelon_waitset_close(stage.ws);
	stage_end(&stage, true);
}

/* ---- nothing to do ---- */

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

BOTH(idle_rings_cost_next_to_nothing)
{
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};
	struct myelon_event ev;
	struct kit_actor a;
	double before;

	stage_begin(&stage, engine, 64, 0);
	cr_assert_eq(kit_fork(&a, feed, &stage), 0);
	cr_assert(kit_await(stage.page, READY, 1, 60));
	cr_assert_eq(stage_attach(&stage, 0, stage.rings), 0);
	cr_assert_eq(stage_set(&stage, 0, stage.rings), 0);
	cr_assert_eq(myelon_waitset_wait(stage.ws, &ev, 1, myelon_deadline_after(MS)), 0);
	before = cpu_us();
	cr_assert_eq(myelon_waitset_wait(stage.ws, &ev, 1, myelon_deadline_after(2500 * MS)), 0);
	printf("64 idle rings, %s: %.0f us of CPU in 2.5 s\n", myelon_engine_name(engine),
	       cpu_us() - before);
	cr_ok(myelon_waitset_stats(stage.ws, &stats));
	cr_assert_leq(stats.sleeps, 8, "it sleeps, %llu times", (unsigned long long)stats.sleeps);
	cr_assert_geq(stats.caps, 1);
	set_close(stage.ws);
	kit_set(stage.page, GO, 1);
	cr_assert_eq(kit_wait(&a, 30), 0);
	stage_end(&stage, false);
}
