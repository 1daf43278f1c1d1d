/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The other side of test_ring_*.c: ring_actor publish|consume|observe|ping|pong KEY=VALUE...
 *
 * Slot contents are kit_fill(seed, sequence). Result [index] is: count messages; value[0] last sequence
 * published, or read before its release; value[1] last released; value[2] first sequence (consumer) or
 * deadlines that passed (producer); bytes: sleeps at the cap that found something; lost: messages
 * skipped at the attach; hash: dead producers seen. Word [index] is 1 when it is attached,
 * word [32 + index] the sleeps of a consumer.
 */
#include "ring_actor.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int actor_fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

static void read_option(struct actor *a, const char *key, const char *v)
{
	const struct {
		const char *key;
		uint64_t *to;
	} numbers[] = {
		{"index", &a->index},
		{"seed", &a->seed},
		{"count", &a->count},
		{"batch", &a->batch},
		{"slot", &a->slot},
		{"window", &a->window},
		{"backing", &a->backing},
		{"huge", &a->huge},
		{"fence", &a->fence},
		{"start", &a->start},
		{"overwrite", &a->overwrite},
		{"for", &a->wait_for},
		{"until", &a->until},
		{"open", &a->open},
		{"keep", &a->keep},
		{"deny", &a->deny},
		{"slow", &a->slow_us},
		{"every", &a->every},
		{"deadline", &a->deadline_ms},
		{"follow", &a->follow},
		{"depth", &a->depth},
		{"pause", &a->pause},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(key, numbers[i].key) == 0) {
			*numbers[i].to = number(v);
			return;
		}
	if (strcmp(key, "name") == 0)
		a->name = v;
	else if (strcmp(key, "back") == 0)
		a->back = v;
	else if (strcmp(key, "id") == 0)
		a->id = v;
	else if (strcmp(key, "wait") == 0)
		a->wait = (uint32_t)myelon_wait_parse(v);
	else if (strcmp(key, "end") == 0)
		a->end = v;
	else
		fprintf(stderr, "unknown option %s\n", key);
}

/* From now on membarrier() fails with EPERM, as in a container that filters it. */
static int deny_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("seccomp");
		return -1;
	}
	if (syscall(SYS_membarrier, 0, 0, 0) != -1 || errno != EPERM) {
		fprintf(stderr, "the filter does not work\n");
		return -1;
	}
	return 0;
}

