/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "way.h"
#include "crew.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const struct {
	const char *name; /* NULL: the strategy's */
	enum bench_way_kind kind;
	enum myelon_engine engine;
} ways[BENCH_WAYS] = {
	[BENCH_FD_URING] = {"fd/uring", BENCH_WAY_FD, MYELON_ENGINE_URING},
	[BENCH_FD_DIRECT] = {"fd/direct", BENCH_WAY_FD, MYELON_ENGINE_DIRECT},
	[BENCH_FD_PROXY] = {"fd/proxy", BENCH_WAY_FD, MYELON_ENGINE_PROXY},
	[BENCH_SET_URING] = {"set/uring", BENCH_WAY_SET, MYELON_ENGINE_URING},
	[BENCH_SET_EPOLL] = {"set/epoll", BENCH_WAY_SET, MYELON_ENGINE_EPOLL},
};

const unsigned int bench_ways_in_order[BENCH_WAYS] = {
	MYELON_WAIT_SPIN,     MYELON_WAIT_SPIN_PAUSE, MYELON_WAIT_YIELD, MYELON_WAIT_SLEEP,
	MYELON_WAIT_ADAPTIVE, MYELON_WAIT_PARK,       BENCH_FD_URING,    BENCH_FD_DIRECT,
	BENCH_FD_PROXY,       BENCH_SET_URING,        BENCH_SET_EPOLL,
};

const char *bench_way_name(unsigned int which)
{
	return ways[which].name ? ways[which].name : myelon_wait_name((enum myelon_wait)which);
}

int bench_way_parse(const char *name)
{
	for (unsigned int i = 0; i < BENCH_WAYS; i++)
		if (strcmp(bench_way_name(i), name) == 0)
			return (int)i;
	return -1;
}

enum bench_way_kind bench_way_kind(unsigned int which)
{
	return ways[which].kind;
}

enum myelon_wait bench_way_wait(unsigned int which)
{
	return ways[which].kind == BENCH_WAY_HANDLE ? (enum myelon_wait)which : MYELON_WAIT_PARK;
}

static int open_fd(struct bench_way *w, struct bench_role *role)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fd = myelon_consumer_fd(w->c, &MYELON_FD_OPTS(.engine = ways[w->which].engine));

	if (fd < 0)
		return bench_library_fail(role, "no descriptor");
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return bench_fail(role, "no epoll loop could be made: %s", strerror(errno));
	return 0;
}

static int add(struct bench_way *w, struct bench_in *in)
{
	if (in->framed)
		return myelon_waitset_add_frame_consumer(w->set, in->framed, NULL, NULL);
	return myelon_waitset_add_consumer(w->set, in->raw, NULL, NULL);
}

static int open_set(struct bench_way *w, struct bench_in *in, struct bench_in *idle,
                    uint32_t idle_count, struct bench_role *role)
{
	struct myelon_waitset_opts opts =
		MYELON_WAITSET_OPTS(.engine = ways[w->which].engine, .spin_ns = MYELON_NO_SPIN);

	if (myelon_waitset_create(&w->set, &opts) < 0)
		return bench_library_fail(role, "no wait set");
	for (uint32_t i = 0; i < idle_count; i++)
		if (add(w, &idle[i]) < 0)
			return bench_library_fail(role,
			                          "a ring could not be added to the wait set");
	if (add(w, in) < 0)
		return bench_library_fail(role, "the ring could not be added to the wait set");
	return 0;
}

int bench_way_open(struct bench_way *w, unsigned int which, struct bench_in *in,
                   struct bench_in *idle, uint32_t idle_count, struct bench_role *role)
{
	*w = (struct bench_way){.which = which, .kind = ways[which].kind, .epoll = -1};
	w->c = in->framed ? myelon_frame_consumer_ring(in->framed) : in->raw;
	w->deadline = w->kind == BENCH_WAY_HANDLE ? MYELON_FOREVER : MYELON_TRY;
	switch (w->kind) {
	case BENCH_WAY_FD:
		return open_fd(w, role);
	case BENCH_WAY_SET:
		return open_set(w, in, idle, idle_count, role);
	case BENCH_WAY_HANDLE:
	default:
		return 0;
	}
}

void bench_way_close(struct bench_way *w)
{
	if (w->set)
		myelon_waitset_close(w->set);
	if (w->epoll >= 0)
		close(w->epoll);
	*w = (struct bench_way){.epoll = -1};
}

bool bench_way_settled(const struct bench_way *w)
{
	return w->kind != BENCH_WAY_FD || myelon_consumer_fd_engine(w->c) == ways[w->which].engine;
}

uint64_t bench_way_sleeps(const struct bench_way *w)
{
	struct myelon_handle_stats handle = MYELON_HANDLE_STATS_INIT;
	struct myelon_waitset_stats set = {.size = sizeof(set)};

	if (w->kind == BENCH_WAY_SET)
		return myelon_waitset_stats(w->set, &set) == 0 ? set.sleeps : 0;
	return myelon_consumer_stats(w->c, &handle) == 0 ? handle.parks : 0;
}

int bench_way_sleep(struct bench_way *w)
{
	struct myelon_event ready;
	struct epoll_event e;
	int rc;

	if (w->kind == BENCH_WAY_SET)
		return myelon_waitset_wait(w->set, &ready, 1, MYELON_FOREVER);
	rc = epoll_wait(w->epoll, &e, 1, -1);
	return rc < 0 && errno != EINTR ? -errno : 0;
}
