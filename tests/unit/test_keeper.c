/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The keeper: when it runs, what its thread is like, and an application that drives it. */
#include "ring_kit.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <myelon/keeper.h>

#define HANG_MS 20000

static struct myelon_keeper_info keeper(void)
{
	struct myelon_keeper_info info = {.size = sizeof(info)};

	cr_ok(myelon_keeper_info(&info));
	return info;
}

static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

struct proxied {
	char name[KIT_NAME];
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int fd;
};

static void begin(struct proxied *t)
{
	t->p = ring_make(t->name, SMALL());
	t->c = ring_join(t->name, NULL);
	t->fd = myelon_consumer_fd(t->c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_PROXY));
	cr_assert_geq(t->fd, 0, "%s", myelon_last_error());
}

static void end(struct proxied *t)
{
	myelon_consumer_close(t->c);
	myelon_producer_close(t->p);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static void read_all(struct proxied *t)
{
	struct myelon_view v;
	int n;

	while ((n = myelon_peek(t->c, MYELON_ALL, MYELON_TRY, &v)) > 0)
		cr_ok(myelon_release(t->c, v.count));
	cr_assert_eq(n, -EAGAIN);
}

Test(keeper, is_there_only_while_something_needs_it)
{
	struct proxied a, b;
	int before = threads();

	cr_assert_eq(keeper().running, 0);
	begin(&a);
	cr_assert_eq(keeper().running, 1);
	cr_assert_geq(threads(), before + 1);
	begin(&b);
	cr_assert_eq(keeper().proxies, 2);
	end(&a);
	cr_assert_eq(keeper().running, 1);
	end(&b);
	cr_assert_eq(keeper().running, 0);
	cr_assert_eq(threads(), before);
}

static unsigned long long mask_of(uint32_t tid, const char *field)
{
	unsigned long long mask = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%u/status", tid);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			mask = strtoull(line + strlen(field), NULL, 16);
	fclose(f);
	return mask;
}

static uint32_t thread_of_keeper(void)
{
	uint32_t tid = 0;

	for (int64_t until = kit_deadline(20); !tid && kit_now_ns() < until; sched_yield())
		tid = keeper().tid;
	cr_assert_neq(tid, 0);
	return tid;
}

Test(keeper, has_all_signals_blocked_and_ordinary_scheduling)
{
	unsigned long long blocked;
	struct sched_param param;
	struct proxied t;
	uint32_t tid;

	begin(&t);
	tid = thread_of_keeper();
	blocked = mask_of(tid, "SigBlk:");
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			cr_assert(blocked & 1ull << (sig - 1), "signal %d", sig);
	cr_assert_eq(sched_getscheduler((pid_t)tid), SCHED_OTHER);
	cr_assert_eq(sched_getparam((pid_t)tid, &param), 0);
	end(&t);
}

/* @return the CPU the calling thread is pinned to from now on. */
static int pin_to_first(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		kit_skip("cpus", "one CPU only");
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	return cpu;
}

Test(keeper, stays_off_the_cpu_its_creator_is_pinned_to)
{
	int cpu = pin_to_first();
	struct myelon_producer *p;
	char name[KIT_NAME];
	cpu_set_t its;

	p = ring_make(name, SMALL(.flags = MYELON_F_LEASE));
	cr_assert_eq(sched_getaffinity((pid_t)thread_of_keeper(), sizeof(its), &its), 0);
	cr_assert_not(CPU_ISSET(cpu, &its));
	cr_assert_geq(CPU_COUNT(&its), 1);
	myelon_producer_close(p);
}

static void *begin_unpinned(void *arg)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	cr_assert_eq(sched_setaffinity(0, sizeof(all), &all), 0);
	begin(arg);
	return NULL;
}

static void begin_elsewhere(struct proxied *t)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, begin_unpinned, t), 0);
	pthread_join(thread, NULL);
}

Test(keeper, runs_where_the_consumers_sleep_that_it_wakes_if_all_are_pinned)
{
	int cpu = pin_to_first();
	struct proxied t, other;
	cpu_set_t its;

	begin(&t);
	cr_assert_eq(sched_getaffinity((pid_t)thread_of_keeper(), sizeof(its), &its), 0);
	cr_assert(CPU_ISSET(cpu, &its));
	cr_assert_eq(CPU_COUNT(&its), 1);
	begin_elsewhere(&other);
	cr_assert_eq(sched_getaffinity((pid_t)thread_of_keeper(), sizeof(its), &its), 0);
	cr_assert(CPU_ISSET(cpu, &its));
	cr_assert_geq(CPU_COUNT(&its), 2);
	end(&other);
	end(&t);
}

Test(keeper, driven_by_the_application_has_no_thread_and_wakes_when_serviced)
{
	struct proxied t;
	int before = threads(), fd = myelon_keeper_fd();

	cr_assert_geq(fd, 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_keeper_fd(), fd);
	begin(&t);
	cr_assert_eq(keeper().running, 2);
	cr_assert_eq(keeper().tid, 0);
	if (keeper().engine == MYELON_ENGINE_URING)
		cr_assert_eq(threads(), before);
	for (int i = 0; i < 100; i++) {
		cr_ok(ring_push(t.p, 1));
		while (!readable(t.fd, 0)) {
			cr_assert(readable(fd, HANG_MS), "the keeper's descriptor");
			cr_assert_geq(myelon_keeper_service(MYELON_TRY), 0, "%s",
			              myelon_last_error());
		}
		read_all(&t);
	}
	end(&t);
	cr_assert_eq(keeper().proxies, 0);
}

Test(keeper, driven_learns_of_deadlines_through_its_descriptor)
{
	struct proxied t;
	int fd = myelon_keeper_fd();

	cr_assert_geq(fd, 0);
	begin(&t);
	while (readable(fd, 0))
		myelon_keeper_service(MYELON_TRY);
	/* The cap of the proxy, once a second. */
	cr_assert(readable(fd, HANG_MS));
	cr_assert_geq(myelon_keeper_service(MYELON_TRY), 1);
	cr_assert_not(readable(fd, 0));
	end(&t);
}

static void *use_proxies(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		struct proxied t;

		begin(&t);
		cr_ok(ring_push(t.p, 1));
		cr_assert(readable(t.fd, HANG_MS));
		read_all(&t);
		end(&t);
	}
	return NULL;
}

static void use_from_threads(void)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, use_proxies, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

Test(keeper, is_needed_and_not_needed_by_several_threads_at_once)
{
	use_from_threads();
	cr_assert_eq(keeper().running, 0);
}

static _Atomic bool done;

static void *drive(void *arg)
{
	(void)arg;
	while (!done)
		myelon_keeper_service(myelon_deadline_after(100 * MS));
	return NULL;
}

Test(keeper, driven_by_a_thread_lets_others_come_and_go)
{
	pthread_t thread;

	cr_assert_geq(myelon_keeper_fd(), 0);
	cr_assert_eq(pthread_create(&thread, NULL, drive, NULL), 0);
	use_from_threads();
	done = true;
	pthread_join(thread, NULL);
}

Test(keeper, cannot_be_driven_once_its_thread_runs_and_not_serviced_when_it_is_not_driven)
{
	struct proxied t;

	cr_assert_eq(myelon_keeper_service(MYELON_TRY), -EINVAL);
	begin(&t);
	cr_assert_eq(myelon_keeper_fd(), -EBUSY);
	end(&t);
	cr_assert_geq(myelon_keeper_fd(), 0);
}