static void pause_us(uint64_t us)
{
	const struct timespec t = {.tv_sec = (time_t)(us / 1000000),
	                           .tv_nsec = (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

void actor_slow(const struct actor *a, uint64_t done)
{
	if (a->slow_us && done % (a->every ? a->every : 1) == 0)
		pause_us(a->slow_us);
}

int actor_end(const struct actor *a)
{
	if (strcmp(a->end, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(a->end, "exit") == 0)
		_exit(a->r->violations ? 3 : 0);
	return a->r->violations ? 3 : 0;
}

static int producer(struct actor *a, struct myelon_producer **p)
{
	if (a->open)
		return myelon_producer_open(
			p, a->name,
			&MYELON_OPEN_OPTS(.wait = a->wait, .wait_for.count = (uint32_t)a->wait_for,
		                          .wait_timeout_ns = MYELON_FOREVER));
	return myelon_producer_create(
		p, a->name,
		&MYELON_RING_OPTS(.slot_size = (uint32_t)a->slot, .window = (uint32_t)a->window,
	                          .backing = (uint32_t)a->backing, .huge = (uint32_t)a->huge,
	                          .unattended = (uint32_t)a->overwrite, .fence = (uint32_t)a->fence,
	                          .wait = a->wait, .flags = a->keep ? MYELON_F_KEEP : 0,
	                          .wait_for.count = (uint32_t)a->wait_for,
	                          .wait_timeout_ns = MYELON_FOREVER,
	                          .buffer_until = (uint32_t)a->until));
}

static int claim(struct actor *a, struct myelon_producer *p, uint32_t n, struct myelon_span *s)
{
	for (;;) {
		int64_t deadline =
			a->deadline_ms == 0
				? MYELON_FOREVER
				: myelon_deadline_after((int64_t)a->deadline_ms * 1000000);
		int rc = myelon_claim(p, n, deadline, s);

		if (rc != -ETIMEDOUT)
			return rc;
		a->r->value[2]++;
	}
}

static int do_publish(struct actor *a)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_producer *p;
	struct myelon_span s;
	int rc = producer(a, &p);

	if (rc < 0)
		return actor_fail("producer", rc);
	kit_set(a->page, (unsigned int)a->index, 1);
	for (uint64_t sent = 0; sent < a->count;) {
		uint64_t n = a->batch > 1 ? 1 + sent * 2654435761u % a->batch : 1;

		if (n > a->count - sent)
			n = a->count - sent;
		rc = claim(a, p, (uint32_t)n, &s);
		if (rc < 0)
			return actor_fail("claim", rc);
		for (uint64_t i = 0; i < n; i++)
			kit_fill((char *)s.base + i * p->slot_size, p->slot_size, a->seed,
			         (uint64_t)s.seq + i);
		rc = myelon_publish(p, (uint32_t)n);
		if (rc < 0)
			return actor_fail("publish", rc);
		sent += n;
		a->r->value[0] = (uint64_t)s.seq + n - 1;
		a->r->count = sent;
		actor_slow(a, sent);
	}
	myelon_producer_stats(p, &stats);
	a->r->bytes = stats.caps_found;
	kit_set(a->page, (unsigned int)a->index, 2);
	rc = actor_end(a);
	myelon_producer_close(p);
	return rc;
}

/* @return messages read and released, or as peek. */
static int consume_some(struct actor *a, struct myelon_consumer *c, int64_t *expected)
{
	uint32_t most = a->batch ? (uint32_t)a->batch : MYELON_ALL;
	struct myelon_view v;
	int n = myelon_peek(c, most, MYELON_FOREVER, &v), rc;

	if (n < 0)
		return n;
	if (v.seq != *expected)
		kit_violation(a->r, "sequence %lld instead of %lld", (long long)v.seq,
		              (long long)*expected);
	for (uint32_t i = 0; i < v.count; i++)
		if (kit_check((const char *)v.base + (size_t)i * c->slot_size, c->slot_size,
		              a->seed, (uint64_t)v.seq + i) != -1)
			kit_violation(a->r, "bytes of sequence %lld", (long long)v.seq + i);
	a->r->value[0] = (uint64_t)v.seq + v.count - 1;
	rc = myelon_release(c, v.count);
	if (rc < 0)
		return rc;
	a->r->value[1] = (uint64_t)v.seq + v.count - 1;
	*expected = v.seq + v.count;
	return n;
}

static int do_consume(struct actor *a)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	uint64_t done = 0;
	int64_t expected;
	int rc = myelon_consumer_attach(&c, a->name,
	                                &MYELON_ATTACH_OPTS(.id = a->id, .wait = a->wait,
	                                                    .start = (uint32_t)a->start,
	                                                    .timeout_ns = 60000000000ll));

	if (rc < 0)
		return actor_fail("attach", rc);
	expected = myelon_consumer_cursor(c) + 1;
	a->r->value[2] = (uint64_t)expected;
	myelon_consumer_stats(c, &stats);
	a->r->lost = stats.lost;
	kit_set(a->page, (unsigned int)a->index, 1);
	if (a->pause)
		kit_await(a->page, (unsigned int)a->pause, 1, 60);
	while (done < a->count) {
		rc = consume_some(a, c, &expected);
		if (rc == -EOWNERDEAD) {
			a->r->hash++;
			if (!a->follow)
				break;
			rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
			if (rc == 0)
				continue;
		}
		if (rc == -EPIPE)
			break;
		if (rc < 0)
			return actor_fail("consume", rc);
		done += (uint64_t)rc;
		a->r->count = done;
		actor_slow(a, done);
	}
	myelon_consumer_stats(c, &stats);
	a->r->bytes = stats.caps_found;
	kit_set(a->page, 32 + (unsigned int)a->index, (uint32_t)stats.parks);
	if (stats.alerts)
		kit_violation(a->r, "%llu alerts", (unsigned long long)stats.alerts);
	kit_set(a->page, (unsigned int)a->index, 2);
	rc = actor_end(a);
	myelon_consumer_close(c);
	return rc;
}

int main(int argc, char **argv)
{
	struct actor a = {.seed = 1,
	                  .slot = 64,
	                  .window = 64,
	                  .count = UINT64_MAX,
	                  .depth = 1,
	                  .backing = MYELON_BACKING_SHM,
	                  .huge = MYELON_HUGE_OFF,
	                  .name = "",
	                  .end = "close"};

	a.page = kit_page_attach();
	if (argc < 2 || !a.page) {
		fprintf(stderr, "usage: ring_actor ROLE KEY=VALUE..., started by a test\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (!eq)
			return 2;
		*eq = '\0';
		read_option(&a, argv[i], eq + 1);
	}
	a.r = &a.page->result[a.index % KIT_RESULTS];
	if (a.deny && deny_membarrier() < 0)
		return 2;
	if (strcmp(argv[1], "publish") == 0)
		return do_publish(&a);
	if (strcmp(argv[1], "consume") == 0)
		return do_consume(&a);
	if (strcmp(argv[1], "ping") == 0)
		return actor_ping(&a);
	if (strcmp(argv[1], "pong") == 0)
		return actor_pong(&a);
	if (strcmp(argv[1], "observe") == 0)
		return actor_observe(&a);
	return 2;
}
