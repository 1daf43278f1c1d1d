/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Data between processes on the CPUs of different nodes, sleepers, and what a killed process leaves. */
#include "guest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTACH_NS 30000000000

struct stream {
	uint32_t backing, wait, fence, consumers, messages;
	int node;         /* of the ring */
	int producer_cpu; /* -1: any */
	int consumer_cpu;
	bool asleep;   /* everybody sleeps before each message */
	pid_t pids[4]; /* of the consumers */
};

static uint64_t word_of(int64_t seq, uint32_t i)
{
	return ((uint64_t)seq + 1) * 0x9e3779b97f4a7c15u ^ i * 0xc2b2ae3d27d4eb4fu;
}

static void read_stream(void *arg)
{
	const struct stream *s = arg;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_view v = {0};
	struct myelon_consumer *c;
	int64_t next = 0;
	int rc;

	if (s->consumer_cpu >= 0)
		guest_pin(s->consumer_cpu);
	OK(myelon_consumer_attach(&c, "stream",
	                          &MYELON_ATTACH_OPTS(.wait = s->wait, .timeout_ns = ATTACH_NS)));
	while ((rc = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v)) > 0) {
		for (uint32_t i = 0; i < v.count; i++, next++) {
			const uint64_t *slot = (const uint64_t *)v.base + i * (RING_SLOT / 8);

			for (uint32_t k = 0; k < RING_SLOT / 8; k++)
				if (slot[k] != word_of(next, k))
					FAIL("word %u of message %lld is wrong", k,
					     (long long)next);
		}
		OK(myelon_release(c, v.count));
	}
	CHECK_EQ(rc, -EPIPE);
	CHECK_EQ(next, s->messages);
	OK(myelon_consumer_stats(c, &stats));
	CHECK_EQ(stats.caps_found, 0);
	CHECK_EQ(stats.alerts, 0);
	if (s->asleep)
		CHECK(stats.parks > 0);
	myelon_consumer_close(c);
}

static int is_parked(void *ctx, const struct myelon_consumer_entry *e)
{
	*(uint32_t *)ctx += e->parked;
	return 0;
}

static bool sleeps(pid_t pid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		FAIL("%s cannot be read", path);
	fclose(f);
	return state == 'S';
}

/* Announced, and done. */
static void wait_until_all_sleep(const struct stream *s, struct myelon_producer *p)
{
	uint32_t parked;

	do {
		parked = 0;
		OK(myelon_producer_consumers(p, is_parked, &parked));
	} while (parked < s->consumers);
	for (uint32_t i = 0; i < s->consumers; i++)
		while (!sleeps(s->pids[i]))
			;
}

static void write_stream(const struct stream *s, struct myelon_producer *p)
{
	for (uint32_t n = 0; n < s->messages; n++) {
		struct myelon_span span;

		if (s->asleep)
			wait_until_all_sleep(s, p);
		OK(myelon_claim(p, 1, MYELON_FOREVER, &span));
		for (uint32_t k = 0; k < RING_SLOT / 8; k++)
			((uint64_t *)span.base)[k] = word_of(span.seq, k);
		OK(myelon_publish(p, 1));
	}
}

static void run_stream(struct stream s, uint32_t expected_fence)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;

	for (uint32_t i = 0; i < s.consumers; i++)
		s.pids[i] = guest_spawn(read_stream, &s);
	if (s.producer_cpu >= 0)
		guest_pin(s.producer_cpu);
	OK(myelon_producer_create(
		&p, "stream",
		&MYELON_RING_OPTS(.slot_size = RING_SLOT, .window = 8192, .backing = s.backing,
	                          .wait = s.wait, .fence = s.fence, .numa = MYELON_NUMA_NODE,
	                          .numa_node = (uint32_t)s.node, .flags = MYELON_F_NUMA_STRICT,
	                          .wait_for = {.count = s.consumers},
	                          .wait_timeout_ns = ATTACH_NS)));
	guest_all_on(p, s.node);
	OK(myelon_producer_info(p, &info));
	CHECK_EQ(info.fence, expected_fence);
	write_stream(&s, p);
	myelon_producer_close(p);
	for (uint32_t i = 0; i < s.consumers; i++)
		guest_join(s.pids[i]);
}

/* The node without memory has a CPU, too. */
static void every_pair_of_nodes_streams_over_memory_of_either(void)
{
	struct stream s = {.consumers = 1, .messages = 5000};

	for (s.node = 0; s.node < NODE_BARE; s.node++)
		for (int from = 0; from < NODES; from++)
			for (int to = 0; to < NODES; to++) {
				s.backing = (from + to) % 2 ? MYELON_BACKING_SHM
				                            : MYELON_BACKING_HUGETLB;
				s.producer_cpu = CPU_OF(from);
				s.consumer_cpu = CPU_OF(to);
				run_stream(s, MYELON_FENCE_ASYM);
			}
}

static void sleeping_consumers_are_woken_for_every_message(void)
{
	struct stream s = {.backing = MYELON_BACKING_SHM,
	                   .wait = MYELON_WAIT_PARK,
	                   .consumers = 3,
	                   .messages = 40,
	                   .asleep = true,
	                   .node = 1,
	                   .producer_cpu = CPU_OF(0),
	                   .consumer_cpu = -1};

	run_stream(s, MYELON_FENCE_ASYM);
	s.fence = MYELON_FENCE_FULL;
	run_stream(s, MYELON_FENCE_FULL);
}

static void be_killed(void *arg)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;

	OK(myelon_producer_create(&p, "killed",
	                          &MYELON_RING_OPTS(.window = RING_WINDOW,
	                                            .backing = MYELON_BACKING_HUGETLB,
	                                            .numa = MYELON_NUMA_NODE, .numa_node = 1,
	                                            .flags = MYELON_F_NUMA_STRICT)));
	OK(myelon_consumer_attach(&c, "killed", &MYELON_ATTACH_OPTS(.id = "c")));
	__atomic_store_n((int *)arg, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void huge_pages_of_killed_processes_come_back_by_gc(void)
{
	int *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(ready != MAP_FAILED);
	pid = guest_spawn(be_killed, ready);
	while (!__atomic_load_n(ready, __ATOMIC_SEQ_CST))
		CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	CHECK_EQ(OK(myelon_gc(&MYELON_DIR_OPTS(), NULL, NULL)), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(guest_pool_free(1), POOL_PAGES - RING_PAGES);
	CHECK_EQ(OK(myelon_gc(&MYELON_DIR_OPTS(), NULL, NULL)), 2);
	CHECK_EQ(guest_pool_free(1), POOL_PAGES);
}

const struct guest_case guest_stream_cases[] = {
	GUEST_CASE(every_pair_of_nodes_streams_over_memory_of_either),
	GUEST_CASE(sleeping_consumers_are_woken_for_every_message),
	GUEST_CASE(huge_pages_of_killed_processes_come_back_by_gc),
	{0},
};
